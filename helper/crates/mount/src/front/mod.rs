//! The kernel's questions, put to the engine's file tree. Nothing is decided here that the tree could decide: this
//! translates words, counts what the kernel counts, and keeps directory listings still while they are read.

mod ahead;
mod aside;
mod backed;
mod link;
mod listing;
mod translate;

use std::ffi::OsStr;
use std::io;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use fuser::{
    BsdFileFlags, Errno, FileHandle, Filesystem, FopenFlags, Generation, INodeNo, InitFlags, IoctlFlags, KernelConfig,
    LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyDirectoryPlus,
    ReplyEmpty, ReplyEntry, ReplyIoctl, ReplyLseek, ReplyOpen, ReplyStatfs, ReplyWrite, ReplyXattr, Request, TimeOrNow,
    WriteFlags,
};
use nixbox_engine::{Allocate, Attr, AttrChange, FileSystem, Ino, Kind, NewNode, Opened, Rename, Result};

use crate::options::{Access, Options};
use ahead::Turn;
use aside::Asking;
use backed::Backed;
pub(crate) use link::Link;
use listing::Listings;
use translate::{Shown, caller, kind_of_mode, negative, perm_of_mode, time_change};

/// Inode numbers are never used again, so one generation does.
const GENERATION: Generation = Generation(0);

const MAX_WRITE: u32 = 1024 * 1024;

/// So many names of a listing are looked up together. What of them finds no room in an answer was for nothing.
const PAGE: usize = 32;

/// Files have no handle of their own: the tree knows them by inode.
const NO_HANDLE: FileHandle = FileHandle(0);

pub(crate) struct Front {
    asking: Asking,
    listings: Listings,
    backed: Backed,
}

impl Deref for Front {
    type Target = Asking;

    fn deref(&self) -> &Asking {
        &self.asking
    }
}

impl Front {
    pub(crate) fn new(tree: Arc<dyn FileSystem>, options: &Options, link: Arc<Link>) -> Self {
        let shown = Shown { uid: options.uid, gid: options.gid };
        let asks_each_time = options.access == Access::OwnerAndRoot;
        let asking = Asking { tree, shown, link, asks_each_time };
        Self { asking, listings: Listings::default(), backed: Backed::default() }
    }

    fn entry(&self, reply: ReplyEntry, answer: Result<Attr, Errno>) {
        match answer {
            Ok(attr) => reply.entry(&self.valid_for(attr.ino), &self.shown(&attr), GENERATION),
            Err(error) => reply.error(error),
        }
    }

    /// `Ahead` counts what is open, and is told of it by who calls this.
    fn open_tree(&self, ino: Ino, flags: i32, turn: Option<Turn<'_>>) -> Result<Opened, Errno> {
        let mut opened = self.ask(|tree| tree.open(ino))?;
        if let Err(error) = self.truncate_if(ino, flags) {
            self.tree.release(ino);
            return Err(error);
        }
        if let Some(turn) = turn {
            opened.same_content = turn.give(&*self.tree, opened);
        }
        Ok(opened)
    }

    /// Creates and opens; where the name has come into being meanwhile and `O_EXCL` does not forbid it, opens that.
    fn create_open(&self, parent: Ino, name: &OsStr, node: NewNode, flags: i32) -> Result<(Attr, Opened), Errno> {
        let made = match self.ask(|tree| tree.create(parent, name, node)) {
            Err(Errno::EEXIST) if flags & libc::O_EXCL == 0 => {
                let found = self.ask(|tree| tree.lookup(parent, name))?;
                match self.truncate_if(found.ino, flags) {
                    Ok(truncated) => Ok(truncated.unwrap_or(found)),
                    Err(error) => {
                        self.tree.forget(found.ino, 1);
                        Err(error)
                    }
                }
            }
            other => other,
        }?;
        // Before the answer lets anybody write to it.
        self.link.ahead.open(made.ino, false);
        match self.ask(|tree| tree.open(made.ino)) {
            Ok(opened) => Ok((made, opened)),
            Err(error) => {
                self.link.ahead.close(made.ino);
                self.tree.forget(made.ino, 1);
                Err(error)
            }
        }
    }

    fn truncate_if(&self, ino: Ino, flags: i32) -> Result<Option<Attr>, Errno> {
        if flags & libc::O_TRUNC == 0 {
            return Ok(None);
        }
        self.ask(|tree| tree.setattr(ino, AttrChange { size: Some(0), ..AttrChange::default() })).map(Some)
    }
}

impl Filesystem for Front {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        // Each is taken where the kernel has it; none is needed to be correct.
        for wish in [
            InitFlags::FUSE_PARALLEL_DIROPS,
            InitFlags::FUSE_DO_READDIRPLUS,
            InitFlags::FUSE_READDIRPLUS_AUTO,
            InitFlags::FUSE_ATOMIC_O_TRUNC,
            InitFlags::FUSE_CACHE_SYMLINKS,
            InitFlags::FUSE_ASYNC_DIO,
        ] {
            let _ = config.add_capabilities(wish);
        }
        // Linux 6.9. A mount that files are read past is one layer of the two that may lie upon each other; it is only
        // given away where something comes of it.
        self.backed.possible = self.link.read_only
            && config.add_capabilities(InitFlags::FUSE_PASSTHROUGH).is_ok()
            && config.set_max_stack_depth(1).is_ok();
        let _ = config.set_max_write(MAX_WRITE);
        let _ = config.set_max_background(64);
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match self.ask(|tree| tree.lookup(parent.0, name)) {
            // Inode 0 says "not there" in a way that the kernel remembers, until it creates the name itself.
            Err(Errno::ENOENT) => reply.entry(&self.tree.absence_valid_for(parent.0), &negative(), GENERATION),
            answer => self.entry(reply, answer),
        }
    }

    fn forget(&self, _: &Request, ino: INodeNo, references: u64) {
        let _ = self.ask(|tree| {
            tree.forget(ino.0, references);
            Ok(())
        });
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        self.attr(reply, self.ask(|tree| tree.getattr(ino.0)));
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let change = AttrChange {
            perm: mode.map(perm_of_mode),
            uid,
            gid,
            size,
            atime: atime.map(time_change),
            mtime: mtime.map(time_change),
        };
        if size.is_none() {
            return self.attr(reply, self.ask(|tree| tree.setattr(ino.0, change)));
        }
        self.with_content(ino.0, move |asking| {
            asking.link.ahead.open(ino.0, false);
            let changed = asking.ask(|tree| tree.setattr(ino.0, change));
            asking.link.ahead.close(ino.0);
            asking.attr(reply, changed);
        });
    }

    fn readlink(&self, _: &Request, ino: INodeNo, reply: ReplyData) {
        match self.ask(|tree| tree.readlink(ino.0)) {
            Ok(target) => reply.data(target.as_encoded_bytes()),
            Err(error) => reply.error(error),
        }
    }

    fn mknod(&self, req: &Request, parent: INodeNo, name: &OsStr, mode: u32, _: u32, rdev: u32, reply: ReplyEntry) {
        let Some(kind) = kind_of_mode(mode) else { return reply.error(Errno::EINVAL) };
        let node = NewNode { kind, perm: perm_of_mode(mode), rdev, caller: caller(req) };
        self.entry(reply, self.ask(|tree| tree.create(parent.0, name, node)));
    }

    fn mkdir(&self, req: &Request, parent: INodeNo, name: &OsStr, mode: u32, _: u32, reply: ReplyEntry) {
        let node = NewNode { kind: Kind::Directory, perm: perm_of_mode(mode), rdev: 0, caller: caller(req) };
        self.entry(reply, self.ask(|tree| tree.create(parent.0, name, node)));
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        empty(reply, self.ask(|tree| tree.unlink(parent.0, name)));
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        empty(reply, self.ask(|tree| tree.rmdir(parent.0, name)));
    }

    fn symlink(&self, req: &Request, parent: INodeNo, name: &OsStr, target: &Path, reply: ReplyEntry) {
        self.entry(reply, self.ask(|tree| tree.symlink(parent.0, name, target.as_os_str(), caller(req))));
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let how = match flags {
            flags if flags.is_empty() => Rename::Replace,
            RenameFlags::RENAME_NOREPLACE => Rename::NoReplace,
            RenameFlags::RENAME_EXCHANGE => Rename::Exchange,
            _ => return reply.error(Errno::EINVAL),
        };
        empty(reply, self.ask(|tree| tree.rename((parent.0, name), (new_parent.0, new_name), how)));
    }

    fn link(&self, _: &Request, ino: INodeNo, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        self.entry(reply, self.ask(|tree| tree.link(ino.0, parent.0, name)));
    }

    fn open(&self, _: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let reads = flags.0 & (libc::O_TRUNC | libc::O_DIRECT) == 0 && flags.0 & libc::O_ACCMODE != libc::O_WRONLY;
        let turn = self.link.ahead.open(ino.0, reads && !self.backed.possible);
        match self.open_tree(ino.0, flags.0, turn) {
            Ok(opened) => {
                self.link.opened(ino.0, flags.0);
                match self.backed.open(ino.0, || {
                    let file = self.tree.backing(ino.0)?;
                    // Refused to who is not root, and for files of a file system that lies over another.
                    reply.open_backing(&*file).ok()
                }) {
                    Some(id) => {
                        self.link.backed.fetch_add(1, Ordering::Relaxed);
                        reply.opened_passthrough(NO_HANDLE, FopenFlags::FOPEN_NOFLUSH, &id)
                    }
                    None => reply.opened(NO_HANDLE, flags_of(opened)),
                }
            }
            Err(error) => {
                self.link.ahead.close(ino.0);
                reply.error(error)
            }
        }
    }

    fn create(&self, req: &Request, parent: INodeNo, name: &OsStr, mode: u32, _: u32, flags: i32, reply: ReplyCreate) {
        let node = NewNode { kind: Kind::File, perm: perm_of_mode(mode), rdev: 0, caller: caller(req) };
        match self.create_open(parent.0, name, node, flags) {
            Ok((attr, opened)) => {
                self.link.opened(attr.ino, flags);
                reply.created(&self.valid_for(attr.ino), &self.shown(&attr), GENERATION, NO_HANDLE, flags_of(opened))
            }
            Err(error) => reply.error(error),
        }
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        self.with_content(ino.0, move |asking| match asking.ask(|tree| tree.read(ino.0, offset, size)) {
            Ok(data) => reply.data(&data),
            Err(error) => reply.error(error),
        });
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        if self.tree.may_wait(ino.0) {
            let data = data.to_vec();
            return self.with_content(ino.0, move |asking| written(asking, ino.0, offset, &data, reply));
        }
        written(self, ino.0, offset, data, reply);
    }

    /// Nothing is held back until close, so the kernel need not ask again.
    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.error(Errno::ENOSYS);
    }

    fn release(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        flags: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.link.released(ino.0, flags.0);
        self.link.ahead.close(ino.0);
        self.backed.close(ino.0);
        let released = self.ask(|tree| {
            tree.release(ino.0);
            Ok(())
        });
        empty(reply, released);
    }

    fn fsync(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        empty(reply, self.ask(|tree| tree.fsync(ino.0)));
    }

    fn fallocate(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        const PUNCH: i32 = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
        let how = match mode {
            0 => Allocate::Reserve { keep_size: false },
            libc::FALLOC_FL_KEEP_SIZE => Allocate::Reserve { keep_size: true },
            PUNCH => Allocate::Zero { keep_size: true },
            libc::FALLOC_FL_ZERO_RANGE => Allocate::Zero { keep_size: false },
            mode if mode == libc::FALLOC_FL_ZERO_RANGE | libc::FALLOC_FL_KEEP_SIZE => {
                Allocate::Zero { keep_size: true }
            }
            _ => return reply.error(Errno::EOPNOTSUPP),
        };
        self.with_content(ino.0, move |asking| {
            empty(reply, asking.ask(|tree| tree.allocate(ino.0, offset, length, how)));
        });
    }

    /// The kernel takes the whole of a file for data then, which is true.
    fn lseek(&self, _: &Request, _: INodeNo, _: FileHandle, _: i64, _: i32, reply: ReplyLseek) {
        reply.error(Errno::ENOSYS);
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        empty(reply, self.ask(|tree| tree.fsync(ino.0)));
    }

    fn opendir(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.ask(|tree| tree.getattr(ino.0)) {
            Ok(_) => reply.opened(FileHandle(self.listings.open()), FopenFlags::empty()),
            Err(error) => reply.error(error),
        }
    }

    fn readdir(&self, _: &Request, ino: INodeNo, handle: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        match self.ask(|tree| self.listings.read(tree, ino.0, handle.0, offset)) {
            Ok(listing) => {
                for (next, name, (entry, kind)) in listing.from(offset) {
                    if reply.add(INodeNo(entry), next, translate::file_type(kind), name) {
                        break;
                    }
                }
                reply.ok();
            }
            Err(error) => reply.error(error),
        }
    }

    fn readdirplus(&self, _: &Request, ino: INodeNo, handle: FileHandle, offset: u64, mut reply: ReplyDirectoryPlus) {
        let listing = match self.ask(|tree| self.listings.read(tree, ino.0, handle.0, offset)) {
            Ok(listing) => listing,
            Err(error) => return reply.error(error),
        };
        let mut full = false;
        for (next, name, (entry, kind)) in listing.dots_from(offset) {
            // The kernel takes no reference for these two.
            let attr = translate::only_kind(entry, kind);
            full = full || reply.add(attr.ino, next, name, &Duration::ZERO, &attr, GENERATION);
        }
        for some in listing.pages_from(offset, PAGE) {
            if full {
                break;
            }
            // Asked anew: the kernel counts a reference for each, and they may have changed or gone since the listing.
            let found = self.ask(|tree| Ok(tree.lookup_all(ino.0, listing.entries(), some.clone())));
            for ((next, name, _), attr) in listing.some(some).zip(found.unwrap_or_default()) {
                let Some(attr) = attr else { continue };
                let (ttl, shown) = (self.valid_for(attr.ino), self.shown(&attr));
                full = full || reply.add(INodeNo(attr.ino), next, name, &ttl, &shown, GENERATION);
                if full {
                    self.tree.forget(attr.ino, 1);
                }
            }
        }
        reply.ok();
    }

    fn releasedir(&self, _: &Request, _: INodeNo, handle: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        self.listings.close(handle.0);
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        match self.ask(|tree| tree.statfs()) {
            Ok(s) => reply.statfs(
                s.blocks,
                s.blocks_free,
                s.blocks_free,
                s.files,
                s.files_free,
                s.block_size,
                s.name_max,
                s.block_size,
            ),
            Err(error) => reply.error(error),
        }
    }

    /// What programs ask of every file they open is whether it is a terminal.
    fn ioctl(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: IoctlFlags,
        _: u32,
        _: &[u8],
        _: u32,
        reply: ReplyIoctl,
    ) {
        reply.error(Errno::ENOTTY);
    }

    // The format holds no extended attributes. Said once, the kernel does not ask again.
    fn setxattr(&self, _: &Request, _: INodeNo, _: &OsStr, _: &[u8], _: i32, _: u32, reply: ReplyEmpty) {
        reply.error(Errno::ENOSYS);
    }

    fn getxattr(&self, _: &Request, _: INodeNo, _: &OsStr, _: u32, reply: ReplyXattr) {
        reply.error(Errno::ENOSYS);
    }

    fn listxattr(&self, _: &Request, _: INodeNo, _: u32, reply: ReplyXattr) {
        reply.error(Errno::ENOSYS);
    }

    fn removexattr(&self, _: &Request, _: INodeNo, _: &OsStr, reply: ReplyEmpty) {
        reply.error(Errno::ENOSYS);
    }
}

fn flags_of(opened: Opened) -> FopenFlags {
    let pages = if opened.same_content { FopenFlags::FOPEN_KEEP_CACHE } else { FopenFlags::empty() };
    pages | FopenFlags::FOPEN_NOFLUSH
}

fn empty(reply: ReplyEmpty, answer: Result<(), Errno>) {
    match answer {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error),
    }
}

fn written(asking: &Asking, ino: Ino, offset: u64, data: &[u8], reply: ReplyWrite) {
    let written = asking.ask(|tree| tree.write(ino, offset, data));
    asking.link.writes.fetch_add(1, Ordering::AcqRel);
    match written {
        Ok(size) => reply.written(size),
        Err(error) => reply.error(error),
    }
}
