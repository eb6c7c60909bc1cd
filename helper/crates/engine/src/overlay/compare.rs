//! What an entry of the database is against the one that the base has at its path.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::Overlay;
use super::base::{PIECE, Stat};
use crate::error::{Error, Result};
use crate::filesystem::{Attr, Entry, FileSystem, Ino, Kind};
use crate::review::Change;

/// An entry of a folder in which the layers may differ.
#[derive(Debug)]
pub(crate) enum Differs {
    /// The database has it.
    Here { attr: Attr, below: Option<Stat> },
    /// The base has it, and the view does not.
    Gone(Stat),
    /// The base's alone, but for its mode or owner. `attr`: as the view has it.
    Touched { attr: Attr, below: Stat },
    /// A folder of the base in which something is gone or has another mode.
    Within,
}

/// A folder, as far as each layer has a share in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shares {
    pub delta: Option<Ino>,
    /// The base has a folder at this path.
    pub base: bool,
    /// And its entries show in the view.
    pub shows: bool,
}

impl Overlay {
    /// What the view differs in from the folder below, each file by itself: see [`crate::Review`] for what was moved.
    pub fn changes(self: &std::sync::Arc<Self>) -> Result<Vec<Change>> {
        crate::review::Review::new(self.files.clone(), Some(self.clone())).unpaired()
    }

    /// The entries of a folder in which the layers may differ, by name. Nothing of a base of any size is looked at
    /// but what the database has or takes away.
    pub(crate) fn differing(&self, path: &Path, shares: Shares) -> Result<Vec<(OsString, Differs)>> {
        let mut found = HashMap::new();
        if let Some(delta) = shares.delta {
            for Entry { name, attr } in self.files.read_tree(|tree| tree.entries(delta))? {
                let at = path.join(&name);
                if !self.hidden.hides(&at) {
                    let below = if shares.base { self.base.stat(&at)? } else { None };
                    found.insert(name, Differs::Here { attr, below });
                }
            }
        }
        if shares.base && !shares.shows {
            for (name, stat) in self.all_of_base(path)? {
                found.entry(name).or_insert(Differs::Gone(stat));
            }
        } else if shares.base {
            let names: Vec<_> = {
                let state = self.state();
                let mut names = state.whiteouts.names_in(path);
                names.append(&mut state.attrs.names_in(path));
                names.into_iter().map(|name| (state.whiteouts.contains(&path.join(&name)), name)).collect()
            };
            for (gone, name) in names {
                let at = path.join(&name);
                if found.contains_key(&name) || self.hidden.hides(&at) {
                    continue;
                }
                let Some(below) = self.base.stat(&at)? else { continue };
                let attr = self.state().attrs.apply(&at, below.attr);
                if gone {
                    found.insert(name, Differs::Gone(below));
                } else if (attr.perm, attr.uid, attr.gid) != (below.attr.perm, below.attr.uid, below.attr.gid) {
                    found.insert(name, Differs::Touched { attr, below });
                } else if below.id.kind == Kind::Directory {
                    found.insert(name, Differs::Within);
                }
            }
        }
        let mut found: Vec<_> = found.into_iter().collect();
        found.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        Ok(found)
    }

    /// Whether a folder of the database lets the base's entries show.
    pub(crate) fn is_opaque(&self, delta: Ino) -> bool {
        self.state().opaque.contains(&delta)
    }

    /// Without a name that is gone, nothing can have been moved away.
    pub(crate) fn hides_any_of_base(&self) -> bool {
        let state = self.state();
        !state.whiteouts.is_empty() || !state.opaque.is_empty()
    }

    pub(crate) fn all_of_base(&self, path: &Path) -> Result<Vec<(OsString, Stat)>> {
        match self.base.list(path, |name| !self.hidden.hides(&path.join(name))) {
            // Gone since, or nothing that this user may look into.
            Err(Error::Errno(libc::ENOENT | libc::ENOTDIR | libc::EACCES)) => Ok(Vec::new()),
            other => other,
        }
    }

    /// Whether the base's file is another now than when it got a mode or an owner of its own here.
    pub(crate) fn changed_below(&self, path: &Path, now: &Stat) -> bool {
        self.state().attrs.is_outdated(path, &now.attr)
    }

    pub(crate) fn hash_of_base(&self, path: &Path) -> Result<blake3::Hash> {
        self.base.hash(path)
    }

    pub(crate) fn base_file(&self, path: &Path) -> Result<File> {
        Ok(self.base.open_file(path)?.0)
    }

    pub(crate) fn base_link(&self, path: &Path) -> Result<OsString> {
        self.base.read_link(path)
    }

    /// Of two entries of one kind.
    pub(crate) fn same_content(&self, attr: &Attr, path: &Path, stat: &Stat) -> Result<bool> {
        match attr.kind {
            Kind::File if attr.size != stat.attr.size => Ok(false),
            Kind::File => {
                let file = self.base_file(path)?;
                let mut offset = 0;
                while offset < attr.size {
                    let ours = self.files.read(attr.ino, offset, PIECE as u32)?;
                    let mut theirs = vec![0; ours.len()];
                    if ours.is_empty() || file.read_exact_at(&mut theirs, offset).is_err() || ours != theirs {
                        return Ok(false);
                    }
                    offset += ours.len() as u64;
                }
                Ok(true)
            }
            Kind::Symlink => Ok(self.files.readlink(attr.ino)? == self.base_link(path)?),
            Kind::CharDevice | Kind::BlockDevice => Ok(attr.rdev == stat.attr.rdev),
            Kind::Directory | Kind::Fifo | Kind::Socket => Ok(true),
        }
    }
}
