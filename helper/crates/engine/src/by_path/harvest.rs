//! A whole tree, told entry by entry to somebody who takes it elsewhere.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::held::Held;
use super::{ByPath, Links};
use crate::error::{Error, Result};
use crate::filesystem::{Attr, Entry, Ino, Kind};

/// One entry, for as long as it is looked at.
pub struct Picked<'a> {
    /// Below the folder that was asked for; empty for that itself.
    pub path: &'a Path,
    pub attr: Attr,
    /// Of a symbolic link.
    pub target: Option<OsString>,
    /// Where the same file was told of before.
    pub twin: Option<&'a Path>,
    tree: &'a ByPath,
}

impl Picked<'_> {
    pub fn read(&self, offset: u64, size: u32) -> Result<Vec<u8>> {
        self.tree.files.read(self.attr.ino, offset, size)
    }
}

impl ByPath {
    /// The folder `path` and all that is in it, each folder before its entries, which come by name. Ends with the first
    /// failure of `take`.
    pub fn harvest<E: From<Error>>(
        &self,
        path: &OsStr,
        mut take: impl FnMut(Picked<'_>) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let (_, top) = self.existing(path, Links::Follow)?;
        if top.attr.kind != Kind::Directory {
            return Err(Error::Errno(libc::ENOTDIR).into());
        }
        let mut twins: HashMap<Ino, PathBuf> = HashMap::new();
        take(Picked { path: Path::new(""), attr: top.attr, target: None, twin: None, tree: self })?;
        let entries = self.sorted(top.attr.ino)?;
        let mut inside: Vec<(PathBuf, Held, std::vec::IntoIter<Entry>)> = vec![(PathBuf::new(), top, entries)];
        while let Some((folder, at, entries)) = inside.last_mut() {
            let Some(Entry { name, .. }) = entries.next() else {
                inside.pop();
                continue;
            };
            let path = folder.join(&name);
            let held = match self.child(at.attr.ino, &name) {
                // Gone since the folder was read.
                Err(Error::Errno(libc::ENOENT)) => continue,
                held => held?,
            };
            let attr = held.attr;
            let target = match attr.kind {
                Kind::Symlink => Some(self.files.readlink(attr.ino)?),
                _ => None,
            };
            let twin = twins.get(&attr.ino).map(PathBuf::as_path);
            take(Picked { path: &path, attr, target, twin, tree: self })?;
            if attr.kind == Kind::Directory {
                let entries = self.sorted(attr.ino)?;
                inside.push((path, held, entries));
            } else if attr.nlink > 1 {
                twins.entry(attr.ino).or_insert(path);
            }
        }
        Ok(())
    }

    fn sorted(&self, folder: Ino) -> Result<std::vec::IntoIter<Entry>> {
        let mut entries = self.files.readdir(folder)?;
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries.into_iter())
    }
}
