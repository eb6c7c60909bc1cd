//! Orders from other processes. A thread for each connection, which waits for it; whoever keeps the project up is woken
//! for each order and never waits for anybody.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use nixbox_control::{decode, encode};
use nixbox_report::{Failure, codes};
use nixbox_supervisor::Waker;

use super::message::{Answer, Order};

/// A plan of many units with long command lines.
const LONGEST: u64 = 16 << 20;
const STACK: usize = 256 * 1024;
/// Who does not read for so long is let go; it can ask again how all is.
const BACKLOG: usize = 4096;
const PATIENCE: Duration = Duration::from_secs(10);
const LAST_WORDS: Duration = Duration::from_millis(300);

pub struct Desk {
    orders: Receiver<(Order, SyncSender<Answer>)>,
    followers: Vec<SyncSender<Answer>>,
    path: PathBuf,
    /// How many are still being told something.
    told: Arc<AtomicUsize>,
}

impl Desk {
    pub fn open(path: &Path, waker: Waker) -> io::Result<Self> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        let (tell, orders) = channel();
        let told = Arc::new(AtomicUsize::new(0));
        let count = told.clone();
        thread::Builder::new().name("orders".into()).stack_size(STACK).spawn(move || {
            for stream in listener.incoming().flatten() {
                let (tell, waker, counted) = (tell.clone(), waker.clone(), Counted::of(&count));
                let talk = move || {
                    converse(stream, &tell, &waker);
                    drop(counted);
                };
                let _ = thread::Builder::new().stack_size(STACK).spawn(talk);
            }
        })?;
        Ok(Self { orders, followers: Vec::new(), path: path.to_owned(), told })
    }

    pub fn next(&self) -> Option<(Order, SyncSender<Answer>)> {
        self.orders.try_recv().ok()
    }

    pub fn add(&mut self, follower: SyncSender<Answer>) {
        self.followers.push(follower);
    }

    pub fn tell(&mut self, answer: &Answer) {
        self.followers.retain(|follower| match follower.try_send(answer.clone()) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        });
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
        self.followers.clear();
        // What they were told last is to reach them, if they read.
        let until = Instant::now() + LAST_WORDS;
        while self.told.load(Ordering::Acquire) > 0 && Instant::now() < until {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn of(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn converse(stream: UnixStream, tell: &Sender<(Order, SyncSender<Answer>)>, waker: &Waker) {
    let _ = stream.set_read_timeout(Some(PATIENCE));
    let _ = stream.set_write_timeout(Some(PATIENCE));
    let mut line = Vec::new();
    let read = BufReader::new(&stream).take(LONGEST).read_until(b'\n', &mut line);
    if read.is_err() || line.last() != Some(&b'\n') {
        return;
    }
    let (answers, answered) = sync_channel(BACKLOG);
    let follows = match decode::<Order>(&line) {
        Ok(order) => {
            let follows = matches!(order, Order::Follow);
            if tell.send((order, answers)).is_err() {
                return;
            }
            waker.wake();
            follows
        }
        Err(error) => {
            let failure = Failure::new(&codes::CONTROL_UNKNOWN_REQUEST, "the order is not understood");
            let _ = answers
                .send(Answer::refused(Some(&failure.why(error).help("the two programs are of different versions"))));
            false
        }
    };
    if follows {
        // Closed by the other side: whoever follows is then let go at the next news, or when all ends.
        let _ = stream.set_write_timeout(None);
    }
    while let Ok(answer) = answered.recv() {
        if (&stream).write_all(&encode(&answer)).is_err() || !follows {
            return;
        }
    }
}
