//! Whether the database is the one that was last synced here. What both sides had last in common lies in it, and beside it
//! lies when that was agreed on: where the two differ, it was restored or replaced. It pulls what it misses before anything
//! of it goes anywhere, as every push does; here is only told that it happened.

use std::path::Path;

use nixbox_report::Report;
use nixbox_sync::turn;

use super::Syncing;
use super::along::Along;
use crate::failure;

const FILE: &str = "turn";

impl Syncing {
    pub(super) fn is_another(&self, along: &Along) -> Result<bool, Report> {
        match std::fs::read_to_string(self.folder.join(FILE)) {
            Ok(known) => Ok(self.turn(along)? != known),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(failure::io(&self.folder.join(FILE), &error).into()),
        }
    }

    /// From here on it is this one.
    pub(super) fn remember(&self, along: &Along) -> Result<(), Report> {
        let (path, now) = (self.folder.join(FILE), self.turn(along)?);
        if now.is_empty() || is_there(&path, &now) {
            return Ok(());
        }
        nixbox_state::write_atomic(&path, now.as_bytes(), 0o600).map_err(|error| failure::io(&path, &error).into())
    }

    fn turn(&self, along: &Along) -> Result<String, Report> {
        Ok(turn(&along.agreed).map_err(|error| self.failed(error))?.unwrap_or_default())
    }
}

fn is_there(path: &Path, now: &str) -> bool {
    std::fs::read_to_string(path).is_ok_and(|known| known == now)
}
