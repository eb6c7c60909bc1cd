//! What lies in a folder and below it, a few entries at a time: a tree may be of any size.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::held::Held;
use super::{ByPath, Links};
use crate::error::{Error, Result};
use crate::filesystem::{Attr, Entry, Kind};

/// Deeper trees than any path can name go in a circle.
const MAX_DEPTH: usize = 4096;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub path: PathBuf,
    pub attr: Attr,
    /// Of a symbolic link.
    pub target: Option<OsString>,
}

/// Depth first, each folder before what is in it, by name.
pub struct Walk {
    tree: ByPath,
    recursive: bool,
    /// The folders we are in, innermost last, each with what is still to be told of it.
    inside: Vec<(PathBuf, std::vec::IntoIter<Entry>)>,
    /// The same folders. A number that was only listed, and not looked up, leads nowhere in an overlay.
    folders: Vec<Held>,
    /// A file that was asked for by itself.
    alone: Option<Found>,
}

impl ByPath {
    /// What is in the folder `path`, links to it followed; the file itself where it is none. Paths are those below
    /// the folder, or `path` as it was asked for.
    pub fn list(&self, path: &OsStr, recursive: bool) -> Result<Walk> {
        let (_, held) = self.existing(path, Links::Follow)?;
        let mut walk = Walk { tree: self.clone(), recursive, inside: Vec::new(), folders: Vec::new(), alone: None };
        match held.attr.kind {
            Kind::Directory => walk.enter(PathBuf::new(), held)?,
            _ => walk.alone = Some(self.found(path.into(), held.attr)?),
        }
        Ok(walk)
    }
}

impl ByPath {
    /// All below the folder `path` that comes after `after` in a recursive list of it: what was listed up to there is not
    /// looked at again. `after` need not be there any more.
    pub fn list_after(&self, path: &OsStr, after: &Path) -> Result<Walk> {
        let mut walk = self.list(path, true)?;
        walk.alone = None;
        for part in after {
            let (Some((above, entries)), Some(folder)) = (walk.inside.last_mut(), walk.folders.last()) else { break };
            let left = std::mem::take(entries);
            *entries = left.filter(|entry| entry.name.as_os_str() > part).collect::<Vec<_>>().into_iter();
            let below = above.join(part);
            let held = match walk.tree.child(folder.attr.ino, part) {
                Ok(held) if held.attr.kind == Kind::Directory => held,
                Ok(_) | Err(Error::Errno(libc::ENOENT)) => break,
                Err(error) => return Err(error),
            };
            match walk.enter(below, held) {
                Err(Error::Errno(libc::ENOENT)) => break,
                entered => entered?,
            }
        }
        Ok(walk)
    }
}

impl Walk {
    fn enter(&mut self, path: PathBuf, folder: Held) -> Result<()> {
        if self.inside.len() >= MAX_DEPTH {
            return Err(Error::Errno(libc::ELOOP));
        }
        let mut entries = self.tree.files.readdir(folder.attr.ino)?;
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        self.inside.push((path, entries.into_iter()));
        self.folders.push(folder);
        Ok(())
    }

    pub(super) fn step(&mut self) -> Result<Option<Found>> {
        if let Some(found) = self.alone.take() {
            return Ok(Some(found));
        }
        while let (Some((path, entries)), Some(folder)) = (self.inside.last_mut(), self.folders.last()) {
            let Some(Entry { name, .. }) = entries.next() else {
                self.inside.pop();
                self.folders.pop();
                continue;
            };
            let path = path.join(&name);
            let found = self.tree.child(folder.attr.ino, &name).and_then(|held| {
                let found = self.tree.found(path.clone(), held.attr)?;
                Ok((found, held))
            });
            let (found, held) = match found {
                // Gone since the folder was read.
                Err(Error::Errno(libc::ENOENT)) => continue,
                found => found?,
            };
            if self.recursive && held.attr.kind == Kind::Directory {
                match self.enter(path, held) {
                    Err(Error::Errno(libc::ENOENT)) => continue,
                    entered => entered?,
                }
            }
            return Ok(Some(found));
        }
        Ok(None)
    }

    /// Up to `most` of what is next and wanted; none at the end.
    pub fn next(&mut self, most: usize, wanted: impl Fn(&Found) -> bool) -> Result<Vec<Found>> {
        let mut found = Vec::new();
        while found.len() < most {
            match self.step()? {
                Some(one) if wanted(&one) => found.push(one),
                Some(_) => {}
                None => break,
            }
        }
        Ok(found)
    }
}
