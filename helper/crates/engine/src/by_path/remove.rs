use std::ffi::{OsStr, OsString};

use super::held::Held;
use super::{ByPath, Links};
use crate::error::{Error, Result};
use crate::filesystem::{Ino, Kind};

/// A folder on its way out.
struct Emptied {
    ino: Ino,
    /// Those still in it; the last is the one at work.
    folders: Vec<(OsString, Held)>,
}

impl ByPath {
    /// A file, a link itself, an empty folder never; a folder with all that is in it where `recursive` says so.
    pub fn remove(&self, path: &OsStr, recursive: bool) -> Result<()> {
        let (place, held) = self.existing(path, Links::Keep)?;
        let name = place.last.name().ok_or(Error::Errno(libc::EBUSY))?;
        let directory = place.directory.attr.ino;
        if held.attr.kind == Kind::Directory {
            if !recursive {
                return Err(Error::Errno(libc::EISDIR));
            }
            self.empty(held.attr.ino)?;
            return self.remove_folder(directory, name, held.attr.ino);
        }
        self.remove_file(directory, name, held.attr.ino)
    }

    /// A file, a link itself, or a folder that is empty.
    pub fn remove_one(&self, path: &OsStr) -> Result<()> {
        let (place, held) = self.existing(path, Links::Keep)?;
        let name = place.last.name().ok_or(Error::Errno(libc::EBUSY))?;
        match held.attr.kind {
            Kind::Directory => self.remove_folder(place.directory.attr.ino, name, held.attr.ino),
            _ => self.remove_file(place.directory.attr.ino, name, held.attr.ino),
        }
    }

    /// A stack of its own: a tree may be deeper than a thread's.
    fn empty(&self, root: Ino) -> Result<()> {
        let mut inside = vec![self.clear_of_files(root)?];
        while let Some(folder) = inside.last_mut() {
            if let Some((_, below)) = folder.folders.last() {
                let next = self.clear_of_files(below.attr.ino)?;
                inside.push(next);
                continue;
            }
            inside.pop();
            // It was the last of those that the folder above still has.
            if let Some(above) = inside.last_mut()
                && let Some((name, below)) = above.folders.pop()
            {
                self.remove_folder(above.ino, &name, below.attr.ino)?;
            }
        }
        Ok(())
    }

    /// Removes all but the folders in it, which are still to do.
    fn clear_of_files(&self, ino: Ino) -> Result<Emptied> {
        let mut folders = Vec::new();
        for entry in self.files.readdir(ino)? {
            match entry.attr.kind {
                Kind::Directory => {
                    let below = self.child(ino, &entry.name)?;
                    folders.push((entry.name, below));
                }
                _ => self.remove_file(ino, &entry.name, entry.attr.ino)?,
            }
        }
        Ok(Emptied { ino, folders })
    }

    pub(super) fn remove_file(&self, directory: Ino, name: &OsStr, ino: Ino) -> Result<()> {
        self.files.unlink(directory, name)?;
        self.told_of(directory, name);
        self.witness.inode_changed(ino);
        Ok(())
    }

    fn remove_folder(&self, directory: Ino, name: &OsStr, ino: Ino) -> Result<()> {
        self.files.rmdir(directory, name)?;
        self.told_of(directory, name);
        self.witness.inode_changed(ino);
        Ok(())
    }
}
