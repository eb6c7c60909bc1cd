//! Standard input and output, handed to an owner as they are.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::sys::signal::{SigSet, Signal};
use nixbox_report::{Failure, Report, codes};

use crate::asking::Talk;

const PIECE: usize = 64 * 1024;

/// The signals that end a session as its client's going away does.
pub struct Ends(SigSet);

impl Ends {
    /// From here on they are waited for, in place of ending this process at once.
    pub fn listen() -> Result<Self, Report> {
        let set: SigSet = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().collect();
        set.thread_block().map_err(std::io::Error::from)?;
        Ok(Self(set))
    }
}

/// Until one side ends; then the other gets to know, and what it still has to say is passed on.
pub fn over(talk: Talk, ends: Ends) -> Result<(), Report> {
    let (mut stream, early, left) = talk.into_stream()?;
    let over = Arc::new(AtomicBool::new(false));
    let end = |stream: UnixStream| {
        let over = over.clone();
        move || {
            over.store(true, Ordering::Release);
            let _ = stream.shutdown(Shutdown::Write);
        }
    };
    let (on_signal, on_end) = (end(stream.try_clone()?), end(stream.try_clone()?));
    thread::spawn(move || {
        if ends.0.wait().is_ok() {
            on_signal();
        }
    });
    let to = stream.try_clone()?;
    thread::spawn(move || {
        pass_on(&mut std::io::stdin().lock(), &to);
        on_end();
    });
    let taken = tell(&early, &mut stream);
    // Nobody is left to talk to: the owner is to know, wherever it stands.
    let _ = stream.shutdown(Shutdown::Both);
    drop(stream);
    left.leave()?;
    match taken {
        Ok(()) if over.load(Ordering::Acquire) => Ok(()),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Ok(()) => Err(left_us()),
        Err(error) => Err(Failure::new(&codes::IO, "the answers could not be passed on").why(error).into()),
    }
}

fn pass_on(from: &mut impl Read, mut to: &UnixStream) {
    let mut buffer = vec![0; PIECE];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) if to.write_all(&buffer[..length]).is_err() => return,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// Says whether standard output took it all.
fn tell(early: &[u8], from: &mut UnixStream) -> std::io::Result<()> {
    let mut to = std::io::stdout().lock();
    to.write_all(early)?;
    let mut buffer = vec![0; PIECE];
    loop {
        to.flush()?;
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => to.write_all(&buffer[..length])?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // The owner was killed with something of ours unread.
            Err(_) => return Ok(()),
        }
    }
}

fn left_us() -> Report {
    Failure::new(&codes::OWNER_GONE, "the owner ended in the middle of the session")
        .why("it was killed or told to stop")
        .help("begin a new session")
        .into()
}
