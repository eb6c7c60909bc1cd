//! A database written beside the path that it is for, and put there when it is whole: one renaming, so that whoever
//! is killed leaves either what was there before or all of the new one.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::store::wal_path;

pub(crate) struct Beside {
    target: PathBuf,
    path: PathBuf,
}

/// Takes away what one that was killed has left: half a database, or a whole one that is plain where the other is not.
pub(crate) fn sweep(target: &Path) -> Result<()> {
    Beside::of(target).map(drop)
}

impl Beside {
    /// Only the owner of `target` may call this.
    pub(crate) fn of(target: &Path) -> Result<Self> {
        let mut name = std::ffi::OsString::from(".");
        name.push(target.file_name().unwrap_or_default());
        name.push(".new");
        let beside = Self { target: target.to_owned(), path: target.with_file_name(name) };
        beside.remove()?;
        Ok(beside)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The database must be closed, and what it replaces must have no log: it would be taken for the new one's.
    pub(crate) fn put(self) -> Result<()> {
        File::open(&self.path)?.sync_all()?;
        std::fs::rename(&self.path, &self.target)?;
        if let Some(folder) = self.target.parent() {
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    }

    fn remove(&self) -> std::io::Result<()> {
        for path in [&self.path, &wal_path(&self.path)] {
            // Looked for first: on a medium that cannot be written, removing nothing is an error, too.
            if path.symlink_metadata().is_ok() {
                std::fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

/// After [`Beside::put`] there is nothing left to remove.
impl Drop for Beside {
    fn drop(&mut self) {
        let _ = self.remove();
    }
}
