//! A database over a folder. What is read comes from the folder as long as nobody has changed it here, and reading
//! never writes; what is changed is first copied up into the database; what is taken away is remembered as gone.
//!
//! The folder may change underneath at any time. What the database does not have shows as it is in the folder now.

mod alone;
mod attrs;
mod base;
mod below;
mod change;
mod compare;
mod copy_up;
mod hidden;
mod lift;
mod nodes;
mod origins;
mod received;
mod rename;
mod tables;
mod view;
mod watch;
mod whiteouts;

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;

use self::attrs::Attrs;
pub use self::attrs::Touched;
pub(crate) use self::base::{Base, Identity, Stat, Version};
pub(crate) use self::compare::{Differs, Shares};
pub(crate) use self::hidden::Hidden;
use self::nodes::Nodes;
pub(crate) use self::tables::{complete, complete_layer, statements};
use self::view::{Found, Place, shape};
use self::watch::Watches;
use self::whiteouts::Whiteouts;
use crate::by_path::Witness;
use crate::error::{Error, Result};
use crate::files::Files;
use crate::filesystem::{
    Allocate, Attr, AttrChange, Caller, Entry, FileSystem, Ino, Kind, NewNode, Opened, ROOT, Rename, StatFs,
};
use crate::listing::Listing;

/// The folder that a database lies over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BaseOptions {
    pub path: PathBuf,
    /// Absolute paths without symbolic links that the view does not show: everything that would lead back into a
    /// view, such as its mountpoint.
    pub hidden: Vec<PathBuf>,
    /// Patterns, as in a `.gitignore`, of what else it does not show.
    pub exclude: Vec<String>,
}

pub struct Overlay {
    files: Arc<Files>,
    base: Base,
    hidden: Hidden,
    /// Taken before the journal's lock, never after it.
    state: Arc<Mutex<State>>,
    /// Told when whoever made changes alone is done.
    turn: Condvar,
    /// Held while a large file is copied, and by whoever makes changes alone; taken before `state`.
    copying: Mutex<()>,
}

struct State {
    nodes: Nodes,
    whiteouts: Whiteouts,
    /// Folders of the database in which nothing of the base shows, though the base has their path.
    opaque: HashSet<Ino>,
    attrs: Attrs,
    /// Where somebody remembers what the view was.
    watches: Option<Watches>,
    /// The thread that makes changes that belong together.
    alone: Option<ThreadId>,
}

impl State {
    fn let_go(&mut self, number: Ino) -> Option<Ino> {
        let delta = self.nodes.let_go(number);
        if let (None, Some(watches)) = (self.nodes.get(number), &mut self.watches) {
            watches.remove(number);
        }
        delta
    }
}

impl Overlay {
    pub(crate) fn new(files: Arc<Files>, base: Base, options: &BaseOptions) -> Result<Self> {
        let hidden = Hidden::new(base.path(), &options.hidden, &options.exclude)?;
        let loaded = files.read_tree(|tree| tables::load(tree.store))?;
        let root = base.stat(std::path::Path::new(""))?.ok_or(Error::Errno(libc::ENOENT))?;
        let nodes = Nodes::new(root.id, loaded.shown);
        let tables::Loaded { whiteouts, opaque, attrs, .. } = loaded;
        let state = State { nodes, whiteouts, opaque, attrs, watches: None, alone: None };
        let (state, turn, copying) = (Arc::new(Mutex::new(state)), Condvar::new(), Mutex::new(()));
        Ok(Self { files, base, hidden, state, turn, copying })
    }

    /// Without symbolic links.
    pub fn base(&self) -> &std::path::Path {
        self.base.path()
    }

    pub(crate) fn files(&self) -> Arc<Files> {
        self.files.clone()
    }

    /// The base once more, and what of it is not to be seen.
    pub(crate) fn below(&self) -> Result<(Base, Hidden)> {
        Ok((Base::open(self.base.path())?, self.hidden.clone()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change of the state is made after everything that can fail.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while state.alone.is_some_and(|thread| thread != std::thread::current().id()) {
            state = self.turn.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state
    }

    /// What the front end is told of a file of the base; one that is open may have other content than was read of it.
    /// `now`: as the base has it, which the view's own times would say nothing of.
    fn compare(state: &mut State, number: Ino, now: Option<Version>) {
        let Some(node) = state.nodes.get_mut(number).filter(|node| node.delta.is_none()) else { return };
        let Some(now) = now else { return };
        node.told = Some(now);
        if node.opens > 0 && node.seen.is_some_and(|seen| seen != now) {
            node.seen = Some(now);
            Self::distrust(state, number);
        }
    }

    /// And, of what is the base's, which version of it.
    fn attr(&self, state: &State, number: Ino) -> Result<(Attr, Option<Version>)> {
        let Some(node) = state.nodes.get(number) else { return Ok((self.files.getattr(number)?, None)) };
        if let Some(delta) = node.delta {
            return Ok((shape(self.files.getattr(delta)?, number, node.below.is_some()), None));
        }
        let gone = || node.ghost.map(|ghost| (ghost, None)).ok_or(Error::Errno(libc::ESTALE));
        let Some(below) = &node.below else { return gone() };
        match self.base.stat(&below.path)? {
            Some(stat) if stat.id == below.id => {
                let attr = shape(state.attrs.apply(&below.path, stat.attr), number, true);
                Ok((attr, Some(stat.version())))
            }
            _ => gone(),
        }
    }
}

impl FileSystem for Overlay {
    fn lookup(&self, parent: Ino, name: &OsStr) -> Result<Attr> {
        let mut state = self.state();
        self.watch(&mut state, parent);
        let place = self.place(&state, parent)?;
        match self.find(&state, &place, name)? {
            Some(found) => {
                self.refer(&mut state, &place, &found);
                Ok(found.attr)
            }
            None => {
                if let Some(directory) = place.delta {
                    self.files.read_tree(|tree| tree.directory(directory))?;
                }
                Err(Error::Errno(libc::ENOENT))
            }
        }
    }

    fn lookup_all(&self, parent: Ino, listing: &Listing, some: Range<usize>) -> Vec<Option<Attr>> {
        let mut state = self.state();
        self.watch(&mut state, parent);
        let place = self.place(&state, parent);
        let found = place.and_then(|place| Ok((self.find_all(&state, &place, listing, &some)?, place)));
        let Ok((found, place)) = found else { return vec![None; some.len()] };
        for found in found.iter().flatten() {
            self.refer(&mut state, &place, found);
        }
        found.into_iter().map(|found| found.map(|found| found.attr)).collect()
    }

    fn forget(&self, ino: Ino, references: u64) {
        let mut state = self.state();
        let Some(node) = state.nodes.get_mut(ino) else { return self.files.forget(ino, references) };
        if ino == ROOT {
            return;
        }
        // Those from before it was a node are the database's.
        let rest = references.saturating_sub(node.lookups);
        node.lookups = node.lookups.saturating_sub(references);
        let delta = node.delta;
        let held = state.let_go(ino);
        if let Some(delta) = delta {
            self.files.forget(delta, rest + u64::from(held.is_some()));
        }
    }

    fn getattr(&self, ino: Ino) -> Result<Attr> {
        let mut state = self.state();
        let (attr, version) = self.attr(&state, ino)?;
        Self::compare(&mut state, ino, version);
        Ok(attr)
    }

    fn setattr(&self, ino: Ino, change: AttrChange) -> Result<Attr> {
        if change == AttrChange::default() {
            return self.getattr(ino);
        }
        if change.size.is_none()
            && let Some(attr) = self.touch(ino, change)?
        {
            return Ok(attr);
        }
        let kind = self.getattr(ino)?.kind;
        if change.size.is_some() && kind != Kind::File {
            return Err(Error::Errno(if kind == Kind::Directory { libc::EISDIR } else { libc::EINVAL }));
        }
        let delta = self.risen(ino, change.size.unwrap_or(copy_up::ALL))?;
        self.files.setattr(delta, change)?;
        self.getattr(ino)
    }

    fn readlink(&self, ino: Ino) -> Result<OsString> {
        let state = self.state();
        let Some(node) = state.nodes.get(ino) else { return self.files.readlink(ino) };
        match (node.delta, &node.below) {
            (Some(delta), _) => self.files.readlink(delta),
            (None, Some(below)) => self.base.read_link(&below.path),
            (None, None) => Err(Error::Errno(libc::ESTALE)),
        }
    }

    fn create(&self, parent: Ino, name: &OsStr, node: NewNode) -> Result<Attr> {
        self.make(parent, name, node.kind == Kind::Directory, |tree, directory| tree.create(directory, name, node))
    }

    fn draft(&self, directory: Ino, node: NewNode) -> Result<Attr> {
        let directory = self.getattr(directory)?;
        if directory.kind != Kind::Directory {
            return Err(Error::Errno(libc::ENOTDIR));
        }
        // The folder itself is copied up when something in it changes.
        self.files.draft(ROOT, node.in_directory(&directory))
    }

    fn publish(&self, draft: Ino, parent: Ino, name: &OsStr) -> Result<()> {
        self.put(draft, parent, name)
    }

    fn symlink(&self, parent: Ino, name: &OsStr, target: &OsStr, caller: Caller) -> Result<Attr> {
        self.make(parent, name, false, |tree, directory| tree.symlink(directory, name, target, caller))
    }

    fn link(&self, ino: Ino, parent: Ino, name: &OsStr) -> Result<Attr> {
        self.link_to(ino, parent, name)
    }

    fn unlink(&self, parent: Ino, name: &OsStr) -> Result<()> {
        self.remove(parent, name, false)
    }

    fn rmdir(&self, parent: Ino, name: &OsStr) -> Result<()> {
        self.remove(parent, name, true)
    }

    fn rename(&self, from: (Ino, &OsStr), to: (Ino, &OsStr), how: Rename) -> Result<()> {
        self.move_entry(from, to, how)
    }

    fn open(&self, ino: Ino) -> Result<Opened> {
        let mut state = self.state();
        let is_remembered = state.watches.is_some();
        let Some(node) = state.nodes.get_mut(ino) else { return self.files.open(ino) };
        let mut opened = Opened { same_content: true, unread: None };
        if let Some(delta) = node.delta {
            opened = self.files.open(delta)?;
            opened.unread = opened.unread.filter(|_| node.seen.is_none());
        } else {
            let below = node.below.as_ref().ok_or(Error::Errno(libc::ESTALE))?;
            if below.id.kind == Kind::File {
                // Gone a moment ago: told that it is stale, the kernel looks anew, and makes it where that was asked for.
                let (file, stat) = self.base.open_file(&below.path).map_err(|error| match error {
                    Error::Errno(libc::ENOENT | libc::ENOTDIR) => Error::Errno(libc::ESTALE),
                    error => error,
                })?;
                if stat.id != below.id {
                    return Err(Error::Errno(libc::ESTALE));
                }
                // The size that the kernel believes may be of a moment ago. Told that the file is stale, it looks up the
                // whole path anew and opens what it finds, once: so what is opened is what is there.
                let looked_before = std::mem::replace(&mut node.asked, false);
                if is_remembered && !looked_before && node.told.is_some_and(|told| told != stat.version()) {
                    node.asked = true;
                    return Err(Error::Errno(libc::ESTALE));
                }
                opened.same_content = node.seen.is_none_or(|seen| seen == stat.version());
                opened.unread = node.seen.is_none().then_some(stat.attr.size);
                node.seen = Some(stat.version());
                node.file = Some(Arc::new(file));
            }
        }
        node.opens += 1;
        Ok(opened)
    }

    fn release(&self, ino: Ino) {
        let mut state = self.state();
        let Some(node) = state.nodes.get_mut(ino) else { return self.files.release(ino) };
        node.opens = node.opens.saturating_sub(1);
        if node.opens == 0 {
            node.file = None;
        }
        if let Some(delta) = node.delta {
            self.files.release(delta);
        }
        if let Some(delta) = state.let_go(ino) {
            self.files.forget(delta, 1);
        }
    }

    fn version(&self, ino: Ino) -> Option<u64> {
        let state = self.state();
        let Some(node) = state.nodes.get(ino) else { return self.files.version(ino) };
        match (node.delta, &node.file) {
            (Some(delta), _) => self.files.version(delta),
            (None, Some(file)) => Base::stat_open(file).ok().map(|stat| stat.version().number()),
            (None, None) => None,
        }
    }

    fn read(&self, ino: Ino, offset: u64, size: u32) -> Result<Vec<u8>> {
        let state = self.state();
        let Some(node) = state.nodes.get(ino) else {
            drop(state);
            return self.files.read(ino, offset, size);
        };
        if let Some(delta) = node.delta {
            drop(state);
            return self.files.read(delta, offset, size);
        }
        let file = match (&node.file, &node.below) {
            (Some(file), _) => file.clone(),
            (None, Some(below)) => match below.id.kind {
                Kind::File => Arc::new(self.base.open_file(&below.path)?.0),
                Kind::Directory => return Err(Error::Errno(libc::EISDIR)),
                _ => return Err(Error::Errno(libc::EINVAL)),
            },
            (None, None) => return Err(Error::Errno(libc::ESTALE)),
        };
        drop(state);
        read_at(&file, offset, size)
    }

    fn write(&self, ino: Ino, offset: u64, data: &[u8]) -> Result<u32> {
        let delta = self.risen(ino, copy_up::ALL)?;
        self.files.write(delta, offset, data)
    }

    fn allocate(&self, ino: Ino, offset: u64, length: u64, how: Allocate) -> Result<()> {
        let delta = self.risen(ino, copy_up::ALL)?;
        self.files.allocate(delta, offset, length, how)
    }

    fn blocks(&self, attr: &Attr) -> u64 {
        if !attr.may_have_holes() {
            return attr.full_blocks();
        }
        let state = self.state();
        let (delta, below) = match state.nodes.get(attr.ino) {
            Some(node) => (node.delta, node.below.clone()),
            None => (Some(attr.ino), None),
        };
        drop(state);
        match (delta, below) {
            (Some(ino), _) => self.files.blocks(&Attr { ino, ..*attr }),
            (None, Some(below)) => match self.base.stat(&below.path) {
                Ok(Some(stat)) => stat.blocks,
                _ => attr.full_blocks(),
            },
            (None, None) => attr.full_blocks(),
        }
    }

    fn fsync(&self, ino: Ino) -> Result<()> {
        self.files.fsync(ino)
    }

    /// Only where nothing can be copied up: see [`FileSystem::backing`].
    fn backing(&self, ino: Ino) -> Option<Arc<std::fs::File>> {
        let state = self.state();
        let node = state.nodes.get(ino).filter(|node| self.files.is_read_only() && node.delta.is_none())?;
        node.file.clone()
    }

    fn together(&self, work: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        self.alone(|| self.files.together(work))
    }

    fn undoes(&self) -> bool {
        true
    }

    fn readdir(&self, ino: Ino) -> Result<Vec<Entry>> {
        let state = self.state();
        if state.nodes.get(ino).is_some_and(|node| node.kind == Kind::Directory && node.ghost.is_some()) {
            return Ok(Vec::new());
        }
        let place = self.place(&state, ino)?;
        let mut entries: Vec<_> =
            self.entries(&state, &place)?.into_iter().map(|(name, found)| Entry { name, attr: found.attr }).collect();
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn list(&self, ino: Ino) -> Result<Listing> {
        let state = self.state();
        if state.nodes.get(ino).is_some_and(|node| node.kind == Kind::Directory && node.ghost.is_some()) {
            return Ok(Listing::default());
        }
        let place = self.place(&state, ino)?;
        self.names(&state, &place)
    }

    fn parent(&self, ino: Ino) -> Result<Ino> {
        let state = self.state();
        let of_delta = |delta: Ino| self.files.parent(delta).map(|parent| state.nodes.shown(parent));
        let Some(node) = state.nodes.get(ino) else { return of_delta(ino) };
        match (&node.below, node.delta) {
            (Some(below), delta) => match below.path.parent() {
                None => Ok(ROOT),
                Some(parent) => match (state.nodes.at(parent), delta) {
                    (Some(parent), _) => Ok(parent),
                    (None, Some(delta)) => of_delta(delta),
                    (None, None) => match self.base.stat(parent)? {
                        Some(stat) => Ok(state.nodes.number(parent, &stat.id)),
                        None => Err(Error::Errno(libc::ENOENT)),
                    },
                },
            },
            (None, Some(delta)) => of_delta(delta),
            (None, None) => Err(Error::Errno(libc::ENOENT)),
        }
    }

    fn statfs(&self) -> Result<StatFs> {
        self.files.statfs()
    }

    /// What lies in the base, or has the number that it had there, is known by its name only.
    fn is_found_by_number(&self, ino: Ino) -> bool {
        ino == ROOT || self.state().nodes.get(ino).is_none()
    }

    fn valid_for(&self, ino: Ino) -> Duration {
        Self::believable(&self.state(), ino)
    }

    fn absence_valid_for(&self, directory: Ino) -> Duration {
        Self::names_believable(&self.state(), directory)
    }

    fn tell(&self, witness: Arc<dyn Witness>) {
        if let Err(error) = self.start_watching(witness) {
            tracing::warn!(%error, "changes of the base are asked for each time");
        }
    }
}

pub(crate) fn read_at(file: &std::fs::File, offset: u64, size: u32) -> Result<Vec<u8>> {
    // Asked for more than there is, as tests and verbs do, this must not take the memory for it.
    let rest = file.metadata()?.len().saturating_sub(offset).min(u64::from(size));
    let mut content = vec![0; rest as usize];
    let mut filled = 0;
    while filled < content.len() {
        match file.read_at(&mut content[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    content.truncate(filled);
    Ok(content)
}
