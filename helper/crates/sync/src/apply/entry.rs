//! One entry of a target: put there, or taken away.

use std::ffi::OsStr;

use nixbox_engine::{Attr, AttrChange, Caller, Error as Engine, Ino, Kind, NewNode, ROOT, Rename, Time, TimeChange};

use super::{News, Target, find, temporary_name};
use crate::error::{Error, Result};
use crate::look::{Look, What, pair};
use crate::source::Source;

/// Everything made gets its owner with its look.
const CALLER: Caller = Caller { uid: 0, gid: 0 };

impl Target<'_> {
    /// A file that is to have another name, while folders come and go. Not one that has others already.
    pub(super) fn put_aside(&self, path: &str) -> Result<Option<String>> {
        let (parent, name, there) = self.find(path)?;
        if there.is_none_or(|there| there.kind != Kind::File || there.nlink > 1) {
            return Ok(None);
        }
        let aside = temporary_name();
        self.tree.rename((parent, OsStr::new(name)), (ROOT, OsStr::new(&aside)), Rename::NoReplace)?;
        Ok(Some(aside))
    }

    pub(super) fn remove(&self, path: &str) -> Result<()> {
        let (parent, name, there) = self.find(path)?;
        let Some(there) = there else { return Ok(()) };
        match there.kind {
            Kind::Directory => match self.tree.rmdir(parent, OsStr::new(name)) {
                // Somebody has put something into it since.
                Err(Engine::Errno(libc::ENOTEMPTY)) => return Err(Error::Moved),
                removed => removed?,
            },
            _ => self.tree.unlink(parent, OsStr::new(name))?,
        }
        self.told_of(parent, name, Some(there.ino));
        Ok(())
    }

    pub(super) fn put(&self, path: &str, look: &Look, before: Option<&Look>, source: &Source<'_>) -> Result<()> {
        let (parent, name, there) = self.find(path)?;
        let ino = match (&look.what, &there) {
            (What::Folder, Some(there)) => there.ino,
            (What::Folder, None) => self.make(parent, name, Kind::Directory, 0)?,
            (What::File { .. }, _) => return self.put_file((parent, name, there), path, look, before, source),
            (What::Same { first }, _) => return self.put_name(path, first, source),
            (What::Link { target }, there) => {
                if before.is_some_and(|before| before.is_of_kind(look)) {
                    there.as_ref().map_or(Err(Error::Moved), |there| Ok(there.ino))?
                } else {
                    self.make_way(parent, name, there.as_ref())?;
                    let attr = self.tree.symlink(parent, OsStr::new(name), OsStr::new(target), CALLER)?;
                    self.tree.forget(attr.ino, 1);
                    attr.ino
                }
            }
            (What::Fifo, there) => self.put_special(parent, name, there.as_ref(), Kind::Fifo, 0)?,
            (What::Socket, there) => self.put_special(parent, name, there.as_ref(), Kind::Socket, 0)?,
            (What::CharDevice { rdev }, there) => {
                self.put_special(parent, name, there.as_ref(), Kind::CharDevice, *rdev)?
            }
            (What::BlockDevice { rdev }, there) => {
                self.put_special(parent, name, there.as_ref(), Kind::BlockDevice, *rdev)?
            }
            // Not of the tree; see `put_layer`.
            (What::Value { .. } | What::Opaque | What::Gone | What::Touched { .. }, _) => return Ok(()),
        };
        self.dress(ino, look)?;
        self.told_of(parent, name, Some(ino));
        Ok(())
    }

    /// Nobody sees any of it before all is done, nor what was there any more then, but who has that open.
    pub(super) fn put_file(
        &self,
        (parent, name, there): (Ino, &str, Option<Attr>),
        path: &str,
        look: &Look,
        before: Option<&Look>,
        source: &Source<'_>,
    ) -> Result<()> {
        let Some(there) = there else {
            let ino = self.make(parent, name, Kind::File, 0)?;
            self.fill(ino, path, source)?;
            self.dress(ino, look)?;
            self.told_of(parent, name, Some(ino));
            return Ok(());
        };
        if let Some(before) = before.filter(|_| there.nlink == 1) {
            if before.what == look.what {
                self.dress(there.ino, look)?;
                self.told_of(parent, name, Some(there.ino));
                return Ok(());
            }
            if self.alone && before.is_of_kind(look) && self.missing(path, source)?.is_none() {
                self.write_over(&there, path, source)?;
                return self.dress(there.ino, look);
            }
        }
        let temporary = temporary_name();
        let ino = self.make(parent, &temporary, Kind::File, 0)?;
        self.fill(ino, path, source)?;
        self.dress(ino, look)?;
        self.tree.rename((parent, OsStr::new(&temporary)), (parent, OsStr::new(name)), Rename::Replace)?;
        self.told_of(parent, &temporary, None);
        self.told_of(parent, name, Some(ino));
        self.news.borrow_mut().push(News::Inode(there.ino));
        Ok(())
    }

    /// The file at `first`, or, where that did not come along, a file of its own.
    pub(super) fn put_name(&self, path: &str, first: &str, source: &Source<'_>) -> Result<()> {
        let (_, _, first) = self.find(first)?;
        let (parent, name, there) = self.find(path)?;
        let Some(first) = first.filter(|first| first.kind == Kind::File) else {
            let attr = find(&**source.tree, source.path_of(path))?;
            let what = What::File { size: attr.size, hash: String::new() };
            let look =
                Look { perm: attr.perm, uid: attr.uid, gid: attr.gid, mtime: pair(attr.mtime), what, over: None };
            return self.put_file((parent, name, there), path, &look, None, source);
        };
        if there.as_ref().is_some_and(|there| there.ino == first.ino) {
            return Ok(());
        }
        self.make_way(parent, name, there.as_ref())?;
        let attr = self.tree.link(first.ino, parent, OsStr::new(name))?;
        self.tree.forget(attr.ino, 1);
        self.told_of(parent, name, Some(first.ino));
        Ok(())
    }

    pub(super) fn put_special(
        &self,
        parent: Ino,
        name: &str,
        there: Option<&Attr>,
        kind: Kind,
        rdev: u32,
    ) -> Result<Ino> {
        if let Some(there) = there.filter(|there| there.kind == kind && there.rdev == rdev) {
            return Ok(there.ino);
        }
        self.make_way(parent, name, there)?;
        self.make(parent, name, kind, rdev)
    }

    pub(super) fn make_way(&self, parent: Ino, name: &str, there: Option<&Attr>) -> Result<()> {
        if let Some(there) = there {
            self.tree.unlink(parent, OsStr::new(name))?;
            self.told_of(parent, name, Some(there.ino));
        }
        Ok(())
    }

    pub(super) fn make(&self, parent: Ino, name: &str, kind: Kind, rdev: u32) -> Result<Ino> {
        let node = NewNode { kind, perm: 0o600, rdev, caller: CALLER };
        let attr = self.tree.create(parent, OsStr::new(name), node)?;
        // It has a name, by which it is kept.
        self.tree.forget(attr.ino, 1);
        Ok(attr.ino)
    }

    pub(super) fn dress(&self, ino: Ino, look: &Look) -> Result<()> {
        let time = Time { sec: look.mtime.0, nsec: look.mtime.1 };
        let mtime = (!look.is_folder()).then_some(TimeChange::At(time));
        let change = AttrChange {
            perm: Some(look.perm),
            uid: Some(look.uid),
            gid: Some(look.gid),
            mtime,
            ..AttrChange::default()
        };
        self.tree.setattr(ino, change)?;
        self.news.borrow_mut().push(News::Inode(ino));
        Ok(())
    }
}
