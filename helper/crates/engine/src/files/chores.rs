//! Work that would hold up everybody if it were done in one go: the committer does it a slice at a time.

use super::inode;
use super::memory::Memory;
use super::tree::Tree;
use crate::error::{Error, Result};
use crate::filesystem::{Ino, Kind};
use crate::journal::Companion;
use crate::store::{Store, first};

/// A file with more missing than this is left as it is: a disk image of a terabyte must stay possible.
pub(crate) const FILL_LIMIT: u64 = 256 << 20;
/// About a millisecond or two.
const SLICE_BYTES: u64 = 1 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chore {
    /// Store zeroes in the holes of a file, from this chunk on.
    Fill { ino: Ino, next: u64 },
    /// Delete the rows of an inode that nothing refers to any more. `refunded`: it counts no more towards the limits.
    Remove { ino: Ino, refunded: bool },
}

impl Chore {
    pub(super) fn fill(ino: Ino) -> Self {
        Self::Fill { ino, next: 0 }
    }

    pub(super) fn remove(ino: Ino) -> Self {
        Self::Remove { ino, refunded: false }
    }
}

impl Companion for Memory {
    fn changing(&mut self, in_change: bool) {
        self.changes += u64::from(in_change);
        self.attrs.change(in_change);
    }

    fn committed(&mut self) {
        self.room.committed();
    }

    fn pending(&self) -> bool {
        !self.chores.is_empty()
    }

    fn slice(&mut self, store: &mut dyn Store) -> Result<()> {
        let Some(chore) = self.chores.front().copied() else { return Ok(()) };
        let mut tree = Tree { store, memory: self };
        let rest = match chore {
            Chore::Fill { ino, next } => tree.fill_slice(ino, next)?.map(|next| Chore::Fill { ino, next }),
            Chore::Remove { ino, .. } => {
                tree.refund()?;
                (!tree.remove_slice(ino)?).then_some(Chore::Remove { ino, refunded: true })
            }
        };
        match (rest, self.chores.front_mut()) {
            (Some(rest), Some(front)) => *front = rest,
            _ => drop(self.chores.pop_front()),
        }
        Ok(())
    }

    fn closing(&mut self) {
        self.all_gaps();
    }

    fn give_up(&mut self, error: &Error) {
        if let Some(chore) = self.chores.pop_front() {
            tracing::warn!(%error, ?chore, "background work on the database failed");
        }
    }
}

impl Tree<'_> {
    /// Answers the chunk to go on with.
    fn fill_slice(&mut self, ino: Ino, next: u64) -> Result<Option<u64>> {
        let Some(attr) = inode::find(self.store, ino)? else { return Ok(None) };
        if attr.kind != Kind::File || attr.nlink == 0 || self.memory.absent.contains(&ino) {
            return Ok(None);
        }
        let chunk_size = self.memory.chunk_size;
        let chunks = attr.size.div_ceil(chunk_size);
        if next == 0 {
            let sql = "SELECT count(*) FROM fs_data WHERE ino = ? AND chunk_index < ?";
            let stored = first(self.store, sql, &[ino.into(), chunks.into()], |row| row.int(0))?.unwrap_or(0) as u64;
            let missing = chunks.saturating_sub(stored).saturating_mul(chunk_size);
            if missing > FILL_LIMIT {
                tracing::info!(ino, missing, "left a large hole without zeroes; some of upstream's SDKs skip it");
            }
            if missing == 0 || missing > FILL_LIMIT {
                return Ok(None);
            }
        }
        let until = chunks.min(next.saturating_add((SLICE_BYTES / chunk_size).max(1)));
        let sql = "INSERT OR IGNORE INTO fs_data (ino, chunk_index, data) VALUES (?, ?, zeroblob(?))";
        for index in next..until {
            let length = self.length(index, attr.size) as u64;
            self.store.execute(sql, &[ino.into(), index.into(), length.into()])?;
        }
        Ok((until < chunks).then_some(until))
    }

    /// From the end, so that what a crash leaves is found by its inode and removed at the next open.
    fn remove_slice(&mut self, ino: Ino) -> Result<bool> {
        // What took its last name away may have failed after all.
        if inode::find(self.store, ino)?.is_none_or(|attr| attr.nlink > 0) {
            return Ok(true);
        }
        let sql = "SELECT max(chunk_index) FROM fs_data WHERE ino = ?";
        let last =
            first(self.store, sql, &[ino.into()], |row| if row.is_null(0) { Ok(None) } else { row.int(0).map(Some) })?;
        if let Some(last) = last.flatten() {
            let slice = (SLICE_BYTES * 4 / self.memory.chunk_size).max(1) as i64;
            let from = (last + 1 - slice).max(0);
            self.delete_from(ino, from as u64)?;
            if from > 0 {
                return Ok(false);
            }
        }
        self.store.execute("DELETE FROM fs_symlink WHERE ino = ?", &[ino.into()])?;
        self.store.execute("DELETE FROM fs_inode WHERE ino = ?", &[ino.into()])?;
        if self.memory.absent.contains(&ino) {
            self.no_longer_absent(ino)?;
        }
        if self.memory.has_origins {
            for sql in [
                "DELETE FROM fs_origin WHERE delta_ino = ?",
                "DELETE FROM nixbox_origin WHERE ino = ?",
                "DELETE FROM nixbox_opaque WHERE ino = ?",
                "DELETE FROM nixbox_replaced WHERE ino = ?",
            ] {
                self.store.execute(sql, &[ino.into()])?;
            }
        }
        Ok(true)
    }
}
