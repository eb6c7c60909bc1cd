use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use crate::process::Process;

/// Who holds a lock, in the lock file's own words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    #[serde(flatten)]
    pub process: Process,
    /// Milliseconds since 1970.
    pub since: u64,
    /// Where it can be spoken to.
    pub socket: Option<PathBuf>,
    /// The process with which it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tied_to: Option<Process>,
    /// It only takes away what another one has left, and is done in a moment.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub clears: bool,
}

impl Holder {
    /// This process, from now on.
    pub fn me(since: u64, socket: Option<&Path>) -> io::Result<Self> {
        let parent = match nix::sys::prctl::get_pdeathsig() {
            Ok(Some(_)) => Process::of(nix::unistd::getppid().as_raw())?,
            _ => None,
        };
        Ok(Self {
            process: Process::current()?,
            since,
            socket: socket.map(Path::to_owned),
            tied_to: parent,
            clears: false,
        })
    }

    /// This process, for as long as it takes to clear up.
    pub fn clearing(since: u64) -> io::Result<Self> {
        Ok(Self { clears: true, ..Self::me(since, None)? })
    }

    /// It was told to end, by the end of what it is tied to.
    pub fn is_ending(&self) -> bool {
        self.tied_to.is_some_and(|tied_to| !tied_to.is_alive())
    }
}

#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// `None` in the instant between its taking the lock and writing its name.
    #[error("held by another process")]
    Held(Option<Holder>),
    #[error("lock file {}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// More than any holder has to say.
const LONGEST: u64 = 64 * 1024;

/// A lock file held by this process. The kernel lets go of it however the process ends.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    _held: Flock<File>,
}

impl Lock {
    pub fn acquire(path: &Path, holder: &Holder) -> Result<Self, LockError> {
        let io_error = |source| LockError::Io { path: path.to_owned(), source };
        loop {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                // Who holds it is no secret: others who share the folder are to be told.
                .mode(0o644)
                .open(path);
            let file = match file {
                // Another user's. That one may be alive, and is then what stands in the way.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    return Err(match Self::live_holder(path) {
                        Some(holder) => LockError::Held(Some(holder)),
                        None => io_error(error),
                    });
                }
                other => other.map_err(io_error)?,
            };
            let mut file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(file) => file,
                Err((_, nix::errno::Errno::EWOULDBLOCK)) => return Err(LockError::Held(Self::holder(path))),
                Err((_, errno)) => return Err(io_error(errno.into())),
            };
            // The last holder removes the file when it lets go: what was locked here may be a file that no
            // longer has a name, and somebody else may hold the one that has.
            if !is_still_at(&file, path).map_err(io_error)? {
                continue;
            }
            let line = serde_json::to_vec(holder).map_err(|error| io_error(error.into()))?;
            file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(&line)).map_err(io_error)?;
            return Ok(Self { path: path.to_owned(), _held: file });
        }
    }

    /// Who says that it holds the lock; says nothing of whether it still does.
    pub fn holder(path: &Path) -> Option<Holder> {
        let mut text = Vec::new();
        // A pipe that was put there would be waited for.
        let file = OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path).ok()?;
        file.take(LONGEST).read_to_end(&mut text).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// The live holder, if there is one. Takes no lock, so it can disturb nobody who is about to.
    pub fn live_holder(path: &Path) -> Option<Holder> {
        Self::holder(path).filter(|holder| holder.process.is_alive())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Still held here, so nobody else can have put another file at this path.
        let _ = fs::remove_file(&self.path);
    }
}

fn is_still_at(file: &File, path: &Path) -> io::Result<bool> {
    let held = file.metadata()?;
    match fs::metadata(path) {
        Ok(named) => Ok((held.dev(), held.ino()) == (named.dev(), named.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn me() -> Holder {
        Holder::me(1, None).expect("own process")
    }

    #[test]
    fn the_second_learns_who_the_first_is() {
        let dir = tempfile::tempdir().expect("temp folder");
        let path = dir.path().join("owner.lock");
        let first = Lock::acquire(&path, &me()).expect("free");
        match Lock::acquire(&path, &me()) {
            Err(LockError::Held(Some(holder))) => assert_eq!(holder, me()),
            other => panic!("{other:?}"),
        }
        drop(first);
        assert!(!path.exists());
        drop(Lock::acquire(&path, &me()).expect("free again"));
    }

    #[test]
    fn a_holder_ends_with_what_it_is_tied_to() {
        let tied_to = |process: Process| Holder { tied_to: Some(process), ..me() };
        let here = Process::current().expect("own process");
        assert!(!me().is_ending() && !tied_to(here).is_ending());
        assert!(tied_to(Process { start_time: here.start_time + 1, ..here }).is_ending());
    }

    #[test]
    fn others_may_read_who_holds_it() {
        let dir = tempfile::tempdir().expect("temp folder");
        let path = dir.path().join("owner.lock");
        let _lock = Lock::acquire(&path, &me()).expect("free");
        let mode = fs::metadata(&path).expect("lock file").mode();
        assert_eq!(mode & 0o044, 0o044, "{mode:o}");
    }

    #[test]
    fn a_pipe_in_its_place_is_not_waited_for() {
        let dir = tempfile::tempdir().expect("temp folder");
        let path = dir.path().join("owner.lock");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("pipe");
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || tell.send(Lock::holder(&path)));
        assert_eq!(told.recv_timeout(std::time::Duration::from_secs(90)), Ok(None));
    }

    #[test]
    fn never_two_at_once_though_each_removes_the_file() {
        let dir = tempfile::tempdir().expect("temp folder");
        let path = dir.path().join("owner.lock");
        let (inside, wins) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        if let Ok(lock) = Lock::acquire(&path, &me()) {
                            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                            wins.fetch_add(1, Ordering::SeqCst);
                            inside.fetch_sub(1, Ordering::SeqCst);
                            drop(lock);
                        }
                    }
                });
            }
        });
        assert!(wins.into_inner() > 0);
    }
}
