//! The file tree by path, for those who have no kernel between: verbs, tools. Paths are absolute in the instance,
//! with or without the leading slash; `..` goes up in the words of the path and never above the root; symbolic links
//! lead where they lead within the instance.
//!
//! A mount's kernel is told of every change made here: it would go on showing what it knows. See [`Witness`].

mod attributes;
mod copy;
mod find;
mod harvest;
mod held;
mod plant;
mod remove;
mod resolve;
mod together;
mod walk;
mod write;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::filesystem::{Attr, Caller, FileSystem, Ino, Kind, NewNode, Rename};

pub use find::Wanted;
pub use harvest::Picked;
pub use held::Reading;
pub use plant::{Look, Planting};
pub use walk::{Found, Walk};
pub use write::Writing;

use held::Held;
use resolve::{Last, Place};

/// Who has to hear of a change that did not come from there. Called with no lock held, once it has happened.
pub trait Witness: Send + Sync + 'static {
    /// A name has come, gone, or means another file.
    fn entry_changed(&self, directory: Ino, name: &OsStr);
    /// Content or attributes are others.
    fn inode_changed(&self, ino: Ino);
    /// What programs have written through a mapping, and the kernel still keeps to itself, is in the tree when this
    /// returns, as far as that can be had in time. `ino`: of this one; of all without it.
    fn settle(&self, _ino: Option<Ino>) {}
}

/// For a tree that nobody shows.
impl Witness for () {
    fn entry_changed(&self, _: Ino, _: &OsStr) {}
    fn inode_changed(&self, _: Ino) {}
}

#[derive(Clone)]
pub struct ByPath {
    files: Arc<dyn FileSystem>,
    witness: Arc<dyn Witness>,
    /// Becomes the owner of what is made.
    caller: Caller,
}

/// What to do where a path's last part is a symbolic link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    Follow,
    Keep,
}

impl ByPath {
    pub fn new(files: Arc<dyn FileSystem>, witness: Arc<dyn Witness>, caller: Caller) -> Self {
        Self { files, witness, caller }
    }

    pub fn stat(&self, path: &OsStr, links: Links) -> Result<Found> {
        let (place, held) = self.existing(path, links)?;
        self.found(place.path(), held.attr)
    }

    pub fn make_folder(&self, path: &OsStr, parents: bool) -> Result<()> {
        if !parents {
            let place = self.place(path, Links::Keep)?;
            let name = place.last.name().ok_or(Error::Errno(libc::EEXIST))?;
            return self.make(place.directory.attr.ino, name, Kind::Directory, 0o755).map(drop);
        }
        let path = resolve::normal(path);
        let mut so_far = OsString::from("/");
        for part in &path {
            so_far.push("/");
            so_far.push(part);
            match self.make_folder(&so_far, false) {
                Err(Error::Errno(libc::EEXIST)) => {
                    let (_, held) = self.existing(&so_far, Links::Follow)?;
                    if held.attr.kind != Kind::Directory {
                        return Err(Error::Errno(libc::EEXIST));
                    }
                }
                made => made?,
            }
        }
        Ok(())
    }

    /// As `mv` does: into `to` where that is a folder.
    pub fn move_to(&self, from: &OsStr, to: &OsStr) -> Result<()> {
        let from = self.place(from, Links::Keep)?;
        let name = from.last.name().ok_or(Error::Errno(libc::EBUSY))?;
        // What is not there must not look as if the target were at fault.
        let moved = self.child(from.directory.attr.ino, name)?;
        let to = self.target(to, name, Links::Keep)?;
        let new_name = to.last.name().ok_or(Error::Errno(libc::EBUSY))?;
        let replaced = self.child(to.directory.attr.ino, new_name).ok();
        let (old, new) = ((from.directory.attr.ino, name), (to.directory.attr.ino, new_name));
        self.files.rename(old, new, Rename::Replace)?;
        self.told_of(old.0, old.1);
        self.told_of(new.0, new.1);
        self.witness.inode_changed(moved.attr.ino);
        if let Some(replaced) = replaced {
            self.witness.inode_changed(replaced.attr.ino);
        }
        Ok(())
    }

    /// Before much is read: see [`Witness::settle`].
    pub fn settle(&self) {
        self.witness.settle(None);
    }

    /// Returns when everything so far is on disk.
    pub fn sync(&self) -> Result<()> {
        self.files.fsync(crate::filesystem::ROOT)
    }

    /// Where something of the name `name` goes that is copied or moved to `to`.
    fn target(&self, to: &OsStr, name: &OsStr, links: Links) -> Result<Place> {
        let is_folder = match self.existing(to, Links::Follow) {
            Ok((_, held)) => held.attr.kind == Kind::Directory,
            Err(Error::Errno(libc::ENOENT)) => false,
            Err(error) => return Err(error),
        };
        if is_folder {
            let mut inside = to.to_owned();
            inside.push("/");
            inside.push(name);
            return self.place(&inside, Links::Keep);
        }
        if resolve::means_folder(to) {
            return Err(Error::Errno(libc::ENOENT));
        }
        self.place(to, links)
    }

    fn make(&self, directory: Ino, name: &OsStr, kind: Kind, perm: u16) -> Result<Held> {
        let node = NewNode { kind, perm, rdev: 0, caller: self.caller };
        let attr = self.files.create(directory, name, node)?;
        self.told_of(directory, name);
        Ok(Held::new(&self.files, attr))
    }

    fn told_of(&self, directory: Ino, name: &OsStr) {
        self.witness.entry_changed(directory, name);
        self.witness.inode_changed(directory);
    }

    fn child(&self, directory: Ino, name: &OsStr) -> Result<Held> {
        Ok(Held::new(&self.files, self.files.lookup(directory, name)?))
    }

    /// What is at that path, and where it was found.
    fn existing(&self, path: &OsStr, links: Links) -> Result<(Place, Held)> {
        let place = self.place(path, links)?;
        let held = match &place.last {
            Last::Root => Held::new(&self.files, place.directory.attr).borrowed(),
            Last::Name(name) => self.child(place.directory.attr.ino, name)?,
        };
        if resolve::means_folder(path) && held.attr.kind != Kind::Directory {
            return Err(Error::Errno(libc::ENOTDIR));
        }
        Ok((place, held))
    }

    fn found(&self, path: PathBuf, attr: Attr) -> Result<Found> {
        let target = match attr.kind {
            Kind::Symlink => Some(self.files.readlink(attr.ino)?),
            _ => None,
        };
        Ok(Found { path, attr, target })
    }
}
