//! Content, in chunks. Every stored chunk is as long as its place in the file says: full, or up to the file's end.
//!
//! The SDKs of npm and PyPI read a file by joining its chunks in order, without a look at their numbers, so holes
//! are stored as zeroes. Small ones at once; large ones when the file is closed (a linker that first sets the size
//! and then writes everything pays nothing), and beyond [`FILL_LIMIT`](super::chores::FILL_LIMIT) not at all, as
//! upstream's own mount does. Reading takes missing and short chunks for zeroes.

use super::inode;
use super::tree::Tree;
use crate::error::{Error, Result};
use crate::filesystem::{Attr, AttrChange, Ino, Kind, Time, TimeChange};
use crate::store::{Arg, first};

/// A hole up to this size is filled in the same call.
pub(super) const FILL_NOW: u64 = Attr::SMALL_HOLE;
pub(super) const MAX_SIZE: u64 = i64::MAX as u64;

impl Tree<'_> {
    pub(crate) fn read(&mut self, ino: Ino, offset: u64, size: u32) -> Result<Vec<u8>> {
        let attr = self.file(ino)?;
        let end = offset.saturating_add(u64::from(size)).min(attr.size);
        if offset >= end {
            return Ok(Vec::new());
        }
        let chunk_size = self.memory.chunk_size;
        let (first, last) = (offset / chunk_size, (end - 1) / chunk_size);
        let mut chunks = 0;
        let mut content = vec![0; (end - offset) as usize];
        self.store.query(
            "SELECT chunk_index, data FROM fs_data WHERE ino = ? AND chunk_index BETWEEN ? AND ?",
            &[ino.into(), first.into(), last.into()],
            &mut |row| {
                chunks += 1;
                let start = row.int(0)? as u64 * chunk_size;
                let chunk = row.blob(1)?;
                let chunk = &chunk[..chunk.len().min(chunk_size as usize)];
                let from = offset.max(start);
                let to = end.min(start + chunk.len() as u64);
                if from < to {
                    content[(from - offset) as usize..(to - offset) as usize]
                        .copy_from_slice(&chunk[(from - start) as usize..(to - start) as usize]);
                }
                Ok(())
            },
        )?;
        if chunks <= last - first && self.memory.absent.contains(&ino) {
            return Err(Error::Absent { ino, range: offset..end });
        }
        Ok(content)
    }

    pub(crate) fn write(&mut self, ino: Ino, offset: u64, data: &[u8]) -> Result<u32> {
        let mut attr = self.file(ino)?;
        let length = u32::try_from(data.len()).map_err(|_| Error::Errno(libc::EINVAL))?;
        if data.is_empty() {
            return Ok(0);
        }
        self.must_be_whole(ino)?;
        let end = offset.checked_add(data.len() as u64).filter(|end| *end <= MAX_SIZE);
        let end = end.ok_or(Error::Errno(libc::EFBIG))?;
        let chunk_size = self.memory.chunk_size;
        let old_size = attr.size;
        let new_size = old_size.max(end);
        self.charge_resize(old_size, new_size)?;
        let gaps = self.extend(ino, old_size, new_size, offset / chunk_size)?;
        let mut at = offset;
        let mut rest = data;
        while !rest.is_empty() {
            let index = at / chunk_size;
            let within = (at % chunk_size) as usize;
            let (piece, later) = rest.split_at(rest.len().min(chunk_size as usize - within));
            let full = self.length(index, new_size);
            if piece.len() == full {
                self.put(ino, index, piece)?;
            } else {
                let mut chunk = self.chunk(ino, index, old_size)?.unwrap_or_default();
                chunk.resize(full, 0);
                chunk[within..within + piece.len()].copy_from_slice(piece);
                self.put(ino, index, &chunk)?;
            }
            at += piece.len() as u64;
            rest = later;
        }
        attr.size = new_size;
        attr.mtime = Time::now();
        attr.ctime = attr.mtime;
        inode::update(self.store, &attr)?;
        if gaps {
            self.memory.has_gaps(ino);
        }
        Ok(length)
    }

    pub(crate) fn set_attr(&mut self, ino: Ino, change: AttrChange) -> Result<Attr> {
        let mut attr = self.attr(ino)?;
        let now = Time::now();
        let mut gaps = false;
        if let Some(size) = change.size {
            self.file(ino)?;
            if size > 0 {
                self.must_be_whole(ino)?;
            }
            self.charge_resize(attr.size, size)?;
            gaps = self.resize(&attr, size)?;
            attr.size = size;
            attr.mtime = now;
        }
        attr.perm = change.perm.map_or(attr.perm, |perm| perm & 0o7777);
        attr.uid = change.uid.unwrap_or(attr.uid);
        attr.gid = change.gid.unwrap_or(attr.gid);
        for (time, change) in [(&mut attr.atime, change.atime), (&mut attr.mtime, change.mtime)] {
            match change {
                Some(TimeChange::Now) => *time = now,
                Some(TimeChange::At(at)) => *time = at,
                None => {}
            }
        }
        attr.ctime = now;
        inode::update(self.store, &attr)?;
        if change.size.is_some() && self.memory.absent.contains(&ino) {
            // Nothing of it is wanted any more.
            self.no_longer_absent(ino)?;
        }
        if gaps {
            self.memory.has_gaps(ino);
        }
        Ok(attr)
    }

    fn resize(&mut self, attr: &Attr, size: u64) -> Result<bool> {
        if size > MAX_SIZE {
            return Err(Error::Errno(libc::EFBIG));
        }
        let chunk_size = self.memory.chunk_size;
        if size >= attr.size {
            return self.extend(attr.ino, attr.size, size, size.div_ceil(chunk_size));
        }
        self.delete_from(attr.ino, size.div_ceil(chunk_size))?;
        let last = size / chunk_size;
        let kept = self.length(last, size);
        if kept > 0
            && let Some(mut chunk) = self.chunk(attr.ino, last, attr.size)?
        {
            chunk.truncate(kept);
            self.put(attr.ino, last, &chunk)?;
        }
        Ok(false)
    }

    /// Brings the chunks before the chunk `until` to the lengths that they have in a file of `new_size`. Says
    /// whether a hole was left open.
    fn extend(&mut self, ino: Ino, old_size: u64, new_size: u64, until: u64) -> Result<bool> {
        if new_size == old_size {
            return Ok(false);
        }
        let chunk_size = self.memory.chunk_size;
        let partial = old_size / chunk_size;
        if !old_size.is_multiple_of(chunk_size) && partial < until {
            let mut chunk = self.chunk(ino, partial, old_size)?.unwrap_or_default();
            chunk.resize(self.length(partial, new_size), 0);
            self.put(ino, partial, &chunk)?;
        }
        let missing = old_size.div_ceil(chunk_size)..until;
        if missing.is_empty() {
            return Ok(false);
        }
        if (missing.end - missing.start).saturating_mul(chunk_size) > FILL_NOW {
            // Nothing can be valid there; another program may have left something all the same.
            self.delete_from(ino, missing.start)?;
            return Ok(true);
        }
        let zeroes = vec![0; chunk_size as usize];
        for index in missing {
            let length = self.length(index, new_size);
            self.put(ino, index, &zeroes[..length])?;
        }
        Ok(false)
    }

    pub(super) fn file(&mut self, ino: Ino) -> Result<Attr> {
        let attr = self.attr(ino)?;
        match attr.kind {
            Kind::File => Ok(attr),
            Kind::Directory => Err(Error::Errno(libc::EISDIR)),
            _ => Err(Error::Errno(libc::EINVAL)),
        }
    }

    /// How long a chunk is in a file of `size`.
    pub(super) fn length(&self, index: u64, size: u64) -> usize {
        let chunk_size = self.memory.chunk_size;
        size.saturating_sub(index.saturating_mul(chunk_size)).min(chunk_size) as usize
    }

    /// What is valid of a chunk in a file of `size`.
    fn chunk(&mut self, ino: Ino, index: u64, size: u64) -> Result<Option<Vec<u8>>> {
        let valid = self.length(index, size);
        if valid == 0 {
            return Ok(None);
        }
        let sql = "SELECT data FROM fs_data WHERE ino = ? AND chunk_index = ?";
        first(self.store, sql, &[ino.into(), index.into()], |row| {
            let chunk = row.blob(0)?;
            let mut content = Vec::with_capacity(self.memory.chunk_size as usize);
            content.extend_from_slice(&chunk[..chunk.len().min(valid)]);
            Ok(content)
        })
    }

    fn put(&mut self, ino: Ino, index: u64, chunk: &[u8]) -> Result<()> {
        self.store.execute(
            "INSERT INTO fs_data (ino, chunk_index, data) VALUES (?, ?, ?) \
             ON CONFLICT (ino, chunk_index) DO UPDATE SET data = excluded.data",
            &[ino.into(), index.into(), Arg::Blob(chunk)],
        )?;
        Ok(())
    }

    pub(super) fn delete_from(&mut self, ino: Ino, index: u64) -> Result<usize> {
        let sql = "DELETE FROM fs_data WHERE ino = ? AND chunk_index >= ?";
        self.store.execute(sql, &[ino.into(), index.into()])
    }
}
