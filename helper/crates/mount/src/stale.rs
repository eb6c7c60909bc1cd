//! Mounts whose owner is gone.

use std::path::Path;

use nix::errno::Errno;
use nixbox_mounts::{Health, MountEntry, detach, mount_at};

use crate::error::{Error, Result};

/// More than were ever found stacked; only keeps a loop from being endless.
const MAX_STACKED: usize = 64;

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

/// One of the database that the caller holds is dead, whatever it says.
fn is_stale(entry: &MountEntry, held: &Path) -> bool {
    entry.database().is_some_and(|database| database == held || entry.health() == Health::Dead)
}
