//! Makes a tree what it is to be, out of the other side's: the one way in which anything is changed, on either side.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nixbox_engine::{
    Absent, Attr, AttrChange, Caller, Error as Engine, FileSystem, Ino, Kind, Kv, Missing, NewNode, ROOT, Rename, Time,
    TimeChange, Witness,
};

use crate::beside::Beside;
use crate::company::{Company, Phase, Progress, go_on};
use crate::error::{Error, Result};
use crate::look::{Key, Look, Mark, What, pair};
use crate::scan::{AllMissing, Scan};

const PIECE: u32 = 256 << 10;
/// Everything made gets its owner with its look.
const CALLER: Caller = Caller { uid: 0, gid: 0 };

/// Where content comes from.
pub(crate) struct Source<'a> {
    pub(crate) tree: &'a Arc<dyn FileSystem>,
    pub(crate) kv: &'a Kv,
    pub(crate) absent: &'a AllMissing,
    /// What has another name here than there.
    pub(crate) beside: &'a [Beside],
    pub(crate) company: &'a dyn Company,
}

impl Source<'_> {
    fn path_of<'p>(&'p self, path: &'p str) -> &'p str {
        let named = self.beside.iter().find_map(|it| match (&it.to, &it.from) {
            (Key::File(to), Key::File(from)) if to == path => Some(from.as_str()),
            _ => None,
        });
        named.unwrap_or(path)
    }

    fn key_of<'k>(&'k self, key: &'k str) -> &'k str {
        let named = self.beside.iter().find_map(|it| match (&it.to, &it.from) {
            (Key::Value(to), Key::Value(from)) if to == key => Some(from.as_str()),
            _ => None,
        });
        named.unwrap_or(key)
    }
}

/// What is changed.
pub(crate) struct Target<'a> {
    pub(crate) tree: &'a Arc<dyn FileSystem>,
    pub(crate) kv: &'a Kv,
    pub(crate) absent: &'a Absent,
    /// Who shows it is told afterwards: see [`Witness`].
    pub(crate) news: RefCell<Vec<News>>,
    /// Nobody looks at it meanwhile: files are written where they are, so that only what differs is written.
    pub(crate) alone: bool,
}

/// What whoever shows a tree has to hear.
#[derive(Debug)]
pub(crate) enum News {
    Entry(Ino, String),
    Inode(Ino),
}

/// What is to become of a target.
#[derive(Debug, Default)]
pub(crate) struct Order {
    remove: Vec<Key>,
    put: Vec<(Key, Look)>,
}

impl Order {
    /// `now`: the target. `wanted`: what all is to be.
    pub(crate) fn of(now: &Scan, wanted: &BTreeMap<Key, Look>) -> Self {
        let mut order = Self::default();
        let mut rewritten: BTreeSet<&str> = BTreeSet::new();
        for (key, look) in wanted {
            let there = now.looks.get(key);
            let same = there == Some(look)
                // Another name for what is made anew has to be made anew, too.
                && !matches!(&look.what, What::Same { first } if rewritten.contains(first.as_str()));
            if same {
                continue;
            }
            if there.is_some_and(|there| there.is_folder() != look.is_folder()) {
                order.remove.push(key.clone());
            }
            if let (Key::File(path), What::File { .. }) = (key, &look.what) {
                rewritten.insert(path);
            }
            order.put.push((key.clone(), look.clone()));
        }
        order.remove.extend(now.looks.keys().filter(|key| !wanted.contains_key(key)).cloned());
        // What is in a folder goes before it.
        order.remove.sort();
        order.remove.reverse();
        order
    }

    /// These come besides.
    pub(crate) fn with(mut self, beside: &[Beside]) -> Self {
        self.put.extend(beside.iter().map(|it| (it.to.clone(), it.look.clone())));
        self
    }

    /// Of the files that are written.
    fn bytes(&self) -> u64 {
        let size = |look: &Look| if let What::File { size, .. } = look.what { size } else { 0 };
        self.put.iter().map(|(_, look)| size(look)).sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.put.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.remove.len() + self.put.len()
    }
}

impl Target<'_> {
    /// The files of `order`. Stops where the target is not as it was in `now`: somebody else has changed it since.
    pub(crate) fn apply_files(&self, order: &Order, now: &Scan, source: &Source<'_>) -> Result<()> {
        let phase = if self.alone { Phase::Packing } else { Phase::Applying };
        let mut far = Progress { of_things: order.len() as u64, of_bytes: order.bytes(), ..Progress::at(phase) };
        for key in &order.remove {
            go_on(source.company, far)?;
            far.things += 1;
            if let Key::File(path) = key {
                self.expect(path, now.marks.get(key), now.looks.get(key))?;
                self.remove(path)?;
            }
        }
        for (key, look) in &order.put {
            go_on(source.company, far)?;
            far.things += 1;
            if let What::File { size, .. } = look.what {
                far.bytes += size;
            }
            if let Key::File(path) = key {
                let there = now.looks.get(key).filter(|there| there.is_folder() == look.is_folder());
                self.expect(path, there.and_then(|_| now.marks.get(key)), there)?;
                self.put(path, look, there, source)?;
            }
        }
        Ok(())
    }

    /// The values of it. Each is on disk when this returns.
    pub(crate) fn apply_values(&self, order: &Order, source: &Source<'_>) -> Result<()> {
        for key in &order.remove {
            if let Key::Value(key) = key {
                self.kv.delete(key)?;
            }
        }
        for (key, _) in &order.put {
            if let Key::Value(key) = key {
                let entry = source.kv.get(source.key_of(key))?.ok_or(Error::Moved)?;
                self.kv.set(key, &entry.value)?;
            }
        }
        Ok(())
    }

    fn expect(&self, path: &str, mark: Option<&Mark>, look: Option<&Look>) -> Result<()> {
        let there = match self.find(path) {
            Ok((_, _, there)) => there,
            // A folder above, which is put before.
            Err(Error::Engine(Engine::Errno(libc::ENOENT))) => None,
            Err(error) => return Err(error),
        };
        let as_it_was = match (&there, look) {
            (None, None) => true,
            (Some(attr), Some(look)) if look.is_folder() => attr.kind == Kind::Directory,
            // Other names of the same file come and go with this very work.
            (Some(attr), Some(_)) => mark.is_some_and(|mark| {
                let Mark { ino, size, mtime, .. } = Mark::of(attr);
                (ino, size, mtime) == (mark.ino, mark.size, mark.mtime)
            }),
            _ => false,
        };
        if as_it_was { Ok(()) } else { Err(Error::Moved) }
    }

    fn remove(&self, path: &str) -> Result<()> {
        let (parent, name, there) = self.find(path)?;
        let Some(there) = there else { return Ok(()) };
        match there.kind {
            Kind::Directory => match self.tree.rmdir(parent, OsStr::new(name)) {
                // Somebody has put something into it since.
                Err(Engine::Errno(libc::ENOTEMPTY)) => return Err(Error::Moved),
                removed => removed?,
            },
            _ => self.tree.unlink(parent, OsStr::new(name))?,
        }
        self.told_of(parent, name, Some(there.ino));
        Ok(())
    }

    fn put(&self, path: &str, look: &Look, before: Option<&Look>, source: &Source<'_>) -> Result<()> {
        let (parent, name, there) = self.find(path)?;
        let ino = match (&look.what, &there) {
            (What::Folder, Some(there)) => there.ino,
            (What::Folder, None) => self.make(parent, name, Kind::Directory, 0)?,
            (What::File { .. }, _) => return self.put_file(path, look, before, source),
            (What::Same { first }, _) => return self.put_name(path, first, source),
            (What::Link { target }, there) => {
                if before.is_some_and(|before| before.is_of_kind(look)) {
                    there.as_ref().map_or(Err(Error::Moved), |there| Ok(there.ino))?
                } else {
                    self.make_way(parent, name, there.as_ref())?;
                    let attr = self.tree.symlink(parent, OsStr::new(name), OsStr::new(target), CALLER)?;
                    self.tree.forget(attr.ino, 1);
                    attr.ino
                }
            }
            (What::Fifo, there) => self.put_special(parent, name, there.as_ref(), Kind::Fifo, 0)?,
            (What::Socket, there) => self.put_special(parent, name, there.as_ref(), Kind::Socket, 0)?,
            (What::CharDevice { rdev }, there) => {
                self.put_special(parent, name, there.as_ref(), Kind::CharDevice, *rdev)?
            }
            (What::BlockDevice { rdev }, there) => {
                self.put_special(parent, name, there.as_ref(), Kind::BlockDevice, *rdev)?
            }
            (What::Value { .. }, _) => return Ok(()),
        };
        self.dress(ino, look)?;
        self.told_of(parent, name, Some(ino));
        Ok(())
    }

    fn put_file(&self, path: &str, look: &Look, before: Option<&Look>, source: &Source<'_>) -> Result<()> {
        let (parent, name, there) = self.find(path)?;
        if let (Some(before), Some(there)) = (before, &there)
            && there.nlink == 1
        {
            if before.what == look.what {
                self.dress(there.ino, look)?;
                self.told_of(parent, name, Some(there.ino));
                return Ok(());
            }
            if self.alone && before.is_of_kind(look) && self.missing(path, source)?.is_none() {
                self.write_over(there, path, source)?;
                return self.dress(there.ino, look);
            }
        }
        let temporary = temporary_name();
        let ino = self.make(parent, &temporary, Kind::File, 0)?;
        let written = self.fill(ino, path, source).and_then(|()| self.dress(ino, look)).and_then(|()| {
            let (from, to) = ((parent, OsStr::new(&temporary)), (parent, OsStr::new(name)));
            Ok(self.tree.rename(from, to, Rename::Replace)?)
        });
        if written.is_err() {
            let _ = self.tree.unlink(parent, OsStr::new(&temporary));
            self.told_of(parent, &temporary, None);
            return written;
        }
        self.told_of(parent, &temporary, None);
        self.told_of(parent, name, Some(ino));
        if let Some(there) = there {
            self.news.borrow_mut().push(News::Inode(there.ino));
        }
        Ok(())
    }

    /// The file at `first`, or, where that did not come along, a file of its own.
    fn put_name(&self, path: &str, first: &str, source: &Source<'_>) -> Result<()> {
        let (parent, name, there) = self.find(path)?;
        let (_, _, first) = self.find(first)?;
        let Some(first) = first.filter(|first| first.kind == Kind::File) else {
            let attr = find(&**source.tree, source.path_of(path))?;
            let what = What::File { size: attr.size, hash: String::new() };
            let look = Look { perm: attr.perm, uid: attr.uid, gid: attr.gid, mtime: pair(attr.mtime), what };
            return self.put_file(path, &look, None, source);
        };
        if there.as_ref().is_some_and(|there| there.ino == first.ino) {
            return Ok(());
        }
        self.make_way(parent, name, there.as_ref())?;
        let attr = self.tree.link(first.ino, parent, OsStr::new(name))?;
        self.tree.forget(attr.ino, 1);
        self.told_of(parent, name, Some(first.ino));
        Ok(())
    }

    fn put_special(&self, parent: Ino, name: &str, there: Option<&Attr>, kind: Kind, rdev: u32) -> Result<Ino> {
        if let Some(there) = there.filter(|there| there.kind == kind && there.rdev == rdev) {
            return Ok(there.ino);
        }
        self.make_way(parent, name, there)?;
        self.make(parent, name, kind, rdev)
    }

    fn make_way(&self, parent: Ino, name: &str, there: Option<&Attr>) -> Result<()> {
        if let Some(there) = there {
            self.tree.unlink(parent, OsStr::new(name))?;
            self.told_of(parent, name, Some(there.ino));
        }
        Ok(())
    }

    fn make(&self, parent: Ino, name: &str, kind: Kind, rdev: u32) -> Result<Ino> {
        let node = NewNode { kind, perm: 0o600, rdev, caller: CALLER };
        let attr = self.tree.create(parent, OsStr::new(name), node)?;
        // It has a name, by which it is kept.
        self.tree.forget(attr.ino, 1);
        Ok(attr.ino)
    }

    /// What the other side itself has not here.
    fn missing<'s>(&self, path: &str, source: &Source<'s>) -> Result<Option<&'s Missing>> {
        if source.absent.is_empty() {
            return Ok(None);
        }
        Ok(source.absent.get(&find(&**source.tree, path)?.ino))
    }

    /// An empty file gets what the other side has at `path`: what is absent there is absent here, too.
    fn fill(&self, ino: Ino, path: &str, source: &Source<'_>) -> Result<()> {
        let from = find(&**source.tree, source.path_of(path))?;
        if let Some(missing) = source.absent.get(&from.ino) {
            return Ok(self.absent.put(ino, from.size, missing)?);
        }
        let mut offset = 0;
        while offset < from.size {
            if source.company.is_called_off() {
                return Err(Error::CalledOff);
            }
            let piece = source.tree.read(from.ino, offset, PIECE)?;
            if piece.is_empty() {
                return Err(Error::Moved);
            }
            self.write(ino, offset, &piece)?;
            offset += piece.len() as u64;
        }
        Ok(())
    }

    /// Only what differs is written.
    fn write_over(&self, there: &Attr, path: &str, source: &Source<'_>) -> Result<()> {
        let from = find(&**source.tree, source.path_of(path))?;
        if self.absent.get(there.ino)?.is_some() {
            self.tree.setattr(there.ino, AttrChange { size: Some(0), ..AttrChange::default() })?;
            return self.fill(there.ino, path, source);
        }
        let mut offset = 0;
        while offset < from.size {
            if source.company.is_called_off() {
                return Err(Error::CalledOff);
            }
            let piece = source.tree.read(from.ino, offset, PIECE)?;
            if piece.is_empty() {
                return Err(Error::Moved);
            }
            if self.tree.read(there.ino, offset, PIECE)? != piece {
                self.write(there.ino, offset, &piece)?;
            }
            offset += piece.len() as u64;
        }
        if there.size > from.size {
            self.tree.setattr(there.ino, AttrChange { size: Some(from.size), ..AttrChange::default() })?;
        }
        Ok(())
    }

    fn write(&self, ino: Ino, offset: u64, mut left: &[u8]) -> Result<()> {
        let mut offset = offset;
        while !left.is_empty() {
            let written = self.tree.write(ino, offset, left)? as usize;
            offset += written as u64;
            left = left.get(written..).unwrap_or_default();
        }
        Ok(())
    }

    fn dress(&self, ino: Ino, look: &Look) -> Result<()> {
        let time = Time { sec: look.mtime.0, nsec: look.mtime.1 };
        let mtime = (!look.is_folder()).then_some(TimeChange::At(time));
        let change = AttrChange {
            perm: Some(look.perm),
            uid: Some(look.uid),
            gid: Some(look.gid),
            mtime,
            ..AttrChange::default()
        };
        self.tree.setattr(ino, change)?;
        self.news.borrow_mut().push(News::Inode(ino));
        Ok(())
    }

    fn told_of(&self, parent: Ino, name: &str, ino: Option<Ino>) {
        let mut news = self.news.borrow_mut();
        news.push(News::Entry(parent, name.to_owned()));
        news.extend([Some(parent), ino].into_iter().flatten().map(News::Inode));
    }

    pub(crate) fn tell(&self, witness: &dyn Witness) {
        for one in self.news.borrow_mut().drain(..) {
            match one {
                News::Entry(directory, name) => witness.entry_changed(directory, OsStr::new(&name)),
                News::Inode(ino) => witness.inode_changed(ino),
            }
        }
    }

    /// Where a path is: its folder, its name there, and what is there. ENOENT where the folder is not.
    fn find<'p>(&self, path: &'p str) -> Result<(Ino, &'p str, Option<Attr>)> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let parent = if folder.is_empty() { ROOT } else { find(&**self.tree, folder)?.ino };
        match look_up(&**self.tree, parent, name) {
            Ok(attr) => Ok((parent, name, Some(attr))),
            Err(Error::Engine(Engine::Errno(libc::ENOENT))) => Ok((parent, name, None)),
            Err(error) => Err(error),
        }
    }
}

fn find(tree: &dyn FileSystem, path: &str) -> Result<Attr> {
    let mut attr = tree.getattr(ROOT)?;
    for part in path.split('/') {
        attr = look_up(tree, attr.ino, part)?;
    }
    Ok(attr)
}

/// What is found so keeps its number for as long as it has a name.
fn look_up(tree: &dyn FileSystem, parent: Ino, name: &str) -> Result<Attr> {
    let attr = tree.lookup(parent, OsStr::new(name))?;
    tree.forget(attr.ino, 1);
    Ok(attr)
}

fn temporary_name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!(".nixbox-sync-{}-{}.part", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
