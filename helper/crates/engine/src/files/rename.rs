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
