//! Calls made to the engine and to a real folder of this machine, and the trees that come of them.
#![allow(dead_code)]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::fcntl::{AT_FDCWD, AtFlags, RenameFlags, renameat2};
use nix::unistd::{UnlinkatFlags, linkat, unlinkat};
use nixbox_engine::*;
use proptest::prelude::*;

use super::*;

pub type Steps = Vec<&'static str>;

#[derive(Debug, Clone)]
pub enum Call {
    Create(Steps, u16),
    Mkdir(Steps, u16),
    Symlink(Steps, &'static str),
    Link(Steps, Steps),
    Unlink(Steps),
    Rmdir(Steps),
    Rename(Steps, Steps, bool),
    Exchange(Steps, Steps),
    Chmod(Steps, u16),
    Open(usize, Steps),
    Write(usize, u64, usize, u64),
    Truncate(usize, u64),
    Close(usize),
    Reopen,
}

pub const HANDLES: usize = 3;

fn path() -> impl Strategy<Value = Steps> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 1..4)
}

pub fn call() -> impl Strategy<Value = Call> {
    let handle = || 0..HANDLES;
    let offset = || prop_oneof![0_u64..40, 0_u64..5000, Just(2_000_000)];
    prop_oneof![
        4 => (path(), 0_u16..0o1000).prop_map(|(path, perm)| Call::Create(path, perm)),
        4 => (path(), 0_u16..0o1000).prop_map(|(path, perm)| Call::Mkdir(path, perm | 0o700)),
        1 => path().prop_map(|path| Call::Symlink(path, "nowhere/at/all")),
        3 => (path(), path()).prop_map(|(from, to)| Call::Link(from, to)),
        3 => path().prop_map(Call::Unlink),
        2 => path().prop_map(Call::Rmdir),
        6 => (path(), path(), any::<bool>()).prop_map(|(from, to, keep)| Call::Rename(from, to, keep)),
        2 => (path(), path()).prop_map(|(one, other)| Call::Exchange(one, other)),
        1 => (path(), 0_u16..0o1000).prop_map(|(path, perm)| Call::Chmod(path, perm | 0o700)),
        3 => (handle(), path()).prop_map(|(handle, path)| Call::Open(handle, path)),
        6 => (handle(), offset(), 1_usize..300, any::<u64>()).prop_map(|(h, at, n, seed)| Call::Write(h, at, n, seed)),
        2 => (handle(), offset()).prop_map(|(handle, size)| Call::Truncate(handle, size)),
        1 => handle().prop_map(Call::Close),
        1 => Just(Call::Reopen),
    ]
}

pub type Answer = Result<(), i32>;

/// The machine's own file system.
pub struct Linux {
    pub root: PathBuf,
    pub open: [Option<File>; HANDLES],
}

impl Linux {
    fn at(&self, steps: &Steps) -> PathBuf {
        steps.iter().fold(self.root.clone(), |path, step| path.join(step))
    }

    pub fn call(&mut self, call: &Call) -> Answer {
        let errno = |error: io::Error| error.raw_os_error().unwrap();
        let nix = |error: nix::Error| error as i32;
        match call {
            Call::Create(path, perm) => OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(u32::from(*perm))
                .open(self.at(path))
                .map(drop)
                .map_err(errno),
            Call::Mkdir(path, perm) => {
                fs::DirBuilder::new().mode(u32::from(*perm)).create(self.at(path)).map_err(errno)
            }
            Call::Symlink(path, target) => symlink(target, self.at(path)).map_err(errno),
            Call::Link(from, to) => {
                linkat(AT_FDCWD, &self.at(from), AT_FDCWD, &self.at(to), AtFlags::empty()).map_err(nix)
            }
            Call::Unlink(path) => unlinkat(AT_FDCWD, &self.at(path), UnlinkatFlags::NoRemoveDir).map_err(nix),
            Call::Rmdir(path) => unlinkat(AT_FDCWD, &self.at(path), UnlinkatFlags::RemoveDir).map_err(nix),
            Call::Rename(from, to, keep) => {
                let flags = if *keep { RenameFlags::RENAME_NOREPLACE } else { RenameFlags::empty() };
                renameat2(AT_FDCWD, &self.at(from), AT_FDCWD, &self.at(to), flags).map_err(nix)
            }
            Call::Exchange(one, other) => {
                renameat2(AT_FDCWD, &self.at(one), AT_FDCWD, &self.at(other), RenameFlags::RENAME_EXCHANGE).map_err(nix)
            }
            Call::Chmod(path, perm) => {
                let path = self.at(path);
                if fs::symlink_metadata(&path).map_err(errno)?.is_symlink() {
                    return Ok(());
                }
                fs::set_permissions(path, PermissionsExt::from_mode(u32::from(*perm))).map_err(errno)
            }
            Call::Open(handle, path) => {
                let flags =
                    OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOFOLLOW).open(self.at(path));
                self.open[*handle] = Some(flags.map_err(errno)?);
                Ok(())
            }
            Call::Write(handle, offset, length, seed) => match &self.open[*handle] {
                Some(file) => file.write_all_at(&pattern(*length, *seed), *offset).map_err(errno),
                None => Ok(()),
            },
            Call::Truncate(handle, size) => match &self.open[*handle] {
                Some(file) => file.set_len(*size).map_err(errno),
                None => Ok(()),
            },
            Call::Close(handle) => {
                self.open[*handle] = None;
                Ok(())
            }
            Call::Reopen => {
                self.open = Default::default();
                Ok(())
            }
        }
    }
}

/// The engine, spoken to as a kernel does: each step of a path looked up, and forgotten again after the call.
pub struct Engine {
    pub scratch: Scratch,
    pub files: Arc<dyn FileSystem>,
    open: [Option<Ino>; HANDLES],
    held: RefCell<Vec<Ino>>,
}

/// Unoptimised, Turso takes a second for each.
pub fn cases() -> proptest::test_runner::Config {
    let all = proptest::test_runner::Config::default();
    let cases = if backing() == Backing::Sqlite { all.cases } else { 20 };
    proptest::test_runner::Config { cases, ..all }
}

impl Engine {
    pub fn new(chunk_size: u32, base: Option<&Path>) -> Self {
        let base = base.map(|path| BaseOptions { path: path.to_owned(), ..BaseOptions::default() });
        let scratch = Scratch::with_options(Options { chunk_size, base, ..options() });
        let files = scratch.tree();
        Self { scratch, files, open: Default::default(), held: RefCell::default() }
    }

    fn lookup(&self, parent: Ino, step: &str) -> Result<Attr, i32> {
        let attr = self.files.lookup(parent, name(step)).map_err(|error| error.errno())?;
        self.held.borrow_mut().push(attr.ino);
        Ok(attr)
    }

    /// The directory that a path ends in. No link leads anywhere.
    fn parent(&self, steps: &Steps) -> Result<(Ino, &'static OsStr), i32> {
        let (last, before) = steps.split_last().unwrap();
        let mut at = ROOT;
        for step in before {
            let attr = self.lookup(at, step)?;
            at = match attr.kind {
                Kind::Directory => attr.ino,
                Kind::Symlink => return Err(libc::ENOENT),
                _ => return Err(libc::ENOTDIR),
            };
        }
        Ok((at, name(last)))
    }

    fn attr(&self, steps: &Steps) -> Result<Attr, i32> {
        let (parent, last) = self.parent(steps)?;
        self.lookup(parent, last.to_str().unwrap())
    }

    fn made(&self, made: Result<Attr>) -> Answer {
        let attr = made.map_err(|error| error.errno())?;
        self.files.forget(attr.ino, 1);
        Ok(())
    }

    fn set(&self, ino: Ino, change: AttrChange) -> Answer {
        self.files.setattr(ino, change).map(drop).map_err(|error| error.errno())
    }

    fn close(&mut self, handle: usize) {
        if let Some(ino) = self.open[handle].take() {
            self.files.release(ino);
        }
    }

    pub fn call(&mut self, call: &Call) -> Answer {
        let answer = self.do_call(call);
        for ino in self.held.take() {
            self.files.forget(ino, 1);
        }
        answer
    }

    fn do_call(&mut self, call: &Call) -> Answer {
        let files = self.files.clone();
        let errno = |error: Error| error.errno();
        match call {
            Call::Create(path, perm) => {
                let (parent, last) = self.parent(path)?;
                self.made(files.create(parent, last, mine(Kind::File, *perm)))
            }
            Call::Mkdir(path, perm) => {
                let (parent, last) = self.parent(path)?;
                self.made(files.create(parent, last, mine(Kind::Directory, *perm)))
            }
            Call::Symlink(path, target) => {
                let (parent, last) = self.parent(path)?;
                self.made(files.symlink(parent, last, name(target), me()))
            }
            Call::Link(from, to) => {
                let from = self.attr(from)?.ino;
                let (parent, last) = self.parent(to)?;
                self.made(files.link(from, parent, last))
            }
            Call::Unlink(path) => {
                let (parent, last) = self.parent(path)?;
                files.unlink(parent, last).map_err(errno)
            }
            Call::Rmdir(path) => {
                let (parent, last) = self.parent(path)?;
                files.rmdir(parent, last).map_err(errno)
            }
            Call::Rename(from, to, keep) => {
                let from = self.parent(from)?;
                let to = self.parent(to)?;
                files.rename(from, to, if *keep { Rename::NoReplace } else { Rename::Replace }).map_err(errno)
            }
            Call::Exchange(one, other) => {
                let one = self.parent(one)?;
                let other = self.parent(other)?;
                files.rename(one, other, Rename::Exchange).map_err(errno)
            }
            Call::Chmod(path, perm) => {
                let attr = self.attr(path)?;
                match attr.kind {
                    Kind::Symlink => Ok(()),
                    _ => self.set(attr.ino, AttrChange { perm: Some(*perm), ..AttrChange::default() }),
                }
            }
            Call::Open(handle, path) => {
                let attr = self.attr(path)?;
                match attr.kind {
                    Kind::Symlink => return Err(libc::ELOOP),
                    Kind::Directory => return Err(libc::EISDIR),
                    _ => drop(files.open(attr.ino).map_err(errno)?),
                }
                self.close(*handle);
                self.open[*handle] = Some(attr.ino);
                Ok(())
            }
            Call::Write(handle, offset, length, seed) => match self.open[*handle] {
                Some(ino) => files.write(ino, *offset, &pattern(*length, *seed)).map(drop).map_err(errno),
                None => Ok(()),
            },
            Call::Truncate(handle, size) => match self.open[*handle] {
                Some(ino) => self.set(ino, AttrChange { size: Some(*size), ..AttrChange::default() }),
                None => Ok(()),
            },
            Call::Close(handle) => {
                self.close(*handle);
                Ok(())
            }
            Call::Reopen => {
                (0..HANDLES).for_each(|handle| self.close(handle));
                self.scratch.reopen();
                self.files = self.scratch.tree();
                Ok(())
            }
        }
    }
}

/// Kind, permissions, links, and content or target of everything, by path.
pub type Tree = BTreeMap<PathBuf, (Kind, u16, u32, Vec<u8>)>;

pub fn linux_tree(root: &Path, at: &Path, counts_folders: bool, tree: &mut Tree) {
    for entry in root.join(at).read_dir().unwrap() {
        let entry = entry.unwrap();
        let meta = entry.metadata().unwrap();
        let path = at.join(entry.file_name());
        let (kind, content) = if meta.is_dir() {
            linux_tree(root, &path, counts_folders, tree);
            (Kind::Directory, Vec::new())
        } else if meta.is_symlink() {
            (Kind::Symlink, fs::read_link(entry.path()).unwrap().into_os_string().into_encoded_bytes())
        } else {
            (Kind::File, fs::read(entry.path()).unwrap())
        };
        let links = if meta.is_dir() && !counts_folders { 0 } else { meta.nlink() as u32 };
        tree.insert(path, (kind, (meta.mode() & 0o7777) as u16, links, content));
    }
}

pub fn engine_tree(files: &dyn FileSystem, ino: Ino, at: &Path, counts_folders: bool, tree: &mut Tree) {
    for Entry { name, attr: listed } in files.readdir(ino).unwrap() {
        let attr = files.lookup(ino, &name).unwrap();
        assert_eq!(attr, listed, "{name:?} in {at:?}");
        let path = at.join(name);
        let content = match attr.kind {
            Kind::Directory => {
                engine_tree(files, attr.ino, &path, counts_folders, tree);
                Vec::new()
            }
            Kind::Symlink => files.readlink(attr.ino).unwrap().into_encoded_bytes(),
            _ => files.read(attr.ino, 0, u32::MAX).unwrap(),
        };
        assert!(attr.kind == Kind::Directory || attr.size == content.len() as u64);
        let links = if attr.kind == Kind::Directory && !counts_folders { 0 } else { attr.nlink };
        tree.insert(path, (attr.kind, attr.perm, links, content));
        files.forget(attr.ino, 1);
    }
}

/// The one whom the machine's own files belong to.
fn me() -> Caller {
    Caller { uid: nix::unistd::getuid().as_raw(), gid: nix::unistd::getgid().as_raw() }
}

fn mine(kind: Kind, perm: u16) -> NewNode {
    NewNode { caller: me(), ..node(kind, perm) }
}
