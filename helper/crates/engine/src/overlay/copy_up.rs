//! Bringing entries of the base into the database, before they are changed. A small file comes in the transaction of
//! the change itself; a large one is first copied aside, into an inode without a name, and named in the end: nobody
//! ever sees half a file, and what a crash leaves is removed at the next open.
//!
//! A change of attributes alone copies nothing: see [`attrs`](super::attrs). They come along with the content.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::attrs::Gone;
use super::base::{Base, Stat};
use super::whiteouts::key;
use super::{Overlay, State};
use crate::error::{Error, Result};
use crate::files::Held;
use crate::files::tree::Tree;
use crate::filesystem::{Attr, Ino, Kind, ROOT};
use crate::store::Arg;

/// Copied while everybody waits: some milliseconds.
const SMALL: u64 = 4 << 20;
const PIECE: u64 = 1 << 20;
/// How often a file may change while it is copied.
const TRIES: u32 = 3;

/// How much of a file's content is to be kept; all but what a truncation takes away at once.
pub(super) const ALL: u64 = u64::MAX;

/// What was copied up in a change, to be known when the change has happened.
#[derive(Debug)]
pub(super) struct Risen {
    pub number: Ino,
    pub delta: Ino,
    pub parent: Ino,
    pub kind: Kind,
}

/// The copying up within one change.
pub(super) struct Lift<'a> {
    pub overlay: &'a Overlay,
    pub state: &'a State,
    pub risen: Vec<Risen>,
    /// What has attributes of its own no more.
    pub gone: Vec<Gone>,
}

impl<'a> Lift<'a> {
    pub fn new(overlay: &'a Overlay, state: &'a State) -> Self {
        Self { overlay, state, risen: Vec::new(), gone: Vec::new() }
    }
}

impl Lift<'_> {
    /// Attributes that the view had of what is not the base's alone any more.
    pub fn forget(&mut self, tree: &mut Tree<'_>, gone: Gone) -> Result<()> {
        let (Gone::One(path) | Gone::Within(path)) = &gone;
        if self.state.attrs.within(path) {
            gone.delete(tree.store)?;
            self.gone.push(gone);
        }
        Ok(())
    }

    /// A folder of the base and all those above it.
    pub fn directory(&mut self, tree: &mut Tree<'_>, path: &Path) -> Result<Ino> {
        let known = self.state.nodes.at(path).and_then(|number| self.state.nodes.get(number)?.delta);
        if let Some(delta) = known {
            return Ok(delta);
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(ROOT) };
        let parent = self.directory(tree, parent)?;
        match tree.child(parent, name.to_str().ok_or(Error::Errno(libc::EILSEQ))?)? {
            Some(attr) if attr.kind == Kind::Directory => Ok(attr.ino),
            Some(_) => Err(Error::Errno(libc::ENOTDIR)),
            None => {
                let stat = self.overlay.base.stat(path)?.ok_or(Error::Errno(libc::ENOENT))?;
                self.entry(tree, parent, path, &stat, ALL)
            }
        }
    }

    /// One entry, of a folder nothing that is in it.
    pub fn entry(&mut self, tree: &mut Tree<'_>, parent: Ino, path: &Path, stat: &Stat, keep: u64) -> Result<Ino> {
        let name = path.file_name().ok_or(Error::Errno(libc::ENOENT))?;
        let place = Some((parent, name));
        let shown = self.state.attrs.apply(path, stat.attr);
        let (delta, hash) = match stat.id.kind {
            Kind::File => {
                let (file, opened) = self.overlay.base.open_file(path)?;
                if opened.id != stat.id {
                    return Err(Error::Errno(libc::EAGAIN));
                }
                let delta = tree.adopt(&Attr { size: 0, ..stat.attr }, None, place)?;
                let mut copy = Copying::new(&file, opened, keep);
                while copy.piece(|offset, data| tree.write(delta, offset, data).map(drop))? {}
                let size = copy.end()?;
                tree.settle_adopted(&Attr { ino: delta, size, ..shown })?;
                (delta, copy.hash())
            }
            Kind::Symlink => {
                let target = self.overlay.base.read_link(path)?;
                (tree.adopt(&shown, Some(&target), place)?, None)
            }
            _ => (tree.adopt(&Attr { size: 0, ..shown }, None, place)?, None),
        };
        self.record(tree, path, stat, delta, parent, hash)?;
        Ok(delta)
    }

    fn record(
        &mut self,
        tree: &mut Tree<'_>,
        path: &Path,
        stat: &Stat,
        delta: Ino,
        parent: Ino,
        hash: Option<String>,
    ) -> Result<()> {
        let number = self.state.nodes.number(path, &stat.id);
        let hash = hash.as_deref().map_or(Arg::Null, Arg::Text);
        let attr = &stat.attr;
        tree.store.execute(
            "INSERT OR REPLACE INTO nixbox_origin (ino, base_ino, size, mtime, mtime_nsec, hash, shown) \
             VALUES (?, ?, ?, ?, ?, ?, ?)",
            &[
                delta.into(),
                attr.ino.into(),
                attr.size.into(),
                attr.mtime.sec.into(),
                attr.mtime.nsec.into(),
                hash,
                number.into(),
            ],
        )?;
        let sql = "INSERT OR REPLACE INTO fs_origin (delta_ino, base_ino) VALUES (?, ?)";
        tree.store.execute(sql, &[delta.into(), attr.ino.into()])?;
        self.forget(tree, Gone::One(path.to_owned()))?;
        self.risen.push(Risen { number, delta, parent, kind: stat.id.kind });
        Ok(())
    }

    /// An entry with everything in it that is seen.
    pub fn all(&mut self, tree: &mut Tree<'_>, parent: Ino, path: &Path) -> Result<Ino> {
        let name = path.file_name().ok_or(Error::Errno(libc::ENOENT))?;
        let stat = self.overlay.base.stat(path)?;
        let delta = match (tree.child(parent, utf8(name)?)?, stat) {
            (Some(attr), _) => attr.ino,
            (None, Some(stat)) => self.entry(tree, parent, path, &stat, ALL)?,
            (None, None) => return Err(Error::Errno(libc::ENOENT)),
        };
        let opaque = self.state.opaque.contains(&delta);
        let is_directory = tree.attr(delta)?.kind == Kind::Directory;
        if is_directory && !opaque && stat.is_some_and(|stat| stat.id.kind == Kind::Directory) {
            for name in self.overlay.base.names(path)? {
                let below = path.join(&name);
                if !self.overlay.hidden.hides(&below) && !self.state.whiteouts.contains(&below) {
                    self.all(tree, delta, &below)?;
                }
            }
        }
        Ok(delta)
    }
}

fn utf8(name: &OsStr) -> Result<&str> {
    name.to_str().ok_or(Error::Errno(libc::EILSEQ))
}

impl Overlay {
    /// The inode in the database behind a number, copied up if it is not there yet.
    pub(super) fn risen(&self, number: Ino, keep: u64) -> Result<Ino> {
        for _ in 0..TRIES {
            let mut state = self.state();
            let Some(node) = state.nodes.get(number) else { return Ok(number) };
            if let Some(delta) = node.delta {
                return Ok(delta);
            }
            let below = node.below.clone().ok_or(Error::Errno(libc::ESTALE))?;
            if below.path.file_name().is_some_and(|name| name.to_str().is_none()) {
                return Err(Error::Errno(libc::EILSEQ));
            }
            let stat = self.base.stat(&below.path)?.ok_or(Error::Errno(libc::ESTALE))?;
            if stat.id != below.id {
                return Err(Error::Errno(libc::ESTALE));
            }
            // Whoever is alone has everybody wait anyhow, and no half of it is committed.
            let large = stat.id.kind == Kind::File && stat.attr.size.min(keep) > SMALL && state.alone.is_none();
            let copied = if large {
                drop(state);
                self.copy_aside(number, &below.path, &stat, keep)
            } else {
                let bytes = stat.attr.size.min(keep);
                self.change(&mut state, Some(bytes), |lift, tree| {
                    if stat.id.kind == Kind::Directory {
                        return lift.directory(tree, &below.path);
                    }
                    let parent = lift.directory(tree, below.path.parent().unwrap_or(Path::new("")))?;
                    lift.entry(tree, parent, &below.path, &stat, keep)
                })
            };
            match copied {
                Err(Error::Errno(libc::EAGAIN)) => {}
                other => return other,
            }
        }
        Err(Error::Errno(libc::EBUSY))
    }

    fn copy_aside(&self, number: Ino, path: &Path, stat: &Stat, keep: u64) -> Result<Ino> {
        let _one_at_a_time = self.copying.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(delta) = self.state().nodes.get(number).and_then(|node| node.delta) {
            return Ok(delta);
        }
        let (file, opened) = self.base.open_file(path)?;
        if opened.id != stat.id {
            return Err(Error::Errno(libc::EAGAIN));
        }
        let aside = self.files.grow_tree(0, |tree| {
            // Known now, a file that does not fit is not copied for nothing.
            tree.room_for(Held { bytes: opened.attr.size.min(keep), files: 1 })?;
            tree.adopt(&Attr { size: 0, ..opened.attr }, None, None)
        })?;
        let named = self.fill_aside(number, path, &file, opened, keep, aside);
        if named.is_err() {
            self.files.note(|memory| memory.lost_its_name(aside));
        }
        named
    }

    fn fill_aside(&self, number: Ino, path: &Path, file: &File, opened: Stat, keep: u64, aside: Ino) -> Result<Ino> {
        let mut copy = Copying::new(file, opened, keep);
        let write = |offset: u64, data: &[u8]| {
            self.files.grow_tree(data.len(), |tree| tree.write(aside, offset, data)).map(drop)
        };
        while copy.piece(write)? {}
        let size = copy.end()?;
        let hash = copy.hash();
        let mut state = self.state();
        let node = state.nodes.get(number).ok_or(Error::Errno(libc::ESTALE))?;
        // Moved or removed meanwhile: begun anew from where it is now.
        if node.delta.is_some() || node.below.as_ref().is_none_or(|below| *below.path != *path) {
            return Err(Error::Errno(libc::EAGAIN));
        }
        self.change(&mut state, Some(0), |lift, tree| {
            let parent = lift.directory(tree, path.parent().unwrap_or(Path::new("")))?;
            let name = path.file_name().ok_or(Error::Errno(libc::ENOENT))?;
            let shown = lift.state.attrs.apply(path, opened.attr);
            tree.name_adopted(&Attr { ino: aside, size, ..shown }, parent, name)?;
            lift.record(tree, path, &opened, aside, parent, hash.clone())?;
            Ok(aside)
        })
    }

    /// A change of the database that may copy up, and then what it did in memory. `grows`: by how much content; none
    /// of what takes something away and must work on a full disk, too.
    pub(super) fn change<T>(
        &self,
        state: &mut State,
        grows: Option<u64>,
        change: impl FnOnce(&mut Lift<'_>, &mut Tree<'_>) -> Result<T>,
    ) -> Result<T> {
        let mut lift = Lift::new(self, state);
        let change = |tree: &mut Tree<'_>| change(&mut lift, tree);
        let answer = match grows {
            Some(bytes) => self.files.grow_tree(usize::try_from(bytes).unwrap_or(usize::MAX / 4), change),
            None => self.files.change_tree(change),
        }?;
        let Lift { risen, gone, .. } = lift;
        gone.iter().for_each(|gone| state.attrs.forget(gone));
        for up in risen {
            self.has_risen(state, up);
        }
        Ok(answer)
    }

    fn has_risen(&self, state: &mut State, up: Risen) {
        state.nodes.show(up.delta, up.number);
        let Some(node) = state.nodes.get_mut(up.number) else { return };
        node.delta = Some(up.delta);
        node.file = None;
        let opens = node.opens;
        let directory_in = (up.kind == Kind::Directory).then_some(up.parent);
        if directory_in.is_none() {
            state.nodes.place(up.number, None);
        }
        self.files.note(|memory| {
            memory.looked_up(up.delta, directory_in);
            for _ in 0..opens {
                memory.opened(up.delta);
            }
        });
    }
}

/// A file of the base on its way, with a look whether it stays as it is meanwhile.
struct Copying<'a> {
    file: &'a File,
    before: Stat,
    size: u64,
    offset: u64,
    hasher: blake3::Hasher,
}

impl<'a> Copying<'a> {
    fn new(file: &'a File, before: Stat, keep: u64) -> Self {
        Self { file, before, size: before.attr.size.min(keep), offset: 0, hasher: blake3::Hasher::new() }
    }

    /// Answers whether there is more.
    fn piece(&mut self, mut put: impl FnMut(u64, &[u8]) -> Result<()>) -> Result<bool> {
        let length = (self.size - self.offset).min(PIECE) as usize;
        if length == 0 {
            return Ok(false);
        }
        let mut data = vec![0; length];
        match self.file.read_exact_at(&mut data, self.offset) {
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Err(Error::Errno(libc::EAGAIN)),
            other => other?,
        }
        self.hasher.update(&data);
        put(self.offset, &data)?;
        self.offset += length as u64;
        Ok(self.offset < self.size)
    }

    /// How much of it was copied.
    fn end(&self) -> Result<u64> {
        let after = Base::stat_open(self.file)?;
        if after.version() == self.before.version() { Ok(self.size) } else { Err(Error::Errno(libc::EAGAIN)) }
    }

    /// Known only of what was copied whole.
    fn hash(&self) -> Option<String> {
        (self.size == self.before.attr.size).then(|| self.hasher.finalize().to_hex().to_string())
    }
}

/// The whiteouts by which upstream's programs see nothing of the base in a folder of the database.
pub(super) fn cover(
    overlay: &Overlay,
    tree: &mut Tree<'_>,
    delta: Option<Ino>,
    path: &Path,
    each: &mut dyn FnMut(&mut Tree<'_>, &Path) -> Result<()>,
) -> Result<()> {
    for name in overlay.base.names(path)? {
        let below = path.join(&name);
        // What the format cannot name, upstream's programs cannot show either.
        if key(&below).is_err() {
            continue;
        }
        let child = match delta {
            Some(delta) => tree.child(delta, utf8(&name)?)?,
            None => None,
        };
        match child {
            None => each(tree, &below)?,
            Some(attr) if attr.kind == Kind::Directory && !overlay.hidden.hides(&below) => {
                if overlay.base.stat(&below)?.is_some_and(|stat| stat.id.kind == Kind::Directory) {
                    cover(overlay, tree, Some(attr.ino), &below, each)?;
                }
            }
            Some(_) => {}
        }
    }
    Ok(())
}
