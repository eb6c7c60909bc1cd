//! The file tree in a database, written once above [`Store`].
//!
//! What it leaves to the front end: permission checks, and clearing suid and sgid bits on write and chown (on Linux
//! the kernel does both). Access times are not kept: reading never writes. Names and link targets are UTF-8,
//! because the format stores them as text; others are refused with `EILSEQ`.

pub(crate) mod absent;
mod adopt;
mod allocate;
mod attrs;
mod chores;
pub(crate) use chores::FILL_LIMIT;
mod data;
mod draft;
mod inode;
mod limits;
mod load;
pub(crate) mod memory;
pub(crate) mod names;
mod remove;
mod rename;
mod room;
pub(crate) mod tidy;
pub(crate) use tidy::STAGING;
pub(crate) mod tree;

use std::ffi::{OsStr, OsString};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::load::Loads;
use self::memory::Memory;
use self::tree::Tree;
use crate::error::{Error, Result};
use crate::filesystem::{Allocate, Attr, AttrChange, Caller, Entry, FileSystem, Ino, NewNode, Opened, Rename, StatFs};
use crate::journal::Journal;
use crate::listing::Listing;
use crate::meters::{Load, Meters};
use crate::overlay::Version;
use crate::store::Store;

pub(crate) use self::limits::Held;
pub use self::limits::Limits;

pub struct Files {
    journal: Journal<Memory>,
    /// Something on the disk that holds the database.
    disk: PathBuf,
    read_only: bool,
    loads: Loads,
}

impl Files {
    pub(crate) fn new(
        mut store: Box<dyn Store>,
        disk: &Path,
        chunk_size: u32,
        read_only: bool,
        limits: Limits,
    ) -> Result<Self> {
        if !read_only {
            tidy::tidy(&mut *store)?;
        }
        let memory = Memory::load(&mut *store, chunk_size, limits)?;
        Ok(Self { journal: Journal::new(store, memory)?, disk: disk.to_owned(), read_only, loads: Loads::default() })
    }

    pub(crate) fn close(&self) -> Result<()> {
        self.journal.close()
    }

    /// For what needs no store.
    pub(crate) fn note(&self, note: impl FnOnce(&mut Memory)) {
        self.journal.note(note);
    }

    pub(crate) fn read_tree<T>(&self, ask: impl FnOnce(&mut Tree<'_>) -> Result<T>) -> Result<T> {
        self.journal.read(|store, memory| ask(&mut Tree { store, memory }))
    }

    pub(crate) fn change_tree<T>(&self, change: impl FnOnce(&mut Tree<'_>) -> Result<T>) -> Result<T> {
        if self.read_only {
            return Err(Error::Errno(libc::EROFS));
        }
        self.journal.write(|store, memory| {
            let charged = memory.usage.charged();
            let answer = change(&mut Tree { store, memory });
            if answer.is_err() {
                memory.usage.reset(charged);
            }
            answer
        })
    }

    /// What else is kept in the database, under the same lock and in the same batches.
    pub(crate) fn read_store<T>(&self, ask: impl FnOnce(&mut dyn Store) -> Result<T>) -> Result<T> {
        self.journal.read(|store, _| ask(store))
    }

    /// As `write` of the tree does: refused where the database is read-only or the disk full, all or nothing.
    pub(crate) fn change_store<T>(&self, bytes: usize, change: impl FnOnce(&mut dyn Store) -> Result<T>) -> Result<T> {
        self.grow_tree(bytes, |tree| change(tree.store))
    }

    pub(crate) fn keeps_sequence(&self) -> bool {
        self.journal.note(|memory| memory.keeps_sequence())
    }

    /// See [`Journal::shrink`].
    pub(crate) fn shrink(&self) -> Result<()> {
        self.journal.shrink()
    }

    /// See [`Journal::pinned`].
    pub(crate) fn pinned<T>(&self, copy: impl FnOnce() -> Result<T>) -> Result<T> {
        self.journal.pinned(copy)
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Everything as it is now, in a new file. What was put off is done first.
    pub(crate) fn copy_to(&self, target: &Path) -> Result<()> {
        let target = target.to_str().ok_or(Error::Errno(libc::EILSEQ))?;
        self.journal.settled(|store| store.execute("VACUUM INTO ?", &[target.into()]).map(drop))
    }

    pub(crate) fn meters(&self) -> &Arc<Meters> {
        self.journal.meters()
    }

    pub(crate) fn load(&self) -> Load {
        let now = self.journal.read(|store, memory| Ok((memory.in_use(), store.log_bytes())));
        // A closed one has nothing in hand.
        let (inodes, log_bytes) = now.unwrap_or_default();
        Load { inodes, waiting: self.journal.waiting(), log_bytes }
    }

    /// Returns when everything acknowledged so far is on disk.
    pub(crate) fn flush(&self) -> Result<()> {
        self.journal.flush()
    }

    /// Whether there is room for so much, before any of it is begun.
    pub(crate) fn must_fit(&self, more: Held) -> Result<()> {
        self.disk_must_have(more.bytes)?;
        self.read_tree(|tree| tree.room_for(more))
    }

    fn disk_must_have(&self, bytes: u64) -> Result<()> {
        let disk = StatFs::of(&nix::sys::statvfs::statvfs(&self.disk).map_err(std::io::Error::from)?);
        match disk.blocks_free.saturating_mul(u64::from(disk.block_size)) < bytes {
            true => Err(Error::Errno(libc::ENOSPC)),
            false => Ok(()),
        }
    }

    /// For whatever makes the database larger.
    pub(crate) fn grow_tree<T>(&self, bytes: usize, change: impl FnOnce(&mut Tree<'_>) -> Result<T>) -> Result<T> {
        if self.read_only {
            return Err(Error::Errno(libc::EROFS));
        }
        let take =
            || self.journal.read(|store, memory| memory.room.take(&self.disk, bytes as u64, || store.log_bytes()));
        if take().is_err() {
            self.journal.compact()?;
            take()?;
        }
        self.change_tree(change)
    }
}

impl FileSystem for Files {
    fn lookup(&self, parent: Ino, name: &OsStr) -> Result<Attr> {
        self.read_tree(|tree| tree.lookup(parent, name))
    }

    fn lookup_all(&self, parent: Ino, listing: &Listing, some: Range<usize>) -> Vec<Option<Attr>> {
        let wanted = some.len();
        self.read_tree(|tree| tree.lookup_all(parent, listing, &some)).unwrap_or_else(|_| vec![None; wanted])
    }

    fn forget(&self, ino: Ino, references: u64) {
        self.journal.note(|memory| memory.forget(ino, references));
    }

    fn getattr(&self, ino: Ino) -> Result<Attr> {
        self.read_tree(|tree| tree.attr(ino))
    }

    fn setattr(&self, ino: Ino, change: AttrChange) -> Result<Attr> {
        self.loading(|| self.change_tree(|tree| tree.set_attr(ino, change)))
    }

    fn readlink(&self, ino: Ino) -> Result<OsString> {
        self.read_tree(|tree| tree.read_link(ino))
    }

    fn create(&self, parent: Ino, name: &OsStr, node: NewNode) -> Result<Attr> {
        self.grow_tree(0, |tree| tree.create(parent, name, node))
    }

    fn draft(&self, directory: Ino, node: NewNode) -> Result<Attr> {
        self.grow_tree(0, |tree| {
            let directory = tree.directory(directory)?;
            tree.draft(node.in_directory(&directory))
        })
    }

    fn publish(&self, draft: Ino, parent: Ino, name: &OsStr) -> Result<()> {
        self.grow_tree(0, |tree| tree.publish(draft, parent, name))
    }

    fn symlink(&self, parent: Ino, name: &OsStr, target: &OsStr, caller: Caller) -> Result<Attr> {
        self.grow_tree(0, |tree| tree.symlink(parent, name, target, caller))
    }

    fn link(&self, ino: Ino, parent: Ino, name: &OsStr) -> Result<Attr> {
        self.grow_tree(0, |tree| tree.link(ino, parent, name))
    }

    fn unlink(&self, parent: Ino, name: &OsStr) -> Result<()> {
        self.change_tree(|tree| tree.unlink(parent, name))
    }

    fn rmdir(&self, parent: Ino, name: &OsStr) -> Result<()> {
        self.change_tree(|tree| tree.rmdir(parent, name))
    }

    fn rename(&self, from: (Ino, &OsStr), to: (Ino, &OsStr), how: Rename) -> Result<()> {
        self.change_tree(|tree| tree.rename(from, to, how))
    }

    fn open(&self, ino: Ino) -> Result<Opened> {
        let unread = self.read_tree(|tree| tree.open(ino))?;
        Ok(Opened { same_content: true, unread })
    }

    fn release(&self, ino: Ino) {
        self.journal.note(|memory| memory.release(ino));
    }

    fn version(&self, ino: Ino) -> Option<u64> {
        let attr = self.read_tree(|tree| tree.attr(ino)).ok()?;
        Some(Version::of(&attr).number())
    }

    fn read(&self, ino: Ino, offset: u64, size: u32) -> Result<Vec<u8>> {
        match self.read_only {
            true => self.read_through(ino, offset, size),
            false => self.loading(|| self.read_tree(|tree| tree.read(ino, offset, size))),
        }
    }

    fn write(&self, ino: Ino, offset: u64, data: &[u8]) -> Result<u32> {
        self.loading(|| self.grow_tree(data.len(), |tree| tree.write(ino, offset, data)))
    }

    fn allocate(&self, ino: Ino, offset: u64, length: u64, how: Allocate) -> Result<()> {
        let grows = match how {
            Allocate::Reserve { keep_size: false } | Allocate::Zero { keep_size: false } => {
                offset.saturating_add(length).saturating_sub(self.getattr(ino)?.size)
            }
            _ => 0,
        };
        // Refused now, and not when it is written to.
        self.disk_must_have(grows)?;
        self.loading(|| self.grow_tree(0, |tree| tree.allocate(ino, offset, length, how)))
    }

    fn blocks(&self, attr: &Attr) -> u64 {
        if !attr.may_have_holes() {
            return attr.full_blocks();
        }
        self.read_tree(|tree| tree.blocks(attr)).unwrap_or(attr.full_blocks())
    }

    fn may_wait(&self, ino: Ino) -> bool {
        self.has_origin() && self.journal.note(|memory| memory.absent.contains(&ino))
    }

    fn share(&self, from: Ino, to: Ino) -> Result<bool> {
        if !self.journal.note(|memory| memory.absent.contains(&from)) {
            return Ok(false);
        }
        self.grow_tree(0, |tree| tree.share(from, to))
    }

    fn fsync(&self, _ino: Ino) -> Result<()> {
        self.journal.flush()
    }

    fn together(&self, work: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        if self.read_only {
            return Err(Error::Errno(libc::EROFS));
        }
        self.journal.together(work)
    }

    fn undoes(&self) -> bool {
        true
    }

    fn readdir(&self, ino: Ino) -> Result<Vec<Entry>> {
        self.read_tree(|tree| tree.entries(ino))
    }

    fn list(&self, ino: Ino) -> Result<Listing> {
        self.read_tree(|tree| tree.list(ino))
    }

    fn parent(&self, ino: Ino) -> Result<Ino> {
        self.read_tree(|tree| tree.parent(ino))
    }

    /// The room of the disk that holds the database, or what the limits leave of it: that is what runs out.
    fn statfs(&self) -> Result<StatFs> {
        let disk = nix::sys::statvfs::statvfs(&self.disk).map_err(std::io::Error::from)?;
        let disk = StatFs::of(&disk);
        self.read_tree(|tree| {
            tree.refund()?;
            Ok(tree.memory.usage.shown(disk))
        })
    }
}
