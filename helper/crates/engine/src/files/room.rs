use std::path::Path;

use crate::error::{Error, Result};

/// A disk that is full when a batch is committed would lose what was acknowledged, so whatever grows the database
/// is refused while there is still room for the batch.
#[derive(Debug, Default, Clone)]
pub(crate) struct Room {
    /// How much may still be added before the disk is asked again.
    granted: u64,
    /// What was added since the last commit, of which the disk knows nothing yet.
    unwritten: u64,
}

/// Kept free for changes that must always work: removing things, and folding the log in.
const RESERVE: u64 = 4 << 20;
/// Asked again after this much at the latest: others use the disk too.
const STRIDE: u64 = 4 << 20;
/// A row or two of metadata, with the pages that they touch.
const ROW: u64 = 16 << 10;

impl Room {
    /// `log` is how much waits to be folded in, which will take its room once more.
    pub(super) fn take(&mut self, on: &Path, bytes: u64, log: impl FnOnce() -> u64) -> Result<()> {
        // Once for the log and once for the database.
        let wanted = bytes.saturating_add(ROW).saturating_mul(2);
        if self.granted < wanted {
            let disk = nix::sys::statvfs::statvfs(on).map_err(std::io::Error::from)?;
            let free = disk.blocks_available() * disk.fragment_size();
            let free = free.saturating_sub(RESERVE + log() + self.unwritten);
            if free < wanted {
                return Err(Error::Errno(libc::ENOSPC));
            }
            self.granted = free.min(STRIDE.max(wanted));
        }
        self.granted -= wanted;
        self.unwritten += wanted;
        Ok(())
    }

    pub(super) fn committed(&mut self) {
        self.unwritten = 0;
    }
}
