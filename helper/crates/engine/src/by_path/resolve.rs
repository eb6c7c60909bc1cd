//! From a path to a place in the tree.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::held::Held;
use super::{ByPath, Links};
use crate::error::{Error, Result};
use crate::filesystem::{Kind, ROOT};

/// As many links as Linux follows.
const MAX_LINKS: usize = 40;

/// A directory that is there, and a name in it that may not be.
pub(super) struct Place {
    pub directory: Held,
    pub last: Last,
    /// The names of the directories from the root to here.
    above: Vec<OsString>,
}

pub(super) enum Last {
    Name(OsString),
    /// The root itself, which has no name.
    Root,
}

impl Last {
    pub fn name(&self) -> Option<&OsStr> {
        match self {
            Self::Name(name) => Some(name),
            Self::Root => None,
        }
    }
}

impl Place {
    pub fn new(directory: Held, name: &OsStr) -> Self {
        Self { directory, last: Last::Name(name.to_owned()), above: Vec::new() }
    }

    /// Without links and dots.
    pub fn path(&self) -> PathBuf {
        let mut path = PathBuf::from("/");
        path.extend(&self.above);
        path.extend(self.last.name());
        path
    }
}

/// The parts of a path, with `.` and `..` taken out.
pub(super) fn normal(path: &OsStr) -> Vec<OsString> {
    let mut parts: Vec<OsString> = Vec::new();
    for part in parts_of(path) {
        match part.as_bytes() {
            b".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    parts
}

fn parts_of(path: &OsStr) -> impl DoubleEndedIterator<Item = OsString> {
    let parts = path.as_bytes().split(|byte| *byte == b'/');
    parts.filter(|part| !matches!(*part, b"" | b".")).map(|part| OsStr::from_bytes(part).to_owned())
}

/// Does it end so that only a folder can be meant?
pub(super) fn means_folder(path: &OsStr) -> bool {
    let bytes = path.as_bytes();
    [&b"/"[..], b"/.", b"/.."].iter().any(|end| bytes.ends_with(end))
}

impl ByPath {
    pub(super) fn place(&self, path: &OsStr, links: Links) -> Result<Place> {
        if path.is_empty() {
            return Err(Error::Errno(libc::ENOENT));
        }
        let mut left: VecDeque<OsString> = normal(path).into();
        // The directories from the root to where we are, each with its name.
        let mut way: Vec<(OsString, Held)> = Vec::new();
        let mut followed = 0;
        while let Some(part) = left.pop_front() {
            // Only a link's words still hold these; there they mean the folder above the one we are in.
            if part == ".." {
                way.pop();
                continue;
            }
            let directory = way.last().map_or(ROOT, |(_, held)| held.attr.ino);
            let is_last = left.is_empty();
            let held = match self.child(directory, &part) {
                Ok(held) => held,
                Err(Error::Errno(libc::ENOENT)) if is_last => return self.ends_at(way, Last::Name(part)),
                Err(error) => return Err(error),
            };
            if held.attr.kind == Kind::Symlink && (!is_last || links == Links::Follow) {
                followed += 1;
                if followed > MAX_LINKS {
                    return Err(Error::Errno(libc::ELOOP));
                }
                let target = self.files.readlink(held.attr.ino)?;
                if target.as_bytes().starts_with(b"/") {
                    way.clear();
                }
                for part in parts_of(&target).rev() {
                    left.push_front(part);
                }
                continue;
            }
            if is_last {
                return self.ends_at(way, Last::Name(part));
            }
            if held.attr.kind != Kind::Directory {
                return Err(Error::Errno(libc::ENOTDIR));
            }
            way.push((part, held));
        }
        // A link's last words were dots, or the path had nothing but them.
        match way.pop() {
            Some((name, _)) => self.ends_at(way, Last::Name(name)),
            None => self.ends_at(way, Last::Root),
        }
    }

    fn ends_at(&self, mut way: Vec<(OsString, Held)>, last: Last) -> Result<Place> {
        let above = way.iter().map(|(name, _)| name.clone()).collect();
        let directory = match way.pop() {
            Some((_, held)) => held,
            None => Held::new(&self.files, self.files.getattr(ROOT)?).borrowed(),
        };
        Ok(Place { directory, last, above })
    }
}
