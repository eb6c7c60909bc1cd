//! Files that have no name yet. What becomes of one that never gets a name is what becomes of every file that lost it: it goes
//! with its last reference, or at the next open.

use std::ffi::OsStr;

use super::inode;
use super::limits::Held;
use super::names;
use super::tree::Tree;
use crate::error::{Error, Result};
use crate::filesystem::{Attr, Ino, Kind, NewNode, Time};

impl Tree<'_> {
    pub(crate) fn draft(&mut self, node: NewNode) -> Result<Attr> {
        if node.kind != Kind::File {
            return Err(Error::Errno(libc::EINVAL));
        }
        self.charge(Held { bytes: 0, files: 1 })?;
        let now = Time::now();
        let attr = Attr {
            ino: self.memory.new_ino(self.store)?,
            kind: Kind::File,
            perm: node.perm & 0o7777,
            nlink: 0,
            uid: node.caller.uid,
            gid: node.caller.gid,
            rdev: 0,
            size: 0,
            atime: now,
            mtime: now,
            ctime: now,
        };
        inode::insert(self.store, &attr)?;
        self.memory.looked_up(attr.ino, None);
        self.memory.lost_its_name(attr.ino);
        Ok(attr)
    }

    pub(crate) fn publish(&mut self, draft: Ino, parent: Ino, name: &OsStr) -> Result<()> {
        let name = names::new_name(name)?;
        let directory = self.directory(parent)?;
        let mut attr = self.attr(draft)?;
        if attr.kind != Kind::File || attr.nlink != 0 {
            return Err(Error::Errno(libc::EINVAL));
        }
        let replaced = self.child(parent, name)?;
        if replaced.as_ref().is_some_and(|replaced| replaced.kind == Kind::Directory) {
            return Err(Error::Errno(libc::EISDIR));
        }
        let now = Time::now();
        if replaced.is_some() {
            self.delete_entry(parent, name)?;
        }
        attr.nlink = 1;
        attr.ctime = now;
        inode::update(self.store, &attr)?;
        self.add_entry(parent, name, draft)?;
        inode::entries_changed(self.store, directory, now, 0)?;
        if let Some(replaced) = replaced {
            self.drop_link(replaced, now)?;
        }
        self.memory.got_a_name(draft);
        Ok(())
    }
}
