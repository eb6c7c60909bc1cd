//! What is changed of a file beside its content, and other names for it.

use std::ffi::OsStr;

use super::held::Held;
use super::{ByPath, Links, resolve};
use crate::error::{Error, Result};
use crate::filesystem::{AttrChange, Kind};

impl ByPath {
    /// Mode, owner, times or length. A link is followed.
    pub fn change(&self, path: &OsStr, change: AttrChange) -> Result<()> {
        let (_, held) = self.existing(path, Links::Follow)?;
        self.files.setattr(held.attr.ino, change)?;
        self.witness.inode_changed(held.attr.ino);
        Ok(())
    }

    pub fn symlink(&self, path: &OsStr, target: &OsStr) -> Result<()> {
        let place = self.place(path, Links::Keep)?;
        let name = place.last.name().filter(|_| !resolve::means_folder(path)).ok_or(Error::Errno(libc::EEXIST))?;
        let directory = place.directory.attr.ino;
        drop(Held::new(&self.files, self.files.symlink(directory, name, target, self.caller)?));
        self.told_of(directory, name);
        Ok(())
    }

    /// Another name, `path`, for what is at `to`; of a link, for the link itself.
    pub fn link(&self, path: &OsStr, to: &OsStr) -> Result<()> {
        let (_, held) = self.existing(to, Links::Keep)?;
        if held.attr.kind == Kind::Directory {
            return Err(Error::Errno(libc::EISDIR));
        }
        let place = self.place(path, Links::Keep)?;
        let name = place.last.name().filter(|_| !resolve::means_folder(path)).ok_or(Error::Errno(libc::EEXIST))?;
        let directory = place.directory.attr.ino;
        drop(Held::new(&self.files, self.files.link(held.attr.ino, directory, name)?));
        self.told_of(directory, name);
        self.witness.inode_changed(held.attr.ino);
        Ok(())
    }
}
