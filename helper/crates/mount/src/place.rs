//! Where a mount is shown, whoever serves it, and how it goes from there.

use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::statvfs::statvfs;
use nixbox_mounts::{MountEntry, User, detach, mount_at, users_of, within};

use crate::error::{Error, Result};

/// How long those who use the mount may finish; they were most often told to stop together with us.
const GRACE: Duration = Duration::from_millis(1000);
pub(crate) const RETRY: Duration = Duration::from_millis(20);

/// How a mount went away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unmounted {
    Cleanly,
    /// Somebody else had unmounted it.
    Already,
    /// From under these.
    Forced(Vec<User>),
}

#[derive(Clone)]
pub(crate) struct Place {
    pub path: PathBuf,
    pub entry: MountEntry,
}

impl Place {
    /// Of what has just been mounted there.
    pub fn of(mountpoint: &Path) -> Result<Self> {
        match mount_at(mountpoint) {
            Ok(Some(entry)) => Ok(Self { path: mountpoint.to_owned(), entry }),
            Ok(None) => Err(Error::Refused { reason: "the mount vanished at once".into() }),
            Err(error) => Err(Error::Refused { reason: error.to_string() }),
        }
    }

    /// Not so when somebody has unmounted it, or mounted something else over it: that is then not ours to unmount.
    pub fn is_shown(&self) -> bool {
        matches!(mount_at(&self.path), Ok(Some(entry)) if entry == self.entry)
    }

    /// Proves that the mount is there and answers: mountinfo shows ours on top, and statfs, which only its server can
    /// answer, comes back.
    pub fn prove(&self, time: Duration) -> Result<()> {
        if !self.is_shown() {
            return Err(Error::Refused { reason: "another mount covers it".into() });
        }
        let path = self.path.clone();
        match within(time, move || statvfs(&path).map(drop)) {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(Error::Refused { reason: error.desc().to_owned() }),
            None => Err(Error::Silent),
        }
    }

    /// Takes the mount away, as long as it `is_ours`. Those who use it get a moment, unless `hurry` says that there is
    /// none; then it is taken by `force` from under them.
    pub fn leave(
        &self,
        is_ours: impl Fn() -> bool,
        hurry: impl Fn() -> bool,
        force: impl FnOnce() -> Result<()>,
    ) -> Result<Unmounted> {
        let patience = Instant::now() + GRACE;
        loop {
            if !is_ours() {
                return Ok(Unmounted::Already);
            }
            match detach::politely(&self.path) {
                Ok(()) => return Ok(Unmounted::Cleanly),
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {}
                Err(error) => tracing::warn!(%error, "unmounting failed, trying harder"),
            }
            if hurry() || Instant::now() >= patience {
                break;
            }
            thread::sleep(RETRY);
        }
        let users = users_of(&self.path, 8);
        force()?;
        Ok(Unmounted::Forced(users))
    }
}
