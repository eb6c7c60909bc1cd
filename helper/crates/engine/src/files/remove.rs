//! Taking names away. What has no name left stays until nobody refers to it.

use std::ffi::OsStr;

use super::inode;
use super::names;
use super::tree::Tree;
use crate::error::{Error, Result};
use crate::filesystem::{Attr, Ino, Kind, Time};
use crate::store::first;

impl Tree<'_> {
    pub(crate) fn unlink(&mut self, parent: Ino, name: &OsStr) -> Result<()> {
        let (directory, name, attr) = self.named(parent, name)?;
        if attr.kind == Kind::Directory {
            return Err(Error::Errno(libc::EISDIR));
        }
        self.remove_entry(directory, name, attr)
    }

    pub(crate) fn rmdir(&mut self, parent: Ino, name: &OsStr) -> Result<()> {
        let (directory, name, attr) = self.named(parent, name)?;
        if attr.kind != Kind::Directory {
            return Err(Error::Errno(libc::ENOTDIR));
        }
        self.must_be_empty(attr.ino)?;
        self.remove_entry(directory, name, attr)
    }

    pub(super) fn named<'n>(&mut self, parent: Ino, name: &'n OsStr) -> Result<(Attr, &'n str, Attr)> {
        let name = names::known_name(name)?;
        let directory = self.directory(parent)?;
        let name = name.ok_or(Error::Errno(libc::ENOENT))?;
        let attr = self.child(parent, name)?.ok_or(Error::Errno(libc::ENOENT))?;
        Ok((directory, name, attr))
    }

    pub(super) fn must_be_empty(&mut self, ino: Ino) -> Result<()> {
        match first(self.store, "SELECT 1 FROM fs_dentry WHERE parent_ino = ? LIMIT 1", &[ino.into()], |_| Ok(()))? {
            Some(()) => Err(Error::Errno(libc::ENOTEMPTY)),
            None => Ok(()),
        }
    }

    fn remove_entry(&mut self, directory: Attr, name: &str, attr: Attr) -> Result<()> {
        let now = Time::now();
        self.delete_entry(directory.ino, name)?;
        inode::entries_changed(self.store, directory, now, -i32::from(attr.kind == Kind::Directory))?;
        self.drop_link(attr, now)
    }

    pub(super) fn delete_entry(&mut self, parent: Ino, name: &str) -> Result<()> {
        let sql = "DELETE FROM fs_dentry WHERE parent_ino = ? AND name = ?";
        self.store.execute(sql, &[parent.into(), name.into()])?;
        Ok(())
    }

    /// Touches the memory, so it must be the last step of a change.
    pub(super) fn drop_link(&mut self, mut attr: Attr, now: Time) -> Result<()> {
        attr.nlink = if attr.kind == Kind::Directory { 0 } else { attr.nlink.saturating_sub(1) };
        attr.ctime = now;
        inode::update(self.store, &attr)?;
        if attr.nlink == 0 {
            self.memory.lost_its_name(attr.ino);
        }
        Ok(())
    }
}
