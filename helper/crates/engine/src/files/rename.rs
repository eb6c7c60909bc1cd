use std::ffi::OsStr;

use super::inode;
use super::names;
use super::tree::Tree;
use crate::error::{Error, Result};
use crate::filesystem::{Attr, Ino, Kind, ROOT, Rename, Time};

impl Tree<'_> {
    pub(crate) fn rename(&mut self, from: (Ino, &OsStr), to: (Ino, &OsStr), how: Rename) -> Result<()> {
        let new_name = names::new_name(to.1)?;
        let (from_directory, old_name, mut moved) = self.named(from.0, from.1)?;
        self.directory(to.0)?;
        let replaced = self.child(to.0, new_name)?;
        if how == Rename::Exchange {
            let other = replaced.ok_or(Error::Errno(libc::ENOENT))?;
            return self.exchange((from.0, old_name, moved), (to.0, new_name, other));
        }
        if replaced.is_some() && how == Rename::NoReplace {
            return Err(Error::Errno(libc::EEXIST));
        }
        let moves_directory = moved.kind == Kind::Directory;
        if moves_directory && self.is_within(to.0, moved.ino)? {
            return Err(Error::Errno(libc::EINVAL));
        }
        if let Some(replaced) = &replaced {
            // Two names of one file: POSIX leaves both.
            if replaced.ino == moved.ino {
                return Ok(());
            }
            self.may_replace(replaced, &moved, from.0)?;
        }

        let now = Time::now();
        let same_directory = from.0 == to.0;
        if replaced.is_some() {
            self.delete_entry(to.0, new_name)?;
        }
        self.store.execute(
            "UPDATE OR REPLACE fs_dentry SET parent_ino = ?, name = ? WHERE parent_ino = ? AND name = ?",
            &[to.0.into(), new_name.into(), from.0.into(), old_name.into()],
        )?;
        moved.ctime = now;
        inode::update(self.store, &moved)?;
        let replaces_directory = replaced.as_ref().is_some_and(|attr| attr.kind == Kind::Directory);
        let gained = i32::from(moves_directory && !same_directory) - i32::from(replaces_directory);
        if same_directory {
            inode::entries_changed(self.store, from_directory, now, gained)?;
        } else {
            inode::entries_changed(self.store, from_directory, now, -i32::from(moves_directory))?;
            let to_directory = self.attr(to.0)?;
            inode::entries_changed(self.store, to_directory, now, gained)?;
        }
        if let Some(replaced) = replaced {
            self.drop_link(replaced, now)?;
        }
        if moves_directory {
            self.memory.moved(moved.ino, to.0);
        }
        Ok(())
    }

    fn exchange(&mut self, mut one: (Ino, &str, Attr), mut other: (Ino, &str, Attr)) -> Result<()> {
        let is_directory = |attr: &Attr| attr.kind == Kind::Directory;
        for (moved, to) in [(&one.2, other.0), (&other.2, one.0)] {
            if is_directory(moved) && self.is_within(to, moved.ino)? {
                return Err(Error::Errno(libc::EINVAL));
            }
        }
        if one.2.ino == other.2.ino {
            return Ok(());
        }
        let now = Time::now();
        for ((parent, name, _), moved) in [(&one, other.2.ino), (&other, one.2.ino)] {
            let sql = "UPDATE fs_dentry SET ino = ? WHERE parent_ino = ? AND name = ?";
            self.store.execute(sql, &[moved.into(), (*parent).into(), (*name).into()])?;
        }
        for moved in [&mut one.2, &mut other.2] {
            moved.ctime = now;
            inode::update(self.store, moved)?;
        }
        let gained = i32::from(is_directory(&other.2)) - i32::from(is_directory(&one.2));
        let same_directory = one.0 == other.0;
        for (parent, gained) in [(one.0, gained), (other.0, -gained)] {
            let directory = self.attr(parent)?;
            inode::entries_changed(self.store, directory, now, if same_directory { 0 } else { gained })?;
        }
        for (moved, to) in [(&one.2, other.0), (&other.2, one.0)] {
            if is_directory(moved) {
                self.memory.moved(moved.ino, to);
            }
        }
        Ok(())
    }

    fn may_replace(&mut self, replaced: &Attr, moved: &Attr, from: Ino) -> Result<()> {
        match (replaced.kind == Kind::Directory, moved.kind == Kind::Directory) {
            (true, _) if self.is_within(from, replaced.ino)? => Err(Error::Errno(libc::ENOTEMPTY)),
            (true, true) => self.must_be_empty(replaced.ino),
            (true, false) => Err(Error::Errno(libc::EISDIR)),
            (false, true) => Err(Error::Errno(libc::ENOTDIR)),
            (false, false) => Ok(()),
        }
    }

    /// Is `directory` the directory `ancestor` or somewhere below it?
    pub(crate) fn is_within(&mut self, directory: Ino, ancestor: Ino) -> Result<bool> {
        let mut at = directory;
        // A damaged table may go in a circle.
        for _ in 0..MAX_DEPTH {
            if at == ancestor {
                return Ok(true);
            }
            if at == ROOT {
                return Ok(false);
            }
            at = self.parent(at)?;
        }
        Err(inode::damaged(format!("directory {directory} does not lead to the root")))
    }
}

const MAX_DEPTH: usize = 1 << 16;
