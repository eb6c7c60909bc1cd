//! Files whose content is somewhere else. `nixbox_absent` has a line for each: the hash of its content, and where that was
//! seen last. Of what is there of it already, whole chunks are in `fs_data` as ever; every other chunk is absent, and not
//! a hole. The line goes when the content is whole, or when it is of no interest any more.

use std::collections::HashSet;
use std::ops::Range;

use super::inode;
use super::tree::Tree;
use crate::absent::Missing;
use crate::error::{Error, Result};
use crate::filesystem::{Attr, Ino, Time};
use crate::store::{Row, Store, first};

pub(crate) const TABLE: &str = "CREATE TABLE IF NOT EXISTS nixbox_absent \
                     (ino INTEGER PRIMARY KEY, hash TEXT NOT NULL, place INTEGER NOT NULL)";
const HAS_TABLE: &str = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'nixbox_absent'";

/// A stretch of a file that is not here.
#[derive(Debug, Clone)]
pub(crate) struct Gap {
    pub ino: Ino,
    pub missing: Missing,
    pub size: u64,
    pub range: Range<u64>,
}

impl Gap {
    pub fn is_whole(&self) -> bool {
        self.range == (0..self.size)
    }
}

pub(super) fn load(store: &mut dyn Store) -> Result<HashSet<Ino>> {
    let mut absent = HashSet::new();
    if has_table(store)? {
        store.query("SELECT ino FROM nixbox_absent", &[], &mut |row| {
            absent.insert(row.int(0)? as Ino);
            Ok(())
        })?;
    }
    Ok(absent)
}

pub(super) fn has_table(store: &mut dyn Store) -> Result<bool> {
    Ok(first(store, HAS_TABLE, &[], |_| Ok(()))?.is_some())
}

fn missing(row: &dyn Row) -> Result<Missing> {
    Ok(Missing { hash: row.text(0)?.to_owned(), place: row.int(1)? as Ino })
}

impl Tree<'_> {
    pub(crate) fn missing(&mut self, ino: Ino) -> Result<Option<Missing>> {
        if !self.memory.absent.contains(&ino) {
            return Ok(None);
        }
        first(self.store, "SELECT hash, place FROM nixbox_absent WHERE ino = ?", &[ino.into()], missing)
    }

    pub(crate) fn all_missing(&mut self) -> Result<Vec<(Ino, Missing)>> {
        let mut all = Vec::new();
        if !self.memory.absent.is_empty() {
            let sql =
                "SELECT hash, place, ino FROM nixbox_absent WHERE ino IN (SELECT ino FROM fs_inode WHERE nlink > 0)";
            self.store.query(sql, &[], &mut |row| {
                all.push((row.int(2)? as Ino, missing(row)?));
                Ok(())
            })?;
        }
        Ok(all)
    }

    /// How many files are not whole, and how many bytes of them are not here.
    pub(crate) fn count_missing(&mut self) -> Result<(u64, u64)> {
        if self.memory.absent.is_empty() {
            return Ok((0, 0));
        }
        let sql = "SELECT count(*), coalesce(sum(size), 0), \
                   (SELECT count(*) FROM fs_data WHERE ino IN (SELECT ino FROM nixbox_absent)) \
                   FROM fs_inode WHERE nlink > 0 AND ino IN (SELECT ino FROM nixbox_absent)";
        let counts =
            first(self.store, sql, &[], |row| Ok((row.int(0)? as u64, row.int(1)? as u64, row.int(2)? as u64)))?;
        let (files, bytes, chunks) = counts.unwrap_or_default();
        Ok((files, bytes.saturating_sub(chunks.saturating_mul(self.memory.chunk_size))))
    }

    /// Whoever changes content has to have all of it: what is pushed in the end is the whole file.
    pub(super) fn must_be_whole(&self, ino: Ino) -> Result<()> {
        match self.memory.absent.contains(&ino) {
            true => Err(Error::Absent { ino, range: 0..u64::MAX }),
            false => Ok(()),
        }
    }

    /// An empty file is as long as that from here on, and its content is somewhere else.
    pub(crate) fn make_absent(&mut self, ino: Ino, size: u64, missing: &Missing) -> Result<()> {
        let mut attr = self.file(ino)?;
        if attr.size > 0 || size == 0 || size > super::data::MAX_SIZE {
            return Err(Error::Errno(libc::EINVAL));
        }
        self.charge_resize(0, size)?;
        self.delete_from(ino, 0)?;
        attr.size = size;
        attr.mtime = Time::now();
        attr.ctime = attr.mtime;
        inode::update(self.store, &attr)?;
        self.store.execute(TABLE, &[])?;
        self.store.execute(
            "INSERT OR REPLACE INTO nixbox_absent (ino, hash, place) VALUES (?, ?, ?)",
            &[ino.into(), missing.hash.as_str().into(), missing.place.into()],
        )?;
        self.memory.absent.insert(ino);
        Ok(())
    }

    pub(crate) fn share(&mut self, from: Ino, to: Ino) -> Result<bool> {
        let Some(missing) = self.missing(from)? else { return Ok(false) };
        let size = self.file(from)?.size;
        self.make_absent(to, size, &missing)?;
        Ok(true)
    }

    /// It is whole, or what it was is of no interest any more.
    pub(crate) fn no_longer_absent(&mut self, ino: Ino) -> Result<()> {
        self.store.execute("DELETE FROM nixbox_absent WHERE ino = ?", &[ino.into()])?;
        self.memory.absent.remove(&ino);
        Ok(())
    }

    /// What of a stretch is not here, in whole chunks: at most about `limit` bytes of it.
    pub(crate) fn gaps(&mut self, ino: Ino, range: &Range<u64>, limit: u64) -> Result<Vec<Gap>> {
        let Some(missing) = self.missing(ino)? else { return Ok(Vec::new()) };
        let Attr { size, .. } = self.file(ino)?;
        let chunk_size = self.memory.chunk_size;
        let end = range.end.min(size).div_ceil(chunk_size);
        let mut next = range.start / chunk_size;
        let mut gaps = Vec::new();
        let mut left = (limit / chunk_size).max(1);
        let mut add = |from: u64, to: u64| {
            let to = to.min(from.saturating_add(left));
            if from < to {
                left -= to - from;
                let range = from * chunk_size..(to * chunk_size).min(size);
                gaps.push(Gap { ino, missing: missing.clone(), size, range });
            }
        };
        let sql = "SELECT chunk_index FROM fs_data WHERE ino = ? AND chunk_index >= ? AND chunk_index < ? \
                   ORDER BY chunk_index";
        self.store.query(sql, &[ino.into(), next.into(), end.into()], &mut |row| {
            let here = row.int(0)? as u64;
            add(next, here);
            next = here + 1;
            Ok(())
        })?;
        add(next, end);
        Ok(gaps)
    }

    /// What has come for a gap. Of no use where the file has changed meanwhile.
    pub(crate) fn fill_gap(&mut self, gap: &Gap, content: &[u8]) -> Result<()> {
        if self.missing(gap.ino)?.as_ref().is_none_or(|missing| missing.hash != gap.missing.hash) {
            return Ok(());
        }
        let chunk_size = self.memory.chunk_size;
        let first = gap.range.start / chunk_size;
        let sql = "INSERT OR IGNORE INTO fs_data (ino, chunk_index, data) VALUES (?, ?, ?)";
        for (index, chunk) in (first..).zip(content.chunks(chunk_size as usize)) {
            self.store.execute(sql, &[gap.ino.into(), index.into(), crate::store::Arg::Blob(chunk)])?;
        }
        Ok(())
    }

    /// Every chunk is here, and nobody has looked yet whether they are what was promised.
    pub(crate) fn has_all(&mut self, ino: Ino) -> Result<bool> {
        let Attr { size, .. } = self.file(ino)?;
        let chunks = size.div_ceil(self.memory.chunk_size);
        let sql = "SELECT count(*) FROM fs_data WHERE ino = ? AND chunk_index < ?";
        Ok(first(self.store, sql, &[ino.into(), chunks.into()], |row| row.int(0))?.unwrap_or(0) as u64 == chunks)
    }

    /// What came is not what was promised: it is as if it had not.
    pub(crate) fn empty_again(&mut self, ino: Ino) -> Result<()> {
        if self.memory.absent.contains(&ino) {
            self.delete_from(ino, 0)?;
        }
        Ok(())
    }

    /// For people who look for a file by what a log says. Reads the whole table, once for each folder above.
    pub(crate) fn path_of(&mut self, ino: Ino) -> Result<String> {
        let mut parts = Vec::new();
        let mut at = ino;
        while at != crate::filesystem::ROOT && parts.len() < 256 {
            let sql = "SELECT name, parent_ino FROM fs_dentry WHERE ino = ? LIMIT 1";
            let Some((name, parent)) =
                first(self.store, sql, &[at.into()], |row| Ok((row.text(0)?.to_owned(), row.int(1)? as Ino)))?
            else {
                break;
            };
            parts.push(name);
            at = parent;
        }
        parts.reverse();
        Ok(format!("/{}", parts.join("/")))
    }
}
