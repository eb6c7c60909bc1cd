//! Room set aside, stretches that become zeroes, and what holes leave of a file's size.

use super::chores::FILL_LIMIT;
use super::data::{FILL_NOW, MAX_SIZE};
use super::inode;
use super::tree::Tree;
use crate::error::{Error, Result};
use crate::filesystem::{Allocate, Attr, AttrChange, Ino, Time};
use crate::store::first;

impl Tree<'_> {
    pub(super) fn allocate(&mut self, ino: Ino, offset: u64, length: u64, how: Allocate) -> Result<()> {
        self.must_be_whole(ino)?;
        let size = self.file(ino)?.size;
        let end = offset.checked_add(length).filter(|end| *end <= MAX_SIZE).ok_or(Error::Errno(libc::EFBIG))?;
        let grow = |tree: &mut Self| match end > size {
            true => tree.set_attr(ino, AttrChange { size: Some(end), ..AttrChange::default() }).map(drop),
            false => Ok(()),
        };
        match how {
            // What is within the file counts and has its place already; beyond its end the format holds nothing.
            Allocate::Reserve { keep_size: true } if end > size => return Err(Error::Errno(libc::EOPNOTSUPP)),
            Allocate::Reserve { keep_size: true } => {}
            Allocate::Reserve { keep_size: false } => grow(self)?,
            Allocate::Zero { keep_size } => {
                self.zero(ino, offset.min(size), end.min(size))?;
                if !keep_size {
                    grow(self)?;
                }
            }
        }
        // For Linux the file was modified, also where there was nothing to do.
        let mut attr = self.attr(ino)?;
        attr.mtime = Time::now();
        attr.ctime = attr.mtime;
        inode::update(self.store, &attr)
    }

    /// Small stretches are stored as zeroes at once; of large ones the chunks go, and come back as zeroes when the file
    /// is closed, unless they are very large.
    fn zero(&mut self, ino: Ino, from: u64, to: u64) -> Result<()> {
        let chunk_size = self.memory.chunk_size;
        let (first_whole, last_whole) = (from.div_ceil(chunk_size), to / chunk_size);
        if to - from <= FILL_NOW || first_whole >= last_whole {
            return self.write_zeroes(ino, from, to);
        }
        self.write_zeroes(ino, from, first_whole * chunk_size)?;
        self.write_zeroes(ino, last_whole * chunk_size, to)?;
        let sql = "DELETE FROM fs_data WHERE ino = ? AND chunk_index >= ? AND chunk_index < ?";
        self.store.execute(sql, &[ino.into(), first_whole.into(), last_whole.into()])?;
        self.memory.has_gaps(ino);
        Ok(())
    }

    fn write_zeroes(&mut self, ino: Ino, from: u64, to: u64) -> Result<()> {
        let zeroes = vec![0; (to.saturating_sub(from)).min(FILL_NOW) as usize];
        let mut at = from;
        while at < to {
            let piece = (to - at).min(FILL_NOW) as usize;
            self.write(ino, at, &zeroes[..piece])?;
            at += piece as u64;
        }
        Ok(())
    }

    pub(super) fn blocks(&mut self, attr: &Attr) -> Result<u64> {
        let full = attr.full_blocks();
        // Archivers take what has no blocks for nothing but zeroes.
        if self.memory.absent.contains(&attr.ino) || attr.size <= FILL_LIMIT && !self.memory.may_have_gaps(attr.ino) {
            return Ok(full);
        }
        let sql = "SELECT count(*) FROM fs_data WHERE ino = ?";
        let chunks = first(self.store, sql, &[attr.ino.into()], |row| row.int(0))?.unwrap_or(0) as u64;
        Ok(chunks.saturating_mul(self.memory.chunk_size).div_ceil(512).min(full))
    }
}
