//! A whole tree, made out of sight and then put where it belongs in one step: whoever looks sees nothing of it or all
//! of it, and so does the next open after a crash.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::held::Held;
use super::{ByPath, Links};
use crate::error::{Error, Result};
use crate::files::{STAGING, names};
use crate::filesystem::{AttrChange, Caller, Ino, Kind, NewNode, ROOT, Rename, Time, TimeChange};

/// What an entry is to have, beside its kind and content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    pub perm: u16,
    /// Else who plants it.
    pub owner: Option<Caller>,
    pub mtime: Time,
}

/// A tree on its way in. Dropped before [`finish`](Self::finish), it is taken away again.
pub struct Planting {
    tree: ByPath,
    /// Where it is made; taken when it is put in its place.
    staging: Option<(OsString, Held)>,
    /// Their looks come last, when all is in them.
    folders: Vec<(Ino, Held, Look)>,
    /// The folder that was last at work: its neighbours come next.
    last: Option<(PathBuf, Held)>,
    into: OsString,
    /// Of the top of the tree, which counts where that becomes a folder of its own.
    top_look: Option<Look>,
    /// What is there gives way to what is of the same name, and folders become one.
    replaces: bool,
}

impl ByPath {
    /// `into`: the folder that the tree is to be in, or a name beside which nothing is, whose folder is there.
    pub fn plant(&self, into: &OsStr) -> Result<Planting> {
        match self.existing(into, Links::Follow) {
            Ok((_, held)) if held.attr.kind != Kind::Directory => return Err(Error::Errno(libc::ENOTDIR)),
            Ok(_) => {}
            Err(Error::Errno(libc::ENOENT)) => drop(self.place(into, Links::Keep)?),
            Err(error) => return Err(error),
        }
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = OsString::from(format!("{STAGING}{}-{number}.part", std::process::id()));
        let node = NewNode { kind: Kind::Directory, perm: 0o700, rdev: 0, caller: self.caller };
        let staging = Held::new(&self.files, self.files.make_part(ROOT, &name, node)?);
        self.told_of(ROOT, &name);
        let tree = self.clone();
        let into = into.to_owned();
        Ok(Planting {
            tree,
            staging: Some((name, staging)),
            folders: Vec::new(),
            last: None,
            into,
            top_look: None,
            replaces: false,
        })
    }
}

impl Planting {
    /// Files that are there are replaced, each in the one step in which all is put in its place.
    pub fn replace(&mut self) {
        self.replaces = true;
    }

    fn top(&self) -> Result<Ino> {
        self.staging.as_ref().map(|(_, held)| held.attr.ino).ok_or(Error::Errno(libc::ENOENT))
    }

    /// A folder; one that is there already gets the look of the second.
    pub fn folder(&mut self, path: &Path, look: Look) -> Result<()> {
        let Some(name) = path.file_name() else {
            self.top_look = Some(look);
            return Ok(());
        };
        let parent = self.parent_of(path)?;
        let folder = match self.make(parent, name, Kind::Directory, 0o700, 0) {
            Err(Error::Errno(libc::EEXIST)) => {
                let there = self.tree.child(parent, name)?;
                if there.attr.kind != Kind::Directory {
                    return Err(Error::Errno(libc::EEXIST));
                }
                there
            }
            made => made?,
        };
        self.folders.push((folder.attr.ino, folder, look));
        Ok(())
    }

    /// A file with what `next` gives, piece after piece, until it gives nothing.
    pub fn file<E: From<Error>>(
        &mut self,
        path: &Path,
        look: Look,
        mut next: impl FnMut() -> std::result::Result<Vec<u8>, E>,
    ) -> std::result::Result<(), E> {
        let (parent, name) = self.place_of(path)?;
        let file = self.make(parent, name, Kind::File, 0o600, 0)?;
        let mut offset = 0u64;
        loop {
            let piece = next()?;
            if piece.is_empty() {
                break;
            }
            let mut left = piece.as_slice();
            while !left.is_empty() {
                let written = self.tree.files.write(file.attr.ino, offset, left)? as usize;
                offset += written as u64;
                left = left.get(written..).unwrap_or_default();
            }
        }
        Ok(self.dress(file.attr.ino, look)?)
    }

    pub fn symlink(&mut self, path: &Path, target: &OsStr, look: Look) -> Result<()> {
        let (parent, name) = self.place_of(path)?;
        let attr = self.tree.files.symlink(parent, name, target, self.tree.caller)?;
        let held = Held::new(&self.tree.files, attr);
        // A link has no permissions of its own, and a real folder would not take any for it.
        self.tree.files.setattr(held.attr.ino, AttrChange { perm: None, ..dressed(look) }).map(drop)
    }

    /// Another name for what was planted at `to`.
    pub fn link(&mut self, path: &Path, to: &Path) -> Result<()> {
        let (there, its_name) = self.place_of(to)?;
        let there = self.tree.child(there, its_name)?;
        let (parent, name) = self.place_of(path)?;
        let attr = self.tree.files.link(there.attr.ino, parent, name)?;
        drop(Held::new(&self.tree.files, attr));
        Ok(())
    }

    /// What has no content: a pipe, a socket, a device.
    pub fn special(&mut self, path: &Path, kind: Kind, rdev: u32, look: Look) -> Result<()> {
        let (parent, name) = self.place_of(path)?;
        let held = self.make(parent, name, kind, 0o600, rdev)?;
        self.dress(held.attr.ino, look)
    }

    /// Puts it in its place; `also` is done in the same step. From here on all of it is there, and on disk.
    pub fn finish(mut self, mut also: impl FnMut() -> Result<()>) -> Result<()> {
        self.last = None;
        while let Some((ino, held, look)) = self.folders.pop() {
            self.dress(ino, look)?;
            drop(held);
        }
        let tree = self.tree.clone();
        let top = self.top()?;
        let staging = self.staging.as_ref().map(|(name, _)| name.clone()).unwrap_or_default();
        let moves = self.moves(top, &staging)?;
        let merges = moves.iter().all(|one| one.from.0 != ROOT);
        let (mut done, undoes) = (0, tree.files.undoes());
        let moved = tree.files.together(&mut || {
            for one in &moves {
                let (from, to) = ((one.from.0, &*one.from.1), (one.to.0, &*one.to.1));
                tree.files.rename(from, to, one.how)?;
                done += 1;
            }
            also()
        });
        if let Err(error) = moved {
            for one in moves.iter().take(if undoes { 0 } else { done }).rev() {
                tree.files.rename((one.to.0, &one.to.1), (one.from.0, &one.from.1), one.how)?;
            }
            return Err(error);
        }
        // Empty by now, or the tree itself under its new name.
        if !merges {
            self.staging = None;
        }
        for one in &moves {
            tree.told_of(one.to.0, &one.to.1);
        }
        tree.told_of(ROOT, &staging);
        drop(self);
        tree.sync()
    }

    /// One, where the tree becomes a folder of its own; each of its entries, where it goes into one that is there.
    fn moves(&self, top: Ino, staging: &OsStr) -> Result<Vec<Move>> {
        let tree = &self.tree;
        let place = match tree.existing(&self.into, Links::Follow) {
            Ok((_, into)) => {
                let mut moves = Vec::new();
                self.merge(top, into.attr.ino, &mut moves)?;
                if let (Some(first), true) = (moves.first_mut(), into.attr.ino != ROOT) {
                    first.held.push(into);
                }
                return Ok(moves);
            }
            Err(Error::Errno(libc::ENOENT)) => tree.place(&self.into, Links::Keep)?,
            Err(error) => return Err(error),
        };
        let name = place.last.name().ok_or(Error::Errno(libc::EEXIST))?.to_owned();
        match self.top_look {
            Some(look) => self.dress(top, look)?,
            None => drop(tree.files.setattr(top, AttrChange { perm: Some(0o755), ..AttrChange::default() })?),
        }
        let to = (place.directory.attr.ino, name);
        let held = vec![place.directory];
        Ok(vec![Move { from: (ROOT, staging.to_owned()), to, how: Rename::NoReplace, held }])
    }

    /// What is in `from` goes into `to`: before anything is moved it is known that it can.
    fn merge(&self, from: Ino, to: Ino, moves: &mut Vec<Move>) -> Result<()> {
        for entry in self.tree.files.readdir(from)? {
            let there = match self.tree.child(to, &entry.name) {
                Ok(_) if !self.replaces => return Err(Error::Errno(libc::EEXIST)),
                Ok(there) => Some(there),
                Err(Error::Errno(libc::ENOENT)) => None,
                Err(error) => return Err(error),
            };
            let new = self.tree.child(from, &entry.name)?;
            let is_folder = |held: &Held| held.attr.kind == Kind::Directory;
            let how = match there {
                Some(there) if is_folder(&there) && is_folder(&new) => {
                    let before = moves.len();
                    self.merge(new.attr.ino, there.attr.ino, moves)?;
                    if let Some(first) = moves.get_mut(before) {
                        first.held.extend([new, there]);
                    }
                    continue;
                }
                None => Rename::NoReplace,
                Some(there) if is_folder(&there) => return Err(Error::Errno(libc::EISDIR)),
                Some(_) if is_folder(&new) => return Err(Error::Errno(libc::ENOTDIR)),
                // What was there goes with the staging folder, which is where it is then.
                Some(_) => Rename::Exchange,
            };
            moves.push(Move { from: (from, entry.name.clone()), to: (to, entry.name), how, held: Vec::new() });
        }
        Ok(())
    }

    /// The first of the names that are there already where the tree was to go.
    pub fn in_the_way(&self) -> Option<PathBuf> {
        if self.replaces {
            return None;
        }
        let (_, into) = self.tree.existing(&self.into, Links::Follow).ok()?;
        let entries = self.tree.files.readdir(self.top().ok()?).ok()?;
        let taken = entries.into_iter().find(|entry| self.tree.child(into.attr.ino, &entry.name).is_ok())?;
        Some(Path::new("/").join(&self.into).join(taken.name))
    }

    fn make(&self, parent: Ino, name: &OsStr, kind: Kind, perm: u16, rdev: u32) -> Result<Held> {
        let node = NewNode { kind, perm, rdev, caller: self.tree.caller };
        Ok(Held::new(&self.tree.files, self.tree.files.create(parent, name, node)?))
    }

    fn dress(&self, ino: Ino, look: Look) -> Result<()> {
        self.tree.files.setattr(ino, dressed(look)).map(drop)
    }

    fn place_of<'p>(&mut self, path: &'p Path) -> Result<(Ino, &'p OsStr)> {
        let name = path.file_name().ok_or(Error::Errno(libc::EEXIST))?;
        names::new_name(name)?;
        Ok((self.parent_of(path)?, name))
    }

    /// The folder that an entry goes in, made where nothing was said of it. Links are not followed: they lead where
    /// they will, once all is in its place.
    fn parent_of(&mut self, path: &Path) -> Result<Ino> {
        let folder = path.parent().unwrap_or(Path::new(""));
        if folder.as_os_str().is_empty() {
            return self.top();
        }
        if let Some((last, held)) = &self.last
            && last == folder
        {
            return Ok(held.attr.ino);
        }
        let mut at = self.top()?;
        let mut way: Option<Held> = None;
        for name in folder {
            let held = match self.tree.child(at, name) {
                Err(Error::Errno(libc::ENOENT)) => self.make(at, name, Kind::Directory, 0o755, 0)?,
                held => held?,
            };
            if held.attr.kind != Kind::Directory {
                return Err(Error::Errno(libc::ENOTDIR));
            }
            at = held.attr.ino;
            way = Some(held);
        }
        self.last = way.map(|held| (folder.to_owned(), held));
        Ok(at)
    }
}

fn dressed(Look { perm, owner, mtime }: Look) -> AttrChange {
    let time = Some(TimeChange::At(mtime));
    let (uid, gid) = (owner.map(|owner| owner.uid), owner.map(|owner| owner.gid));
    AttrChange { perm: Some(perm), uid, gid, size: None, atime: time, mtime: time }
}

struct Move {
    from: (Ino, OsString),
    to: (Ino, OsString),
    how: Rename,
    /// The folders that it goes from and to stay known until it is there.
    held: Vec<Held>,
}

impl Drop for Planting {
    fn drop(&mut self) {
        self.folders.clear();
        self.last = None;
        let Some((name, held)) = self.staging.take() else { return };
        drop(held);
        let mut path = OsString::from("/");
        path.push(&name);
        if let Err(error) = self.tree.remove(&path, true) {
            tracing::warn!(%error, name = %name.display(), "what was not imported stays until the next start");
        }
    }
}
