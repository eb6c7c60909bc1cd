//! Mounts whose owner is gone. They are told apart from living ones without asking the mount on this thread: one
//! that hangs would take the caller along.

use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::statvfs::statvfs;

use crate::detach;
use crate::error::{Error, Result};
use crate::mountinfo::{MountEntry, mount_at};
use crate::options::database_of;

/// More than were ever found stacked; only keeps a loop from being endless.
const MAX_STACKED: usize = 64;

const ANSWER_WITHIN: Duration = Duration::from_millis(500);

/// Unmounts dead mounts of AgentFS at `path`; any other mount there is an error.
pub(crate) fn clear(path: &Path, database: &Path) -> Result<()> {
    for _ in 0..MAX_STACKED {
        let Some(entry) = mount_at(path).map_err(Error::at(path))? else { return Ok(()) };
        if !is_stale(&entry, database) {
            return Err(Error::Busy { path: path.to_owned(), source_name: entry.source });
        }
        tracing::warn!(path = %path.display(), source = %entry.source.display(), "removing a dead mount");
        detach::lazily(path).map_err(|source| Error::Stale { path: path.to_owned(), source })?;
    }
    Err(Error::Stale { path: path.to_owned(), source: Errno::ELOOP.into() })
}

fn is_stale(entry: &MountEntry, held: &Path) -> bool {
    match database_of(&entry.source) {
        Some(database) if entry.is_fuse() => database == held || is_dead(&entry.path),
        _ => false,
    }
}

/// A dead one says so at once. One that says nothing may be busy, so it counts as alive.
pub(crate) fn is_dead(mount: &Path) -> bool {
    let (say, answer) = mpsc::channel();
    let path = mount.to_owned();
    // If the mount hangs, so does this thread, until the mount or the process ends.
    let asked = thread::Builder::new().spawn(move || {
        let _ = say.send(statvfs(&path).err());
    });
    asked.is_ok() && matches!(answer.recv_timeout(ANSWER_WITHIN), Ok(Some(Errno::ENOTCONN | Errno::ECONNABORTED)))
}
