//! What an entry of the database was in the base, or took the place of: so that it can be told when somebody else has
//! worked on that, too.

use std::path::Path;

use super::base::{Identity, Stat};
use super::whiteouts::key;
use super::{Found, Overlay, nodes};
use crate::error::{Error, Result};
use crate::files::tree::Tree;
use crate::filesystem::{Ino, Kind};
use crate::store::{Arg, first};

/// A file of the base as it was.
pub(super) struct Origin {
    base_ino: Ino,
    size: u64,
    mtime: (i64, i64),
    hash: Option<String>,
}

impl Origin {
    const COLUMNS: &str = "base_ino, size, mtime, mtime_nsec, hash";

    fn of(stat: &Stat) -> Self {
        let attr = &stat.attr;
        let mtime = (attr.mtime.sec, i64::from(attr.mtime.nsec));
        Self { base_ino: attr.ino, size: attr.size, mtime, hash: None }
    }

    /// As what `ino` takes the place of at `path`.
    pub(super) fn note(&self, tree: &mut Tree<'_>, ino: Ino, path: &Path) -> Result<()> {
        let (key, hash) = (key(path)?, self.hash.as_deref());
        let (sec, nsec) = self.mtime;
        tree.store.execute(
            "INSERT OR REPLACE INTO nixbox_replaced (ino, path, base_ino, size, mtime, mtime_nsec, hash) \
             VALUES (?, ?, ?, ?, ?, ?, ?)",
            &[
                ino.into(),
                key.as_str().into(),
                self.base_ino.into(),
                self.size.into(),
                sec.into(),
                nsec.into(),
                hash.into(),
            ],
        )?;
        Ok(())
    }

    fn read(tree: &mut Tree<'_>, table: &str, condition: &str, args: &[Arg<'_>]) -> Result<Option<Self>> {
        let sql = format!("SELECT {} FROM {table} WHERE {condition}", Self::COLUMNS);
        first(tree.store, &sql, args, |row| {
            Ok(Self {
                base_ino: row.int(0)? as Ino,
                size: row.int(1)? as u64,
                mtime: (row.int(2)?, row.int(3)?),
                hash: if row.is_null(4) { None } else { Some(row.text(4)?.to_owned()) },
            })
        })
    }
}

impl Overlay {
    /// Notes what `ino` takes the place of at `path`, within the change in which it does.
    pub(super) fn takes_place(
        &self,
        tree: &mut Tree<'_>,
        ino: Ino,
        path: &Path,
        replaced: Option<&Found>,
    ) -> Result<()> {
        match self.stood_for(tree, path, replaced)? {
            Some(origin) => origin.note(tree, ino, path),
            None => Ok(()),
        }
    }

    /// What `replaced` was in the base or took the place of itself, else what the base has at its path.
    pub(super) fn stood_for(
        &self,
        tree: &mut Tree<'_>,
        path: &Path,
        replaced: Option<&Found>,
    ) -> Result<Option<Origin>> {
        if let Some(delta) = replaced.and_then(|replaced| replaced.delta)
            && let Some(origin) = Self::origin(tree, delta, path)?
            && self.is_from(tree, delta, path, &origin)?
        {
            return Ok(Some(origin));
        }
        let there = self.base.stat(path)?.filter(|stat| stat.id.kind != Kind::Directory);
        Ok(there.as_ref().map(Origin::of))
    }

    /// What the entry at `path` stands for, if it is known.
    fn origin(tree: &mut Tree<'_>, delta: Ino, path: &Path) -> Result<Option<Origin>> {
        let key = key(path)?;
        match Origin::read(tree, "nixbox_replaced", "ino = ? AND path = ?", &[delta.into(), key.as_str().into()])? {
            Some(origin) => Ok(Some(origin)),
            None => Origin::read(tree, "nixbox_origin", "ino = ?", &[delta.into()]),
        }
    }

    /// Whether the base's file is another now than when it was copied up or replaced.
    pub(crate) fn diverged(&self, delta: Ino, path: &Path, now: Option<&Stat>) -> Result<bool> {
        let Some(origin) = self.files.read_tree(|tree| Self::origin(tree, delta, path))? else { return Ok(false) };
        let Some(now) = now else {
            // Taken away underneath.
            return self.files.read_tree(|tree| self.is_from(tree, delta, path, &origin));
        };
        if now.id.kind == Kind::Directory {
            // A folder is what it was; a file is one no more.
            return self.files.read_tree(|tree| {
                Ok(tree.attr(delta)?.kind != Kind::Directory && self.is_from(tree, delta, path, &origin)?)
            });
        }
        let attr = &now.attr;
        if attr.size == origin.size && (attr.mtime.sec, i64::from(attr.mtime.nsec)) == origin.mtime {
            return Ok(false);
        }
        // Touched, and still the same.
        match origin.hash {
            Some(hash) if now.id.kind == Kind::File && attr.size == origin.size => {
                Ok(self.hash_of_base(path)?.to_hex().as_str() != hash)
            }
            _ => Ok(true),
        }
    }

    /// Whether the base had it at this path; it may have been copied up at another, and moved here since.
    fn is_from(&self, tree: &mut Tree<'_>, delta: Ino, path: &Path, origin: &Origin) -> Result<bool> {
        let key = key(path)?;
        let replaced = "SELECT 1 FROM nixbox_replaced WHERE ino = ? AND path = ?";
        if first(tree.store, replaced, &[delta.into(), key.as_str().into()], |_| Ok(()))?.is_some() {
            return Ok(true);
        }
        let shown = "SELECT shown FROM nixbox_origin WHERE ino = ?";
        let shown = first(tree.store, shown, &[delta.into()], |row| row.int(0))?;
        let Some(shown) = shown else { return Ok(false) };
        Ok(self.number_was(path, origin.base_ino, tree.attr(delta)?.kind)? == shown as Ino)
    }

    /// What is shown as the number of something of the base, as long as nothing else has that.
    pub(crate) fn number_was(&self, path: &Path, base_ino: Ino, kind: Kind) -> Result<Ino> {
        let root = self.base.stat(Path::new(""))?.ok_or(Error::Errno(libc::ENOENT))?;
        Ok(nodes::first_number(path, &Identity { dev: root.id.dev, ino: base_ino, kind }))
    }
}
