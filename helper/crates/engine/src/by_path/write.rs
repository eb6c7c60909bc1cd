//! Writing a file from a stream. Whoever looks sees what was there before or all of the new content: it is written to a
//! file without a name, which gets the target's once all of it has come. Appending changes the file itself, piece by
//! piece.

use std::ffi::OsStr;

use super::held::Held;
use super::resolve::Place;
use super::{ByPath, Links, resolve};
use crate::error::{Error, Result};
use crate::files::names;
use crate::filesystem::{Attr, AttrChange, Ino, Kind, NewNode};

/// A file being written. Dropped before [`finish`](Self::finish), it leaves the target as it was.
pub struct Writing {
    tree: ByPath,
    file: Held,
    offset: u64,
    /// The name it takes in the end; none when it is appended to.
    becomes: Option<Becomes>,
}

struct Becomes {
    place: Place,
    /// What the new file takes over from the one it replaces.
    replaces: Option<Attr>,
}

impl ByPath {
    /// A link is followed; the folder has to be there.
    pub fn write(&self, path: &OsStr, append: bool) -> Result<Writing> {
        let place = self.place(path, Links::Follow)?;
        let name = place.last.name().ok_or(Error::Errno(libc::EISDIR))?.to_owned();
        if resolve::means_folder(path) {
            return Err(Error::Errno(libc::EISDIR));
        }
        let directory = place.directory.attr.ino;
        let there = match self.child(directory, &name) {
            Ok(there) => Some(there),
            Err(Error::Errno(libc::ENOENT)) => None,
            Err(error) => return Err(error),
        };
        match there.as_ref().map(|there| there.attr.kind) {
            None | Some(Kind::File) => {}
            Some(Kind::Directory) => return Err(Error::Errno(libc::EISDIR)),
            Some(_) => return Err(Error::Errno(libc::ENXIO)),
        }
        if append {
            let file = match there {
                Some(there) => there,
                None => self.make(directory, &name, Kind::File, 0o644)?,
            };
            return self.writing(file, None);
        }
        let replaces = there.as_ref().map(|there| there.attr);
        self.write_new(place, replaces, replaces.map_or(0o644, |attr| attr.perm))
    }

    pub(super) fn write_new(&self, place: Place, replaces: Option<Attr>, perm: u16) -> Result<Writing> {
        let directory = place.directory.attr.ino;
        // One that the tree cannot have is refused now, not after all has come.
        names::new_name(place.last.name().unwrap_or_default())?;
        let node = NewNode { kind: Kind::File, perm, rdev: 0, caller: self.caller };
        let file = Held::new(&self.files, self.files.draft(directory, node)?);
        self.writing(file, Some(Becomes { place, replaces }))
    }

    fn writing(&self, file: Held, becomes: Option<Becomes>) -> Result<Writing> {
        let writing = Writing { tree: self.clone(), offset: 0, file, becomes };
        self.files.open(writing.ino())?;
        Ok(writing)
    }
}

impl Writing {
    fn ino(&self) -> Ino {
        self.file.attr.ino
    }

    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        let files = &self.tree.files;
        // Where the end is now: others may append too.
        let mut offset = match self.becomes {
            Some(_) => self.offset,
            None => files.getattr(self.ino())?.size,
        };
        let mut left = bytes;
        while !left.is_empty() {
            let written = files.write(self.ino(), offset, left)? as usize;
            offset += written as u64;
            left = left.get(written..).unwrap_or_default();
        }
        self.offset = offset;
        if self.becomes.is_none() {
            self.tree.witness.inode_changed(self.ino());
        }
        Ok(())
    }

    /// Takes the content of `from` without reading it, where that is not here. False: it has to be copied.
    pub(super) fn share(&self, from: Ino) -> Result<bool> {
        self.tree.files.share(from, self.ino())
    }

    /// All of it has come: from here on it is there, and on disk.
    pub fn finish(mut self) -> Result<()> {
        if let Some(becomes) = &self.becomes {
            self.tree.take_place(becomes, self.ino())?;
            self.becomes = None;
        }
        self.tree.files.fsync(self.file.attr.ino)
    }
}

impl ByPath {
    fn take_place(&self, becomes: &Becomes, ino: Ino) -> Result<()> {
        let Becomes { place, replaces } = becomes;
        let directory = place.directory.attr.ino;
        let name = place.last.name().ok_or(Error::Errno(libc::EISDIR))?;
        if let Some(old) = replaces {
            let change =
                AttrChange { perm: Some(old.perm), uid: Some(old.uid), gid: Some(old.gid), ..AttrChange::default() };
            self.files.setattr(ino, change)?;
        }
        self.files.publish(ino, directory, name)?;
        self.told_of(directory, name);
        self.witness.inode_changed(ino);
        if let Some(old) = replaces {
            self.witness.inode_changed(old.ino);
        }
        Ok(())
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.tree.files.release(self.ino());
    }
}
