//! Copying within the tree. Kinds, modes and links stay; the copies belong to the caller.

use std::ffi::{OsStr, OsString};

use super::held::Held;
use super::resolve::Place;
use super::{ByPath, Links};
use crate::error::{Error, Result};
use crate::filesystem::{Attr, AttrChange, Entry, Ino, Kind, NewNode};

const PIECE: u32 = 1 << 20;

impl ByPath {
    /// As `cp` does: into `to` where that is a folder. Folders only where `recursive` says so, and links in them
    /// stay links; a file that is replaced is replaced at once.
    pub fn copy(&self, from: &OsStr, to: &OsStr, recursive: bool) -> Result<()> {
        let links = if recursive { Links::Keep } else { Links::Follow };
        let (place, source) = self.existing(from, links)?;
        let name = place.last.name().ok_or(Error::Errno(libc::EINVAL))?.to_owned();
        if source.attr.kind == Kind::Directory && !recursive {
            return Err(Error::Errno(libc::EISDIR));
        }
        let to = self.target(to, &name, Links::Follow)?;
        let new_name = to.last.name().ok_or(Error::Errno(libc::EEXIST))?.to_owned();
        let directory = to.directory.attr.ino;
        if source.attr.kind == Kind::Directory {
            if self.is_within(directory, source.attr.ino)? {
                return Err(Error::Errno(libc::EINVAL));
            }
            return self.copy_folder(source, directory, &new_name);
        }
        self.copy_other(&source.attr, to, &new_name)
    }

    /// A stack of its own: a tree may be deeper than a thread's.
    fn copy_folder(&self, source: Held, directory: Ino, name: &OsStr) -> Result<()> {
        let mut todo: Vec<(Held, Ino, OsString)> = vec![(source, directory, name.to_owned())];
        // Made writable first; their own modes come when all is in them.
        let mut made: Vec<(Held, Held)> = Vec::new();
        while let Some((source, directory, name)) = todo.pop() {
            if source.attr.kind != Kind::Directory {
                let place = self.place_in(directory, &name)?;
                self.copy_other(&source.attr, place, &name)?;
                continue;
            }
            let folder = match self.make(directory, &name, Kind::Directory, 0o700) {
                Err(Error::Errno(libc::EEXIST)) => {
                    let there = self.child(directory, &name)?;
                    if there.attr.kind != Kind::Directory {
                        return Err(Error::Errno(libc::EEXIST));
                    }
                    there
                }
                made => made?,
            };
            for Entry { name, .. } in self.files.readdir(source.attr.ino)? {
                match self.child(source.attr.ino, &name) {
                    // Gone since the folder was read.
                    Err(Error::Errno(libc::ENOENT)) => {}
                    child => todo.push((child?, folder.attr.ino, name)),
                }
            }
            made.push((folder, source));
        }
        for (folder, source) in made.iter().rev() {
            self.take_over(folder.attr.ino, &source.attr)?;
        }
        Ok(())
    }

    fn copy_other(&self, source: &Attr, to: Place, name: &OsStr) -> Result<()> {
        let directory = to.directory.attr.ino;
        let there = self.child(directory, name).ok();
        match there.as_ref().map(|there| there.attr) {
            Some(there) if there.kind == Kind::Directory => return Err(Error::Errno(libc::EISDIR)),
            Some(there) if there.ino == source.ino => return Err(Error::Errno(libc::EEXIST)),
            _ => {}
        }
        if source.kind == Kind::File {
            return self.copy_file(source, to, there.as_ref().map(|there| there.attr));
        }
        if let Some(there) = &there {
            self.remove_file(directory, name, there.attr.ino)?;
        }
        let caller = self.caller;
        let attr = match source.kind {
            Kind::Symlink => self.files.symlink(directory, name, &self.files.readlink(source.ino)?, caller)?,
            kind => {
                self.files.create(directory, name, NewNode { kind, perm: source.perm, rdev: source.rdev, caller })?
            }
        };
        let _held = Held::new(&self.files, attr);
        self.told_of(directory, name);
        Ok(())
    }

    fn copy_file(&self, source: &Attr, to: Place, there: Option<Attr>) -> Result<()> {
        let replaces = there.filter(|there| there.kind == Kind::File);
        let mut writing = self.write_new(to, replaces, source.perm & 0o777)?;
        if writing.share(source.ino)? {
            return writing.finish();
        }
        let mut offset = 0;
        loop {
            let piece = self.files.read(source.ino, offset, PIECE)?;
            if piece.is_empty() {
                return writing.finish();
            }
            offset += piece.len() as u64;
            writing.push(&piece)?;
        }
    }

    fn take_over(&self, ino: Ino, source: &Attr) -> Result<()> {
        let change = AttrChange { perm: Some(source.perm), ..AttrChange::default() };
        self.files.setattr(ino, change)?;
        self.witness.inode_changed(ino);
        Ok(())
    }

    fn place_in(&self, directory: Ino, name: &OsStr) -> Result<Place> {
        let held = Held::new(&self.files, self.files.getattr(directory)?).borrowed();
        Ok(Place::new(held, name))
    }

    fn is_within(&self, mut directory: Ino, ancestor: Ino) -> Result<bool> {
        loop {
            if directory == ancestor {
                return Ok(true);
            }
            let above = self.files.parent(directory)?;
            if above == directory {
                return Ok(false);
            }
            directory = above;
        }
    }
}
