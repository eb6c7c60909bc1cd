//! Following what changes: a thread that sleeps until something does, and says so when it has been quiet again.

mod told;
mod tree;

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

pub use told::follow as follow_verbs;
pub use tree::Place;
use tree::Tree;

/// What never is quiet is told of after so many times the time that it was to be.
const AT_MOST: u32 = 10;
/// So many are remembered, to be counted.
const MOST: usize = 1000;
const STACK: usize = 256 * 1024;

/// Files that have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    first: PathBuf,
    others: usize,
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let first = self.first.display();
        match self.others {
            0 => write!(f, "{first} changed"),
            1 => write!(f, "{first} and another one changed"),
            others => write!(f, "{first} and {others} others changed"),
        }
    }
}

#[derive(Debug)]
struct Pending {
    paths: Vec<PathBuf>,
    since: Instant,
    last: Instant,
}

#[derive(Debug, Default)]
struct State {
    pending: Option<Pending>,
    /// Was told of, and nobody has taken it yet.
    told: Option<Change>,
}

/// Readable, as far as `poll` is asked, when there is a change to take.
#[derive(Debug)]
pub struct Following {
    state: Arc<Mutex<State>>,
    bell: PipeReader,
    nudge: Arc<PipeWriter>,
}

/// For changes that somebody else has heard of.
#[derive(Debug, Clone)]
pub struct Teller {
    state: Arc<Mutex<State>>,
    nudge: Arc<PipeWriter>,
}

impl Teller {
    pub fn tell(&self, changed: Vec<PathBuf>) {
        if !changed.is_empty() {
            note(&mut lock(&self.state), changed);
            // A full pipe wakes as well as a fuller one.
            let _ = (&*self.nudge).write(&[1]);
        }
    }
}

impl Following {
    /// `full` is told once why not everything is seen, where that is so.
    pub fn begin(
        places: Vec<Place>,
        debounce: Duration,
        full: impl FnOnce(Errno) + Send + 'static,
    ) -> io::Result<Self> {
        let (tree, why) = Tree::watch(places)?;
        let mut full: Option<Full> = Some(Box::new(full));
        tell(&mut full, why);
        let ((bell, ring), (nudged, nudge)) = (io::pipe()?, io::pipe()?);
        for end in [bell.as_fd(), ring.as_fd(), nudged.as_fd(), nudge.as_fd()] {
            fcntl(end, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        let state = Arc::<Mutex<State>>::default();
        let watcher = Watcher { tree, state: state.clone(), ring, nudged, debounce, full };
        std::thread::Builder::new().name("watch".into()).stack_size(STACK).spawn(move || watcher.run())?;
        Ok(Self { state, bell, nudge: Arc::new(nudge) })
    }

    pub fn teller(&self) -> Teller {
        Teller { state: self.state.clone(), nudge: self.nudge.clone() }
    }

    /// What was told of, if anything was.
    pub fn take(&mut self) -> Option<Change> {
        let mut state = lock(&self.state);
        self.silence();
        state.told.take()
    }

    /// Whoever begins now sees all that has changed until now.
    pub fn forget(&mut self) {
        let mut state = lock(&self.state);
        self.silence();
        (state.told, state.pending) = (None, None);
    }

    fn silence(&self) {
        drain(&self.bell);
    }
}

impl AsFd for Following {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn drain(mut pipe: &PipeReader) {
    let mut sink = [0; 64];
    while matches!(pipe.read(&mut sink), Ok(1..)) {}
}

fn note(state: &mut State, changed: Vec<PathBuf>) {
    let now = Instant::now();
    let pending = state.pending.get_or_insert_with(|| Pending { paths: Vec::new(), since: now, last: now });
    pending.last = now;
    for path in changed {
        if pending.paths.len() < MOST && !pending.paths.contains(&path) {
            pending.paths.push(path);
        }
    }
}

type Full = Box<dyn FnOnce(Errno) + Send>;

fn tell(full: &mut Option<Full>, why: Option<Errno>) {
    if let Some((why, full)) = why.and_then(|why| Some((why, full.take()?))) {
        full(why);
    }
}

struct Watcher {
    full: Option<Full>,
    tree: Tree,
    state: Arc<Mutex<State>>,
    ring: PipeWriter,
    nudged: PipeReader,
    debounce: Duration,
}

impl Watcher {
    /// Until nobody listens any more, or there is nothing left to watch.
    fn run(mut self) {
        loop {
            let due = self.due();
            let left = due.map(|at| at.saturating_duration_since(Instant::now()).as_millis() + 1);
            let timeout = left.and_then(|left| PollTimeout::try_from(left).ok()).unwrap_or(PollTimeout::NONE);
            // The other end of the bell is closed with whoever listens.
            let mut fds = [
                PollFd::new(self.tree.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.ring.as_fd(), PollFlags::empty()),
                PollFd::new(self.nudged.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut fds, timeout) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => return,
            }
            if fds[1].any().unwrap_or(true) {
                return;
            }
            drain(&self.nudged);
            let Ok((changed, full)) = self.tree.changed() else { return };
            tell(&mut self.full, full);
            self.look(changed);
        }
    }

    fn look(&mut self, changed: Vec<PathBuf>) {
        let (now, mut state) = (Instant::now(), lock(&self.state));
        if !changed.is_empty() {
            note(&mut state, changed);
        }
        let Some(paths) = state.pending.take_if(|pending| self.when(pending) <= now).map(|pending| pending.paths)
        else {
            return;
        };
        // What an editor had beside a file while it saved that says nothing to anybody.
        let (there, gone): (Vec<_>, Vec<_>) = paths.into_iter().partition(|path| self.tree.has(path));
        let mut named = if there.is_empty() { gone } else { there }.into_iter();
        if let Some(first) = named.next() {
            state.told.get_or_insert(Change { first, others: named.count() });
            let _ = self.ring.write(&[1]);
        }
    }

    fn due(&self) -> Option<Instant> {
        lock(&self.state).pending.as_ref().map(|pending| self.when(pending))
    }

    fn when(&self, pending: &Pending) -> Instant {
        (pending.last + self.debounce).min(pending.since + self.debounce * AT_MOST)
    }
}

/// Sleeps until there is something to read from one of these, and says from which.
pub fn any(of: &[BorrowedFd<'_>]) -> io::Result<Vec<bool>> {
    let mut fds: Vec<_> = of.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
    loop {
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) => return Ok(fds.iter().map(|fd| fd.any().unwrap_or(true)).collect()),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// A file that is replaced as often as it is written: by its folder, and by that of what it points to.
pub fn places_of(file: &Path) -> Vec<Place> {
    let mut files = vec![file.to_owned()];
    files.extend(file.canonicalize().ok().filter(|real| real != file));
    let place = |file: PathBuf| {
        let (root, name) = (file.parent()?.to_owned(), PathBuf::from(file.file_name()?));
        Some(Place { root, paths: vec![name], ignore: Default::default(), hidden: Vec::new() })
    };
    files.into_iter().filter_map(place).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_changes_together_is_one_change_and_what_was_before_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place {
            root: dir.path().to_owned(),
            paths: vec![PathBuf::new()],
            ignore: Default::default(),
            hidden: Vec::new(),
        };
        let mut following = Following::begin(vec![place], Duration::from_millis(500), |_| {}).unwrap();
        for number in 0..50 {
            std::fs::write(dir.path().join(format!("{number:02}")), "1").unwrap();
        }
        any(&[following.as_fd()]).unwrap();
        assert_eq!(following.take().unwrap().to_string(), "00 and 49 others changed");
        std::fs::write(dir.path().join("00"), "2").unwrap();
        std::thread::sleep(Duration::from_millis(250));
        following.forget();
        std::thread::sleep(Duration::from_millis(800));
        assert_eq!(following.take(), None);
        std::fs::write(dir.path().join("00"), "3").unwrap();
        any(&[following.as_fd()]).unwrap();
        assert_eq!(following.take().unwrap().to_string(), "00 changed");
    }
}
