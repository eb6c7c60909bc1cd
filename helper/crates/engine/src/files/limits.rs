//! How much an instance may hold. Counted when the change is made and before it is acknowledged, so that a limit never
//! takes back what a program was told is written.

use super::chores::Chore;
use super::inode;
use super::tree::Tree;
use crate::error::{Error, Result};
use crate::filesystem::{Ino, Kind, StatFs};
use crate::store::{Store, first};

/// Of what the database itself holds: nothing of a base counts before it is copied up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Bytes of content. A file counts with its length, holes included: most of them are stored as zeroes.
    pub size: Option<u64>,
    /// Files, folders, links and all else that has an inode.
    pub files: Option<u64>,
}

impl Limits {
    pub(crate) fn are_set(&self) -> bool {
        self.size.is_some() || self.files.is_some()
    }
}

/// A part of what is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Held {
    pub bytes: u64,
    pub files: u64,
}

#[derive(Debug, Default, Clone)]
pub(crate) struct Usage {
    limits: Limits,
    charged: Held,
    /// Given back by what has no name left. Apart, because it stands also when the change fails in which it was counted.
    refunded: Held,
}

impl Usage {
    pub fn load(store: &mut dyn Store, limits: Limits) -> Result<Self> {
        let mut usage = Self { limits, ..Self::default() };
        if limits.are_set() {
            let sql = "SELECT coalesce(sum(size) FILTER (WHERE mode & 61440 = 32768), 0), count(*) FROM fs_inode \
                       WHERE ino <> 1";
            let held = first(store, sql, &[], |row| Ok((row.int(0)?, row.int(1)?)))?.unwrap_or_default();
            let natural = |number: i64| u64::try_from(number).unwrap_or(0);
            usage.charged = Held { bytes: natural(held.0), files: natural(held.1) };
        }
        Ok(usage)
    }

    pub fn charged(&self) -> Held {
        self.charged
    }

    /// The change in which it was charged has failed.
    pub fn reset(&mut self, charged: Held) {
        self.charged = charged;
    }

    fn held(&self) -> Held {
        Held {
            bytes: self.charged.bytes.saturating_sub(self.refunded.bytes),
            files: self.charged.files.saturating_sub(self.refunded.files),
        }
    }

    fn room_for(&self, more: Held) -> Result<()> {
        let Held { bytes, files } = self.held();
        if let Some(limit) = self.limits.size
            && more.bytes > 0
            && bytes.saturating_add(more.bytes) > limit
        {
            return Err(Error::LimitSize { limit });
        }
        if let Some(limit) = self.limits.files
            && more.files > 0
            && files.saturating_add(more.files) > limit
        {
            return Err(Error::LimitFiles { limit });
        }
        Ok(())
    }

    fn add(&mut self, more: Held) {
        self.charged.bytes = self.charged.bytes.saturating_add(more.bytes);
        self.charged.files = self.charged.files.saturating_add(more.files);
    }

    /// As a disk of that size would say it, or as the real one says where that has less.
    pub fn shown(&self, disk: StatFs) -> StatFs {
        let held = self.held();
        let mut shown = disk;
        if let Some(limit) = self.limits.size {
            let block = u64::from(disk.block_size).max(1);
            shown.blocks = limit / block;
            shown.blocks_free = (limit.saturating_sub(held.bytes) / block).min(disk.blocks_free);
        }
        if let Some(limit) = self.limits.files {
            shown.files = limit;
            shown.files_free = limit.saturating_sub(held.files).min(disk.files_free);
        }
        shown
    }
}

impl Tree<'_> {
    /// Before the change that needs it.
    pub(super) fn charge(&mut self, more: Held) -> Result<()> {
        self.room_for(more)?;
        self.memory.usage.add(more);
        Ok(())
    }

    /// Counts what may not be refused: a folder that is only there to say that a name in it is gone.
    pub(super) fn charge_anyhow(&mut self, more: Held) {
        self.memory.usage.add(more);
    }

    pub(crate) fn room_for(&mut self, more: Held) -> Result<()> {
        if self.memory.usage.room_for(more).is_ok() {
            return Ok(());
        }
        self.refund()?;
        self.memory.usage.room_for(more)
    }

    /// A file has another length.
    pub(super) fn charge_resize(&mut self, before: u64, after: u64) -> Result<()> {
        if after > before {
            return self.charge(Held { bytes: after - before, files: 0 });
        }
        let charged = &mut self.memory.usage.charged;
        charged.bytes = charged.bytes.saturating_sub(before - after);
        Ok(())
    }

    /// Whoever removes something has its room at once, though the rows go later.
    pub(super) fn refund(&mut self) -> Result<()> {
        if !self.memory.usage.limits.are_set() {
            return Ok(());
        }
        for index in 0..self.memory.chores.len() {
            let Some(Chore::Remove { ino, refunded: false }) = self.memory.chores.get(index).copied() else { continue };
            let held = self.held_without_name(ino)?;
            let refunded = &mut self.memory.usage.refunded;
            refunded.bytes += held.bytes;
            refunded.files += held.files;
            self.memory.chores[index] = Chore::Remove { ino, refunded: true };
        }
        Ok(())
    }

    fn held_without_name(&mut self, ino: Ino) -> Result<Held> {
        Ok(match inode::find(self.store, ino)? {
            Some(attr) if attr.nlink == 0 => {
                Held { bytes: if attr.kind == Kind::File { attr.size } else { 0 }, files: 1 }
            }
            _ => Held::default(),
        })
    }
}
