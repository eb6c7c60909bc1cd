//! What the view differs in from the folder below: the truth of now, not a record of what was done. A file that was
//! changed and changed back is no change.

use std::collections::HashSet;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::Overlay;
use super::base::Stat;
use super::whiteouts::Whiteouts;
use crate::error::{Error, Result};
use crate::filesystem::{Attr, Entry, FileSystem, Ino, Kind, ROOT};
use crate::store::first;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Relative to the base.
    pub path: PathBuf,
    pub kind: ChangeKind,
    /// What it is, or was where it is gone.
    pub file: Kind,
    /// The base's file is no longer what it was when it was copied up: somebody else has worked on it, too.
    pub diverged: bool,
    pub size_before: Option<u64>,
    pub size_after: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    Added,
    /// `content`: its bytes or its target; `mode`: its permissions or its owner.
    Modified {
        content: bool,
        mode: bool,
    },
    Deleted,
    /// A file where a folder was, for example.
    TypeChanged,
}

/// A piece of content to compare.
const PIECE: usize = 256 * 1024;

impl Overlay {
    /// Sorted by path, a folder before what is in it. What is hidden from the view is no part of it, and neither are
    /// times.
    pub fn changes(&self) -> Result<Vec<Change>> {
        let (whiteouts, opaque) = {
            let state = self.state();
            (state.whiteouts.clone(), state.opaque.clone())
        };
        let mut walk = Walk { overlay: self, whiteouts, opaque, changes: Vec::new() };
        walk.folder(Some(ROOT), Path::new(""), true, true)?;
        let mut changes = walk.changes;
        changes.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(changes)
    }

    fn origin(&self, delta: Ino) -> Result<Option<Origin>> {
        let sql = "SELECT size, mtime, mtime_nsec, hash FROM nixbox_origin WHERE ino = ?";
        self.files.read_tree(|tree| {
            first(tree.store, sql, &[delta.into()], |row| {
                Ok(Origin {
                    size: row.int(0)? as u64,
                    mtime: (row.int(1)?, row.int(2)?),
                    hash: if row.is_null(3) { None } else { Some(row.text(3)?.to_owned()) },
                })
            })
        })
    }

    /// Whether the base's file is another now than when it was copied up.
    fn diverged(&self, delta: Ino, path: &Path, now: Option<&Stat>) -> Result<bool> {
        let Some(origin) = self.origin(delta)? else { return Ok(false) };
        let Some(now) = now else { return Ok(true) };
        if now.id.kind == Kind::Directory {
            return Ok(false);
        }
        let attr = &now.attr;
        if attr.size == origin.size && (attr.mtime.sec, i64::from(attr.mtime.nsec)) == origin.mtime {
            return Ok(false);
        }
        // Touched, and still the same.
        match origin.hash {
            Some(hash) if now.id.kind == Kind::File && attr.size == origin.size => Ok(self.hash(path)? != hash),
            _ => Ok(true),
        }
    }

    fn hash(&self, path: &Path) -> Result<String> {
        let (mut file, _) = self.base.open_file(path)?;
        let mut hasher = blake3::Hasher::new();
        let mut piece = vec![0; PIECE];
        loop {
            match file.read(&mut piece)? {
                0 => return Ok(hasher.finalize().to_hex().to_string()),
                read => drop(hasher.update(&piece[..read])),
            }
        }
    }

    fn same_content(&self, attr: &Attr, path: &Path, stat: &Stat) -> Result<bool> {
        match attr.kind {
            Kind::File if attr.size != stat.attr.size => Ok(false),
            Kind::File => {
                let (file, _) = self.base.open_file(path)?;
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
            Kind::Symlink => Ok(self.files.readlink(attr.ino)? == self.base.read_link(path)?),
            Kind::CharDevice | Kind::BlockDevice => Ok(attr.rdev == stat.attr.rdev),
            Kind::Directory | Kind::Fifo | Kind::Socket => Ok(true),
        }
    }
}

struct Origin {
    size: u64,
    mtime: (i64, i64),
    hash: Option<String>,
}

struct Walk<'a> {
    overlay: &'a Overlay,
    whiteouts: Whiteouts,
    opaque: HashSet<Ino>,
    changes: Vec<Change>,
}

impl Walk<'_> {
    /// `is_in_base`: the base has a folder at this path; `shows`: and its entries show in the view.
    fn folder(&mut self, delta: Option<Ino>, path: &Path, is_in_base: bool, shows: bool) -> Result<()> {
        let entries = match delta {
            Some(delta) => self.overlay.files.read_tree(|tree| tree.entries(delta))?,
            None => Vec::new(),
        };
        let mut names = HashSet::new();
        for Entry { name, attr } in entries {
            let below = path.join(&name);
            names.insert(name);
            if !self.overlay.hidden.hides(&below) {
                self.entry(&attr, &below, is_in_base, shows)?;
            }
        }
        if !is_in_base {
            return Ok(());
        }
        for (name, stat) in self.of_base(path)? {
            if names.contains(&name) {
                continue;
            }
            let below = path.join(&name);
            if !shows || self.whiteouts.contains(&below) {
                self.deleted(&below, &stat)?;
            } else if stat.id.kind == Kind::Directory && self.whiteouts.any_below(&below) {
                self.folder(None, &below, true, true)?;
            }
        }
        Ok(())
    }

    fn of_base(&self, path: &Path) -> Result<Vec<(std::ffi::OsString, Stat)>> {
        match self.overlay.base.list(path, |name| !self.overlay.hidden.hides(&path.join(name))) {
            // Gone since, or nothing that this user may look into.
            Err(Error::Errno(libc::ENOENT | libc::ENOTDIR | libc::EACCES)) => Ok(Vec::new()),
            other => other,
        }
    }

    fn entry(&mut self, attr: &Attr, path: &Path, may_be_in_base: bool, shows: bool) -> Result<()> {
        let stat = if may_be_in_base { self.overlay.base.stat(path)? } else { None };
        let was_folder = stat.is_some_and(|stat| stat.id.kind == Kind::Directory);
        let kind = match &stat {
            None => Some(ChangeKind::Added),
            Some(stat) if stat.id.kind != attr.kind => Some(ChangeKind::TypeChanged),
            Some(stat) => {
                let below = &stat.attr;
                let mode = (attr.perm, attr.uid, attr.gid) != (below.perm, below.uid, below.gid);
                let content = !self.overlay.same_content(attr, path, stat)?;
                (mode || content).then_some(ChangeKind::Modified { content, mode })
            }
        };
        if let Some(kind) = kind {
            let diverged = self.overlay.diverged(attr.ino, path, stat.as_ref())?;
            let size = |attr: &Attr| (attr.kind != Kind::Directory).then_some(attr.size);
            self.changes.push(Change {
                path: path.to_owned(),
                kind,
                file: attr.kind,
                diverged,
                size_before: stat.as_ref().and_then(|stat| size(&stat.attr)),
                size_after: size(attr),
            });
        }
        if attr.kind == Kind::Directory {
            let shows = shows && was_folder && !self.opaque.contains(&attr.ino);
            return self.folder(Some(attr.ino), path, was_folder, shows);
        }
        if was_folder {
            for (name, stat) in self.of_base(path)? {
                self.deleted(&path.join(name), &stat)?;
            }
        }
        Ok(())
    }

    fn deleted(&mut self, path: &Path, stat: &Stat) -> Result<()> {
        self.changes.push(Change {
            path: path.to_owned(),
            kind: ChangeKind::Deleted,
            file: stat.id.kind,
            diverged: false,
            size_before: (stat.id.kind != Kind::Directory).then_some(stat.attr.size),
            size_after: None,
        });
        if stat.id.kind == Kind::Directory {
            for (name, stat) in self.of_base(path)? {
                self.deleted(&path.join(name), &stat)?;
            }
        }
        Ok(())
    }
}
