//! A file tree in memory: the simplest thing that keeps the promises of `FileSystem`, so that what fails over it is
//! the front end's fault.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::sync::{Mutex, MutexGuard};

use nixbox_engine::{
    Attr, AttrChange, Caller, Entry, Error, FileSystem, Ino, Kind, NewNode, Opened, ROOT, Rename, Result, StatFs, Time,
    TimeChange,
};

pub struct Memory {
    state: Mutex<State>,
}

struct State {
    nodes: HashMap<Ino, Node>,
    next: Ino,
    reads: u64,
}

struct Node {
    attr: Attr,
    data: Vec<u8>,
    target: OsString,
    names: BTreeMap<OsString, Ino>,
    parent: Ino,
    references: u64,
    opens: u64,
    was_open: bool,
    version: u64,
}

fn no<T>(errno: i32) -> Result<T> {
    Err(Error::Errno(errno))
}

impl Default for Memory {
    fn default() -> Self {
        let mut state = State { nodes: HashMap::new(), next: ROOT, reads: 0 };
        let caller = Caller { uid: nix::unistd::getuid().as_raw(), gid: nix::unistd::getgid().as_raw() };
        state.add(ROOT, NewNode { kind: Kind::Directory, perm: 0o755, rdev: 0, caller });
        Self { state: Mutex::new(state) }
    }
}

impl Memory {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// How many inodes there are, and how many references the kernel holds on any but the root.
    pub fn counts(&self) -> (usize, u64) {
        let state = self.state();
        let held = state.nodes.iter().filter(|(ino, _)| **ino != ROOT).map(|(_, node)| node.references).sum();
        (state.nodes.len(), held)
    }

    /// How often somebody has asked for content.
    pub fn reads(&self) -> u64 {
        self.state().reads
    }

    pub fn opens(&self) -> u64 {
        self.state().nodes.values().map(|node| node.opens).sum()
    }
}

impl State {
    fn add(&mut self, parent: Ino, new: NewNode) -> Ino {
        let ino = self.next;
        self.next += 1;
        let now = Time::now();
        let attr = Attr {
            ino,
            kind: new.kind,
            perm: new.perm,
            nlink: if new.kind == Kind::Directory { 2 } else { 1 },
            uid: new.caller.uid,
            gid: new.caller.gid,
            rdev: new.rdev,
            size: 0,
            atime: now,
            mtime: now,
            ctime: now,
        };
        let node = Node {
            attr,
            data: Vec::new(),
            target: OsString::new(),
            names: BTreeMap::new(),
            parent,
            references: 1,
            opens: 0,
            was_open: false,
            version: 0,
        };
        self.nodes.insert(ino, node);
        ino
    }

    fn node(&mut self, ino: Ino) -> Result<&mut Node> {
        self.nodes.get_mut(&ino).ok_or(Error::Errno(libc::ENOENT))
    }

    fn child(&mut self, parent: Ino, name: &OsStr) -> Result<Ino> {
        self.node(parent)?.names.get(name).copied().ok_or(Error::Errno(libc::ENOENT))
    }

    fn put(&mut self, parent: Ino, name: &OsStr, new: NewNode) -> Result<Ino> {
        if name.len() > 255 {
            return no(libc::ENAMETOOLONG);
        }
        if self.child(parent, name).is_ok() {
            return no(libc::EEXIST);
        }
        let ino = self.add(parent, new);
        self.node(parent)?.names.insert(name.to_owned(), ino);
        self.touch(parent)?;
        Ok(ino)
    }

    fn touch(&mut self, ino: Ino) -> Result<()> {
        let now = Time::now();
        let attr = &mut self.node(ino)?.attr;
        (attr.mtime, attr.ctime) = (now, now);
        Ok(())
    }

    fn take(&mut self, parent: Ino, name: &OsStr) -> Result<()> {
        let ino = self.child(parent, name)?;
        self.node(parent)?.names.remove(name);
        self.touch(parent)?;
        let attr = &mut self.node(ino)?.attr;
        attr.nlink = if attr.kind == Kind::Directory { 0 } else { attr.nlink - 1 };
        self.reap(ino);
        Ok(())
    }

    fn reap(&mut self, ino: Ino) {
        if self.nodes.get(&ino).is_some_and(|node| node.attr.nlink == 0 && node.references == 0 && node.opens == 0) {
            self.nodes.remove(&ino);
        }
    }
}

impl FileSystem for Memory {
    fn lookup(&self, parent: Ino, name: &OsStr) -> Result<Attr> {
        let mut state = self.state();
        let ino = state.child(parent, name)?;
        let node = state.node(ino)?;
        node.references += 1;
        Ok(node.attr)
    }

    fn forget(&self, ino: Ino, references: u64) {
        let mut state = self.state();
        if let Ok(node) = state.node(ino) {
            assert!(node.references >= references, "inode {ino} is forgotten more often than it was looked up");
            node.references -= references;
        }
        state.reap(ino);
    }

    fn getattr(&self, ino: Ino) -> Result<Attr> {
        Ok(self.state().node(ino)?.attr)
    }

    fn setattr(&self, ino: Ino, change: AttrChange) -> Result<Attr> {
        let mut state = self.state();
        let node = state.node(ino)?;
        let now = Time::now();
        let time = |change| match change {
            TimeChange::Now => now,
            TimeChange::At(time) => time,
        };
        if let Some(size) = change.size {
            node.data.resize(size as usize, 0);
            node.version += 1;
            node.attr.size = size;
            node.attr.mtime = now;
        }
        let attr = &mut node.attr;
        attr.perm = change.perm.unwrap_or(attr.perm);
        attr.uid = change.uid.unwrap_or(attr.uid);
        attr.gid = change.gid.unwrap_or(attr.gid);
        attr.atime = change.atime.map_or(attr.atime, time);
        attr.mtime = change.mtime.map_or(attr.mtime, time);
        attr.ctime = now;
        Ok(*attr)
    }

    fn readlink(&self, ino: Ino) -> Result<OsString> {
        Ok(self.state().node(ino)?.target.clone())
    }

    fn create(&self, parent: Ino, name: &OsStr, node: NewNode) -> Result<Attr> {
        let mut state = self.state();
        let ino = state.put(parent, name, node)?;
        Ok(state.node(ino)?.attr)
    }

    fn symlink(&self, parent: Ino, name: &OsStr, target: &OsStr, caller: Caller) -> Result<Attr> {
        let mut state = self.state();
        let ino = state.put(parent, name, NewNode { kind: Kind::Symlink, perm: 0o777, rdev: 0, caller })?;
        let node = state.node(ino)?;
        node.target = target.to_owned();
        node.attr.size = target.len() as u64;
        Ok(node.attr)
    }

    fn link(&self, ino: Ino, parent: Ino, name: &OsStr) -> Result<Attr> {
        let mut state = self.state();
        if state.child(parent, name).is_ok() {
            return no(libc::EEXIST);
        }
        state.node(parent)?.names.insert(name.to_owned(), ino);
        let node = state.node(ino)?;
        node.attr.nlink += 1;
        node.references += 1;
        Ok(node.attr)
    }

    fn unlink(&self, parent: Ino, name: &OsStr) -> Result<()> {
        let mut state = self.state();
        let ino = state.child(parent, name)?;
        if state.node(ino)?.attr.kind == Kind::Directory {
            return no(libc::EISDIR);
        }
        state.take(parent, name)
    }

    fn rmdir(&self, parent: Ino, name: &OsStr) -> Result<()> {
        let mut state = self.state();
        let ino = state.child(parent, name)?;
        let node = state.node(ino)?;
        match (node.attr.kind, node.names.is_empty()) {
            (Kind::Directory, true) => state.take(parent, name),
            (Kind::Directory, false) => no(libc::ENOTEMPTY),
            _ => no(libc::ENOTDIR),
        }
    }

    fn rename(&self, from: (Ino, &OsStr), to: (Ino, &OsStr), how: Rename) -> Result<()> {
        let mut state = self.state();
        let ino = state.child(from.0, from.1)?;
        match state.child(to.0, to.1) {
            Ok(there) if how == Rename::Exchange => {
                state.node(from.0)?.names.insert(from.1.to_owned(), there);
                state.node(to.0)?.names.insert(to.1.to_owned(), ino);
                (state.node(ino)?.parent, state.node(there)?.parent) = (to.0, from.0);
                return Ok(());
            }
            Ok(_) if how == Rename::NoReplace => return no(libc::EEXIST),
            Ok(there) if there == ino => return Ok(()),
            Ok(there) if !state.node(there)?.names.is_empty() => return no(libc::ENOTEMPTY),
            Ok(_) => state.take(to.0, to.1)?,
            Err(_) => {}
        }
        state.node(from.0)?.names.remove(from.1);
        state.node(to.0)?.names.insert(to.1.to_owned(), ino);
        state.node(ino)?.parent = to.0;
        Ok(())
    }

    fn open(&self, ino: Ino) -> Result<Opened> {
        let mut state = self.state();
        let node = state.node(ino)?;
        node.opens += 1;
        let is_first = !std::mem::replace(&mut node.was_open, true);
        Ok(Opened { same_content: true, unread: is_first.then_some(node.data.len() as u64) })
    }

    fn version(&self, ino: Ino) -> Option<u64> {
        Some(self.state().node(ino).ok()?.version)
    }

    fn release(&self, ino: Ino) {
        let mut state = self.state();
        if let Ok(node) = state.node(ino) {
            node.opens -= 1;
        }
        state.reap(ino);
    }

    fn read(&self, ino: Ino, offset: u64, size: u32) -> Result<Vec<u8>> {
        let mut state = self.state();
        state.reads += 1;
        let data = &state.node(ino)?.data;
        let start = data.len().min(offset as usize);
        Ok(data[start..data.len().min(start + size as usize)].to_vec())
    }

    fn write(&self, ino: Ino, offset: u64, data: &[u8]) -> Result<u32> {
        let mut state = self.state();
        let node = state.node(ino)?;
        node.version += 1;
        let end = offset as usize + data.len();
        if node.data.len() < end {
            node.data.resize(end, 0);
        }
        node.data[offset as usize..end].copy_from_slice(data);
        node.attr.size = node.data.len() as u64;
        state.touch(ino)?;
        Ok(data.len() as u32)
    }

    fn fsync(&self, _: Ino) -> Result<()> {
        Ok(())
    }

    fn readdir(&self, ino: Ino) -> Result<Vec<Entry>> {
        let mut state = self.state();
        let names = state.node(ino)?.names.clone();
        names.into_iter().map(|(name, ino)| Ok(Entry { name, attr: state.node(ino)?.attr })).collect()
    }

    fn parent(&self, ino: Ino) -> Result<Ino> {
        Ok(self.state().node(ino)?.parent)
    }

    fn statfs(&self) -> Result<StatFs> {
        Ok(StatFs {
            block_size: 4096,
            blocks: 1 << 20,
            blocks_free: 1 << 19,
            files: 1 << 20,
            files_free: 1 << 19,
            name_max: 255,
        })
    }
}
