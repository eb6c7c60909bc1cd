//! Finding and making entries.

use std::ffi::{OsStr, OsString};
use std::ops::Range;

use super::inode::{self, columns};
use super::limits::Held;
use super::memory::Memory;
use super::names;
use crate::error::{Error, Result};
use crate::filesystem::{Attr, Caller, Entry, Ino, Kind, NewNode, ROOT, Time};
use crate::listing::{self, Listing, Name};
use crate::store::{Store, first};

/// The database for the length of one call.
pub(crate) struct Tree<'a> {
    pub store: &'a mut dyn Store,
    pub memory: &'a mut Memory,
}

impl Tree<'_> {
    pub(super) fn lookup(&mut self, parent: Ino, name: &OsStr) -> Result<Attr> {
        let found = match names::known_name(name)? {
            Some(name) => self.child(parent, name)?,
            None => None,
        };
        let Some(attr) = found else {
            self.directory(parent)?;
            return Err(Error::Errno(libc::ENOENT));
        };
        self.refer_to(&attr, parent);
        Ok(attr)
    }

    pub(super) fn lookup_all(
        &mut self,
        parent: Ino,
        listing: &Listing,
        some: &Range<usize>,
    ) -> Result<Vec<Option<Attr>>> {
        let found = self.children(parent, listing, some)?;
        for attr in found.iter().flatten() {
            self.refer_to(attr, parent);
        }
        Ok(found)
    }

    /// The entries of these names as they are now: as they were listed, while nothing has changed.
    pub(crate) fn children(
        &mut self,
        parent: Ino,
        listing: &Listing,
        some: &Range<usize>,
    ) -> Result<Vec<Option<Attr>>> {
        const SQL: &str = concat!(
            "SELECT ",
            columns!(),
            ", d.name FROM fs_dentry d JOIN fs_inode i ON i.ino = d.ino \
             WHERE d.parent_ino = ? AND d.name BETWEEN ? AND ? ORDER BY d.name"
        );
        let names = listing.of(some);
        let memory = &mut *self.memory;
        if memory.changes == listing.changes {
            names.iter().filter_map(|name| name.attr.as_ref()).for_each(|attr| memory.attrs.keep(attr));
            return Ok(names.iter().map(|name| name.attr).collect());
        }
        let mut found = vec![None; names.len()];
        let mut known = listing::as_str(names);
        let Some(first) = known.next() else { return Ok(found) };
        let last = known.next_back().unwrap_or(first);
        let mut at = 0;
        self.store.query(SQL, &[parent.into(), first.into(), last.into()], &mut |row| {
            let name = OsStr::new(row.text(inode::COLUMNS)?);
            while names.get(at).is_some_and(|wanted| wanted.name.as_os_str() < name) {
                at += 1;
            }
            if names.get(at).is_some_and(|wanted| wanted.name == name) {
                let attr = inode::attr(row)?;
                memory.attrs.keep(&attr);
                found[at] = Some(attr);
            }
            Ok(())
        })?;
        Ok(found)
    }

    pub(crate) fn child(&mut self, parent: Ino, name: &str) -> Result<Option<Attr>> {
        const SQL: &str = concat!(
            "SELECT ",
            columns!(),
            " FROM fs_dentry d JOIN fs_inode i ON i.ino = d.ino WHERE d.parent_ino = ? AND d.name = ?"
        );
        let found = first(self.store, SQL, &[parent.into(), name.into()], inode::attr)?;
        if let Some(attr) = &found {
            self.memory.attrs.keep(attr);
        }
        Ok(found)
    }

    pub(crate) fn attr(&mut self, ino: Ino) -> Result<Attr> {
        if let Some(attr) = self.memory.attrs.get(ino) {
            return Ok(attr);
        }
        let attr = inode::get(self.store, ino)?;
        self.memory.attrs.keep(&attr);
        Ok(attr)
    }

    /// A directory that still has a name; entries cannot be made in one that was removed.
    pub(crate) fn directory(&mut self, ino: Ino) -> Result<Attr> {
        let attr = self.attr(ino)?;
        match attr.kind {
            Kind::Directory if attr.nlink == 0 => Err(Error::Errno(libc::ENOENT)),
            Kind::Directory => Ok(attr),
            _ => Err(Error::Errno(libc::ENOTDIR)),
        }
    }

    /// Answers its size where it is opened for the first time since it was looked up or made.
    pub(super) fn open(&mut self, ino: Ino) -> Result<Option<u64>> {
        let attr = self.attr(ino)?;
        // What is absent comes when it is read, and not when it is opened.
        Ok((self.memory.opened(ino) && !self.memory.absent.contains(&ino)).then_some(attr.size))
    }

    pub(crate) fn read_link(&mut self, ino: Ino) -> Result<OsString> {
        if self.attr(ino)?.kind != Kind::Symlink {
            return Err(Error::Errno(libc::EINVAL));
        }
        let target = first(self.store, "SELECT target FROM fs_symlink WHERE ino = ?", &[ino.into()], |row| {
            Ok(OsString::from(row.text(0)?))
        })?;
        target.ok_or_else(|| inode::damaged(format!("the symbolic link {ino} has no target")))
    }

    pub(crate) fn create(&mut self, parent: Ino, name: &OsStr, node: NewNode) -> Result<Attr> {
        if node.kind == Kind::Symlink {
            return Err(Error::Errno(libc::EINVAL));
        }
        self.make(parent, name, node, None)
    }

    pub(crate) fn symlink(&mut self, parent: Ino, name: &OsStr, target: &OsStr, caller: Caller) -> Result<Attr> {
        let target = names::new_target(target)?;
        self.make(parent, name, NewNode { kind: Kind::Symlink, perm: 0o777, rdev: 0, caller }, Some(target))
    }

    fn make(&mut self, parent: Ino, name: &OsStr, node: NewNode, target: Option<&str>) -> Result<Attr> {
        let name = names::new_name(name)?;
        let directory = self.directory(parent)?;
        self.must_be_free(parent, name)?;
        self.charge(Held { bytes: 0, files: 1 })?;
        let now = Time::now();
        let is_directory = node.kind == Kind::Directory;
        let node = NewNode { perm: node.perm & 0o7777, ..node }.in_directory(&directory);
        let attr = Attr {
            ino: self.memory.new_ino(self.store)?,
            kind: node.kind,
            perm: node.perm,
            nlink: if is_directory { 2 } else { 1 },
            uid: node.caller.uid,
            gid: node.caller.gid,
            rdev: if matches!(node.kind, Kind::CharDevice | Kind::BlockDevice) { node.rdev } else { 0 },
            size: target.map_or(0, |target| target.len() as u64),
            atime: now,
            mtime: now,
            ctime: now,
        };
        inode::insert(self.store, &attr)?;
        if let Some(target) = target {
            self.store
                .execute("INSERT INTO fs_symlink (ino, target) VALUES (?, ?)", &[attr.ino.into(), target.into()])?;
        }
        self.add_entry(parent, name, attr.ino)?;
        inode::entries_changed(self.store, directory, now, i32::from(is_directory))?;
        self.refer_to(&attr, parent);
        Ok(attr)
    }

    pub(crate) fn link(&mut self, ino: Ino, parent: Ino, name: &OsStr) -> Result<Attr> {
        let name = names::new_name(name)?;
        let mut attr = self.attr(ino)?;
        let directory = self.directory(parent)?;
        self.must_be_free(parent, name)?;
        if attr.kind == Kind::Directory {
            return Err(Error::Errno(libc::EPERM));
        }
        if attr.nlink == 0 {
            return Err(Error::Errno(libc::ENOENT));
        }
        let now = Time::now();
        attr.nlink += 1;
        attr.ctime = now;
        inode::update(self.store, &attr)?;
        self.add_entry(parent, name, ino)?;
        inode::entries_changed(self.store, directory, now, 0)?;
        self.refer_to(&attr, parent);
        Ok(attr)
    }

    /// An entry whose inode is missing is not there for any reader, and gives way.
    fn must_be_free(&mut self, parent: Ino, name: &str) -> Result<()> {
        if self.child(parent, name)?.is_some() {
            return Err(Error::Errno(libc::EEXIST));
        }
        Ok(())
    }

    pub(super) fn add_entry(&mut self, parent: Ino, name: &str, ino: Ino) -> Result<()> {
        self.store.execute(
            "INSERT OR REPLACE INTO fs_dentry (name, parent_ino, ino) VALUES (?, ?, ?)",
            &[name.into(), parent.into(), ino.into()],
        )?;
        Ok(())
    }

    fn refer_to(&mut self, attr: &Attr, parent: Ino) {
        self.memory.looked_up(attr.ino, (attr.kind == Kind::Directory).then_some(parent));
    }

    pub(crate) fn entries(&mut self, ino: Ino) -> Result<Vec<Entry>> {
        const SQL: &str = concat!(
            "SELECT ",
            columns!(),
            ", d.name FROM fs_dentry d JOIN fs_inode i ON i.ino = d.ino WHERE d.parent_ino = ? ORDER BY d.name"
        );
        if self.attr(ino)?.kind != Kind::Directory {
            return Err(Error::Errno(libc::ENOTDIR));
        }
        let mut entries = Vec::new();
        self.store.query(SQL, &[ino.into()], &mut |row| {
            let name = row.text(inode::COLUMNS)?;
            if names::is_possible(name) {
                entries.push(Entry { name: name.into(), attr: inode::attr(row)? });
            } else {
                tracing::warn!(directory = ino, name, "left out an entry whose name no system can show");
            }
            Ok(())
        })?;
        Ok(entries)
    }

    pub(crate) fn list(&mut self, ino: Ino) -> Result<Listing> {
        let name = |Entry { name, attr }: Entry| Name { name, ino: attr.ino, kind: attr.kind, attr: Some(attr) };
        let names = self.entries(ino)?.into_iter().map(name).collect();
        Ok(Listing { names, changes: self.memory.changes })
    }

    pub(crate) fn parent(&mut self, directory: Ino) -> Result<Ino> {
        if directory == ROOT {
            return Ok(ROOT);
        }
        if let Some(parent) = self.memory.parent(directory) {
            return Ok(parent);
        }
        // Reads the whole table. Only for a directory that was reached by its number alone.
        let sql = "SELECT parent_ino FROM fs_dentry WHERE ino = ? LIMIT 1";
        let parent = first(self.store, sql, &[directory.into()], |row| row.int(0))?;
        parent.map(|parent| parent as Ino).ok_or(Error::Errno(libc::ENOENT))
    }
}
