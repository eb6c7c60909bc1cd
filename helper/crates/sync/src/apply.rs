//! Makes a tree what it is to be, out of the other side's: the one way in which anything is changed, on either side.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nixbox_engine::{
    Absent, Attr, AttrChange, Beneath, Caller, Delta, Error as Engine, FileSystem, Ino, Kind, Kv, Missing, NewNode,
    Notes, ROOT, Rename, Time, TimeChange, Witness,
};

use crate::beside::Beside;
use crate::company::{Company, Phase, Progress, go_on};
use crate::error::{Error, Result};
use crate::layer;
use crate::look::{Key, Look, Mark, Sort, What, pair};
use crate::scan::{AllMissing, Looks, Scan};

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
    tree: &'a Arc<dyn FileSystem>,
    kv: &'a Kv,
    absent: &'a Absent,
    /// Who shows it is told afterwards: see [`Witness`].
    news: RefCell<Vec<News>>,
    /// What was found in a view keeps its number only for as long as somebody refers to it.
    held: RefCell<Vec<Ino>>,
    /// Nobody looks at it meanwhile: files are written where they are, so that only what differs is written.
    alone: bool,
    /// Where it is a layer over a base; `tree` is the view then.
    layer: Option<Layer<'a>>,
}

impl<'a> Target<'a> {
    pub(crate) fn new(
        (tree, kv, absent): (&'a Arc<dyn FileSystem>, &'a Kv, &'a Absent),
        alone: bool,
        layer: Option<Layer<'a>>,
    ) -> Self {
        Self { tree, kv, absent, news: RefCell::default(), held: RefCell::default(), alone, layer }
    }
}

/// What a target has of its own.
pub(crate) struct Layer<'a> {
    pub(crate) delta: &'a Delta,
    /// See [`layer::recognised`].
    pub(crate) beneath: BTreeMap<String, Beneath>,
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
    /// Where a file comes from that the target has already, under a name that it is to have no more.
    moves: BTreeMap<String, String>,
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
            if there.is_some_and(|there| there.sort() != look.sort()) {
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

    /// A file that only got another name is not brought again. `now`: the target; `was`: by what name it was agreed on
    /// what is at a name of the source.
    pub(crate) fn with_moves<'a>(mut self, now: &Scan, was: impl Fn(&Key) -> Option<&'a str>) -> Self {
        let gone: BTreeSet<&Key> = self.remove.iter().collect();
        let is_file = |look: &Look| matches!(look.what, What::File { .. });
        let mut taken = BTreeSet::new();
        let mut moves = BTreeMap::new();
        for (key, _) in self.put.iter().filter(|(key, look)| is_file(look) && !now.looks.contains_key(key)) {
            let (Key::File(to), Some(from)) = (key, was(key)) else { continue };
            let from_key = Key::File(from.to_owned());
            if gone.contains(&from_key) && now.looks.get(&from_key).is_some_and(is_file) && taken.insert(from) {
                moves.insert(to.clone(), from.to_owned());
            }
        }
        self.moves = moves;
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.put.is_empty()
    }

    /// How many things somebody would say that it changes.
    pub(crate) fn len(&self) -> usize {
        let put: BTreeSet<&Key> = self.put.iter().filter(|(_, look)| !look.only_leads()).map(|(key, _)| key).collect();
        let all: BTreeSet<&Key> = self.put.iter().map(|(key, _)| key).collect();
        put.len() + self.remove.iter().filter(|key| !all.contains(key)).count()
    }

    pub(crate) fn put(&self) -> &[(Key, Look)] {
        &self.put
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.remove.iter().chain(self.put.iter().map(|(key, _)| key))
    }
}

impl Target<'_> {
    /// The files of `order`. Stops where the target is not as it was in `now`: somebody else has changed it since.
    pub(crate) fn apply_files(&self, order: &Order, now: &Scan, source: &Source<'_>) -> Result<()> {
        let applied = self.change_files(order, now, source);
        self.held.borrow_mut().drain(..).for_each(|ino| self.tree.forget(ino, 1));
        applied
    }

    fn change_files(&self, order: &Order, now: &Scan, source: &Source<'_>) -> Result<()> {
        let phase = if self.alone { Phase::Packing } else { Phase::Applying };
        let mut far = Progress { of_things: order.len() as u64, of_bytes: order.bytes(), ..Progress::at(phase) };
        let notes = self.layer.as_ref().map(|layer| layer.delta.notes()).transpose()?;
        let said = notes.as_ref().map(|notes| (notes, &now.looks));
        let leaving: BTreeMap<&str, &str> = order.moves.iter().map(|(to, from)| (&**from, &**to)).collect();
        let mut aside = BTreeMap::new();
        for key in &order.remove {
            go_on(source.company, far)?;
            far.things += 1;
            if let Key::File(path) = key {
                self.expect(path, now.marks.get(key), now.looks.get(key), said)?;
                if let Some(to) = leaving.get(path.as_str())
                    && let Some(name) = self.put_aside(path)?
                {
                    aside.insert(*to, (name, now.looks.get(key)));
                    continue;
                }
                match &self.layer {
                    Some(layer) => self.reveal(layer, path)?,
                    None => self.remove(path)?,
                }
            }
        }
        for (key, look) in &order.put {
            go_on(source.company, far)?;
            far.things += 1;
            if let What::File { size, .. } = look.what {
                far.bytes += size;
            }
            if let Key::File(path) = key {
                let before = now.looks.get(key);
                let there = before.filter(|there| there.sort() == look.sort());
                let mark = there.and_then(|_| now.marks.get(key));
                // What was of another sort has been taken away just now, and was looked at then.
                let said = if there.is_none() && before.is_some() { None } else { said };
                self.expect(path, mark, there, said)?;
                let there = match aside.remove(path.as_str()) {
                    Some((name, look)) => {
                        let (parent, to, _) = self.find(path)?;
                        self.tree.rename((ROOT, OsStr::new(&name)), (parent, OsStr::new(to)), Rename::NoReplace)?;
                        look
                    }
                    None => there,
                };
                match &self.layer {
                    Some(layer) => self.put_layer(layer, path, look, there, source)?,
                    None => self.put(path, look, there, source)?,
                }
            }
        }
        Ok(())
    }

    /// A file that is to have another name, while folders come and go. Not one that has others already.
    fn put_aside(&self, path: &str) -> Result<Option<String>> {
        let (parent, name, there) = self.find(path)?;
        if there.is_none_or(|there| there.kind != Kind::File || there.nlink > 1) {
            return Ok(None);
        }
        let aside = temporary_name();
        self.tree.rename((parent, OsStr::new(name)), (ROOT, OsStr::new(&aside)), Rename::NoReplace)?;
        Ok(Some(aside))
    }

    /// Whatever of the base's is in the way is hidden before, and what is put there then shows in its place.
    fn put_layer(
        &self,
        layer: &Layer<'_>,
        path: &str,
        look: &Look,
        before: Option<&Look>,
        source: &Source<'_>,
    ) -> Result<()> {
        let there = match self.find(path) {
            Ok((parent, name, there)) => there.map(|there| (parent, name, there)),
            // Of a folder that this base does not have, something may be gone all the same.
            Err(Error::Engine(Engine::Errno(libc::ENOENT))) => None,
            Err(error) => return Err(error),
        };
        let is_folder = |attr: &Attr| attr.kind == Kind::Directory;
        match look.sort() {
            Sort::Gone => self.hide(layer, path, there.as_ref().map(|(parent, name, attr)| (*parent, *name, attr))),
            Sort::Touched => {
                let Some(said) = layer::touched(look) else { return Ok(()) };
                layer.delta.set_touched(path, &said)?;
                if let Some((parent, name, attr)) = there {
                    self.told_of(parent, name, Some(attr.ino));
                }
                Ok(())
            }
            Sort::Folder => {
                match &there {
                    Some((_, _, attr)) if is_folder(attr) => layer.delta.raise(attr.ino)?,
                    Some((parent, name, attr)) => self.hide(layer, path, Some((*parent, *name, attr)))?,
                    None => {}
                }
                self.put(path, &Look { what: What::Folder, ..look.clone() }, before, source)?;
                if before.is_none_or(|before| before.what != look.what) {
                    self.told_of_all_in(path)?;
                }
                layer.delta.set_opaque(path, look.what == What::Opaque)?;
                Ok(layer.delta.set_beneath(path, layer.beneath.get(path))?)
            }
            Sort::Entry => {
                let in_the_way = |attr: &Attr| before.is_none() && (is_folder(attr) || attr.kind != Kind::File);
                if let Some((parent, name, attr)) = there.as_ref().filter(|(_, _, attr)| in_the_way(attr)) {
                    self.hide(layer, path, Some((*parent, *name, attr)))?;
                }
                if let What::Same { first } = &look.what {
                    // The other name goes on standing for what it stood for.
                    let beneath = layer.delta.replaced(first)?;
                    self.put(path, look, before, source)?;
                    return Ok(layer.delta.set_beneath(first, beneath.as_ref())?);
                }
                self.put(path, look, before, source)?;
                Ok(layer.delta.set_beneath(path, layer.beneath.get(path))?)
            }
        }
    }

    /// What shows at a path does so no more.
    fn hide(&self, layer: &Layer<'_>, path: &str, there: Option<(Ino, &str, &Attr)>) -> Result<()> {
        if let Some((parent, name, attr)) = there {
            // A program that has it open goes on with it.
            if attr.kind != Kind::Directory {
                self.tree.unlink(parent, OsStr::new(name))?;
            }
            self.told_of(parent, name, Some(attr.ino));
        }
        Ok(layer.delta.whiten(path)?)
    }

    fn reveal(&self, layer: &Layer<'_>, path: &str) -> Result<()> {
        let told = match self.find(path) {
            Ok((parent, name, there)) => Some((parent, name, there.map(|attr| attr.ino))),
            Err(Error::Engine(Engine::Errno(libc::ENOENT))) => None,
            Err(error) => return Err(error),
        };
        layer.delta.reveal(path).map_err(layer::moved)?;
        if let Some((parent, name, ino)) = told {
            self.told_of(parent, name, ino);
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

    /// `said`: of the base's, where it is a layer.
    fn expect(
        &self,
        path: &str,
        mark: Option<&Mark>,
        look: Option<&Look>,
        said: Option<(&Notes, &Looks)>,
    ) -> Result<()> {
        let own = self.layer.as_ref().map(|layer| layer.delta.tree());
        let there = match find(&**own.as_ref().unwrap_or(self.tree), path) {
            Ok(there) => Some(there),
            // Not there, or a folder above is not, which is put before.
            Err(Error::Engine(Engine::Errno(libc::ENOENT | libc::ENOTDIR))) => None,
            Err(error) => return Err(error),
        };
        let as_it_was = match (&there, look) {
            (None, look) if look.is_none_or(|look| matches!(look.sort(), Sort::Gone | Sort::Touched)) => {
                said.is_none_or(|(notes, looks)| layer::said_at(notes, looks, path).as_ref() == look)
            }
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
            // Not of the tree; see `put_layer`.
            (What::Value { .. } | What::Opaque | What::Gone | What::Touched { .. }, _) => return Ok(()),
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
            let look =
                Look { perm: attr.perm, uid: attr.uid, gid: attr.gid, mtime: pair(attr.mtime), what, over: None };
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
        Ok(source.absent.get(&find(&**source.tree, source.path_of(path))?.ino))
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

    /// Other entries may show in a folder from here on.
    fn told_of_all_in(&self, folder: &str) -> Result<()> {
        let folder = self.see(folder)?.ino;
        let listing = self.tree.list(folder)?;
        let entries =
            listing.names().iter().map(|entry| News::Entry(folder, entry.name.to_string_lossy().into_owned()));
        self.news.borrow_mut().extend(entries);
        Ok(())
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
        let parent = if folder.is_empty() { ROOT } else { self.see(folder)?.ino };
        match self.look_up(parent, name) {
            Ok(attr) => Ok((parent, name, Some(attr))),
            Err(Error::Engine(Engine::Errno(libc::ENOENT))) => Ok((parent, name, None)),
            Err(error) => Err(error),
        }
    }

    fn see(&self, path: &str) -> Result<Attr> {
        let mut attr = self.tree.getattr(ROOT)?;
        for part in path.split('/') {
            attr = self.look_up(attr.ino, part)?;
        }
        Ok(attr)
    }

    fn look_up(&self, parent: Ino, name: &str) -> Result<Attr> {
        let attr = self.tree.lookup(parent, OsStr::new(name))?;
        self.held.borrow_mut().push(attr.ino);
        Ok(attr)
    }
}

/// In a tree in which what has a name has its number.
fn find(tree: &dyn FileSystem, path: &str) -> Result<Attr> {
    let mut attr = tree.getattr(ROOT)?;
    for part in path.split('/') {
        attr = tree.lookup(attr.ino, OsStr::new(part))?;
        tree.forget(attr.ino, 1);
    }
    Ok(attr)
}

fn temporary_name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!(".nixbox-sync-{}-{}.part", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
