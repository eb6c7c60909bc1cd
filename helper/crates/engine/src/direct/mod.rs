//! A real folder, read and written in place. Everything goes by the one descriptor that is kept of it, and no symbolic
//! link is followed, so that nothing leads out; what a view over it would hide is hidden here, too.
//!
//! Others work on the folder at the same time: nothing is remembered of it but which file a number means.

mod attributes;
mod draft;
mod entries;
mod nodes;
mod parts;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, OFlag, fallocate};

use self::nodes::{Handle, Nodes};
use crate::error::{Error, Result};
use crate::files::Files;
use crate::filesystem::{
    Allocate, Attr, AttrChange, Caller, Entry, FileSystem, Ino, Kind, NewNode, Opened, ROOT, Rename, StatFs,
};
use crate::overlay::{Base, BaseOptions, Hidden, Stat, read_at};

pub struct Direct {
    base: Base,
    hidden: Hidden,
    /// The database beside it: values and the tool log.
    files: Arc<Files>,
    nodes: Mutex<Nodes>,
}

impl Direct {
    pub(crate) fn new(files: Arc<Files>, base: Base, options: &BaseOptions) -> Result<Self> {
        let hidden = Hidden::new(base.path(), &options.hidden, &options.exclude)?;
        Self::over(files, base, hidden)
    }

    pub(crate) fn over(files: Arc<Files>, base: Base, hidden: Hidden) -> Result<Self> {
        let root = base.stat(Path::new(""))?.ok_or(Error::Errno(libc::ENOENT))?;
        Ok(Self { hidden, files, nodes: Mutex::new(Nodes::new(root.id)), base })
    }

    /// The folder, without symbolic links.
    pub fn folder(&self) -> &Path {
        self.base.path()
    }

    fn nodes(&self) -> MutexGuard<'_, Nodes> {
        // Each change of the nodes is made after everything that can fail.
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn may_write(&self) -> Result<()> {
        if self.files.is_read_only() { Err(Error::Errno(libc::EROFS)) } else { Ok(()) }
    }

    /// Where a file is now, if it still is under one of its names.
    fn find(&self, nodes: &Nodes, number: Ino) -> Result<Option<(PathBuf, Stat)>> {
        let id = nodes.get(number).ok_or(Error::Errno(libc::ESTALE))?.id;
        for path in nodes.paths(number) {
            if let Some(stat) = self.base.stat(&path)?.filter(|stat| stat.id == id) {
                return Ok(Some((path, stat)));
            }
        }
        Ok(None)
    }

    fn path(&self, nodes: &Nodes, number: Ino) -> Result<PathBuf> {
        self.find(nodes, number)?.map(|(path, _)| path).ok_or(Error::Errno(libc::ESTALE))
    }

    fn directory(&self, nodes: &Nodes, number: Ino) -> Result<PathBuf> {
        let node = nodes.get(number).ok_or(Error::Errno(libc::ESTALE))?;
        if !node.is_folder() {
            return Err(Error::Errno(libc::ENOTDIR));
        }
        if node.ghost.is_some() {
            return Err(Error::Errno(libc::ENOENT));
        }
        self.path(nodes, number)
    }

    /// A descriptor of a folder to name something in, and the path that this has.
    fn place(&self, nodes: &Nodes, parent: Ino, name: &OsStr) -> Result<(OwnedFd, PathBuf)> {
        let path = self.directory(nodes, parent)?;
        let folder = self.base.at(&path, OFlag::O_PATH | OFlag::O_DIRECTORY).map_err(no)?;
        Ok((folder, path.join(name)))
    }

    fn shows(&self, name: &OsStr, path: &Path) -> bool {
        !matches!(name.as_encoded_bytes(), b"" | b"." | b"..")
            && !name.as_encoded_bytes().contains(&b'/')
            && !self.hidden.hides(path)
    }

    fn child(&self, nodes: &Nodes, parent: Ino, name: &OsStr) -> Result<Option<Stat>> {
        let path = self.directory(nodes, parent)?.join(name);
        if name.len() > crate::files::names::NAME_MAX {
            return Err(Error::Errno(libc::ENAMETOOLONG));
        }
        if self.shows(name, &path) { self.base.stat(&path) } else { Ok(None) }
    }

    /// An open file of it, for writing where that is asked for. One that is open already is taken: it may have no name
    /// any more, and whoever made it may have made it so that nobody could open it again.
    fn handle(&self, number: Ino, writes: bool) -> Result<Arc<File>> {
        let mut nodes = self.nodes();
        let node = nodes.get(number).ok_or(Error::Errno(libc::ESTALE))?;
        match node.id.kind {
            Kind::File => {}
            Kind::Directory => return Err(Error::Errno(libc::EISDIR)),
            _ => return Err(Error::Errno(libc::EINVAL)),
        }
        if let Some(handle) = node.file.as_ref().filter(|handle| handle.writes || !writes) {
            return Ok(handle.file.clone());
        }
        let flags = if writes { OFlag::O_RDWR } else { OFlag::O_RDONLY };
        let file = match &node.file {
            // Also without a name.
            Some(handle) => reopened(&handle.file, flags)?,
            None => {
                let path = self.path(&nodes, number)?;
                let (file, stat) = self.base.open_with(&path, flags)?;
                if nodes.get(number).is_none_or(|node| node.id != stat.id) {
                    return Err(Error::Errno(libc::ESTALE));
                }
                file
            }
        };
        let file = Arc::new(file);
        if let Some(node) = nodes.get_mut(number).filter(|node| node.opens > 0) {
            node.file = Some(Handle { file: file.clone(), writes });
        }
        Ok(file)
    }

    fn shown(&self, nodes: &Nodes, stat: &Stat) -> Attr {
        Attr { ino: nodes.number(&stat.id), nlink: stat.links, ..stat.attr }
    }
}

fn reopened(file: &File, flags: OFlag) -> Result<File> {
    use std::os::fd::AsRawFd;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(nix::fcntl::open(path.as_str(), flags | OFlag::O_CLOEXEC, nix::sys::stat::Mode::empty()).map_err(no)?.into())
}

fn no(errno: Errno) -> Error {
    // The way there has changed meanwhile.
    Error::Errno(if errno == Errno::ELOOP { libc::ENOENT } else { errno as i32 })
}

impl FileSystem for Direct {
    fn lookup(&self, parent: Ino, name: &OsStr) -> Result<Attr> {
        let mut nodes = self.nodes();
        let stat = self.child(&nodes, parent, name)?.ok_or(Error::Errno(libc::ENOENT))?;
        let number = nodes.hold(stat.id, Some((parent, name)));
        Ok(Attr { ino: number, nlink: stat.links, ..stat.attr })
    }

    fn forget(&self, ino: Ino, references: u64) {
        let mut nodes = self.nodes();
        let Some(node) = nodes.get_mut(ino) else { return };
        node.lookups = node.lookups.saturating_sub(references);
        let draft = if node.lookups == 0 && node.opens == 0 { node.draft.take() } else { None };
        nodes.let_go(ino);
        drop(nodes);
        self.drop_draft(draft);
    }

    fn getattr(&self, ino: Ino) -> Result<Attr> {
        let nodes = self.nodes();
        let node = nodes.get(ino).ok_or(Error::Errno(libc::ESTALE))?;
        let stat = match (&node.file, node.names.is_empty()) {
            (Some(handle), _) => Base::stat_open(&handle.file)?,
            (None, true) if ino != ROOT => return node.ghost.ok_or(Error::Errno(libc::ESTALE)),
            _ => self.find(&nodes, ino)?.ok_or(Error::Errno(libc::ESTALE))?.1,
        };
        Ok(self.shown(&nodes, &stat))
    }

    fn setattr(&self, ino: Ino, change: AttrChange) -> Result<Attr> {
        self.may_write()?;
        self.change_attributes(ino, change)?;
        self.getattr(ino)
    }

    fn readlink(&self, ino: Ino) -> Result<OsString> {
        let nodes = self.nodes();
        if nodes.get(ino).is_some_and(|node| node.id.kind != Kind::Symlink) {
            return Err(Error::Errno(libc::EINVAL));
        }
        self.base.read_link(&self.path(&nodes, ino)?)
    }

    fn create(&self, parent: Ino, name: &OsStr, node: NewNode) -> Result<Attr> {
        self.may_write()?;
        self.make(parent, name, node)
    }

    fn draft(&self, directory: Ino, node: NewNode) -> Result<Attr> {
        self.may_write()?;
        self.make_draft(directory, node)
    }

    fn publish(&self, draft: Ino, parent: Ino, name: &OsStr) -> Result<()> {
        self.may_write()?;
        self.name_draft(draft, parent, name)
    }

    fn make_part(&self, parent: Ino, name: &OsStr, node: NewNode) -> Result<Attr> {
        self.may_write()?;
        let path = self.directory(&self.nodes(), parent)?.join(name);
        self.note_part(&path)?;
        self.nodes().parts.insert(path.clone());
        self.make(parent, name, node).inspect_err(|_| drop(self.forget_part(&path)))
    }

    fn symlink(&self, parent: Ino, name: &OsStr, target: &OsStr, caller: Caller) -> Result<Attr> {
        self.may_write()?;
        self.make_link(parent, name, target, caller)
    }

    fn link(&self, ino: Ino, parent: Ino, name: &OsStr) -> Result<Attr> {
        self.may_write()?;
        self.link_to(ino, parent, name)
    }

    fn unlink(&self, parent: Ino, name: &OsStr) -> Result<()> {
        self.may_write()?;
        self.remove(parent, name, false)
    }

    fn rmdir(&self, parent: Ino, name: &OsStr) -> Result<()> {
        self.may_write()?;
        self.remove(parent, name, true)
    }

    fn rename(&self, from: (Ino, &OsStr), to: (Ino, &OsStr), how: Rename) -> Result<()> {
        self.may_write()?;
        self.move_entry(from, to, how)
    }

    fn open(&self, ino: Ino) -> Result<Opened> {
        let mut nodes = self.nodes();
        let node = nodes.get(ino).ok_or(Error::Errno(libc::ESTALE))?;
        let mut same_content = true;
        if node.id.kind == Kind::File {
            let handle = match &node.file {
                Some(handle) => handle.clone(),
                None => {
                    let (file, stat) = self.base.open_with(&self.path(&nodes, ino)?, OFlag::O_RDONLY)?;
                    if nodes.get(ino).is_none_or(|node| node.id != stat.id) {
                        return Err(Error::Errno(libc::ESTALE));
                    }
                    Handle { file: Arc::new(file), writes: false }
                }
            };
            let now = Base::stat_open(&handle.file)?.version();
            let node = nodes.get_mut(ino).ok_or(Error::Errno(libc::ESTALE))?;
            same_content = node.seen.is_none_or(|seen| seen == now);
            node.seen = Some(now);
            node.file = Some(handle);
        }
        if let Some(node) = nodes.get_mut(ino) {
            node.opens += 1;
        }
        Ok(Opened { same_content, unread: None })
    }

    fn release(&self, ino: Ino) {
        let mut nodes = self.nodes();
        let Some(node) = nodes.get_mut(ino) else { return };
        node.opens = node.opens.saturating_sub(1);
        if node.opens == 0 {
            // What was written here is what the kernel has pages of.
            if let Some(handle) = node.file.take() {
                node.seen = Base::stat_open(&handle.file).ok().map(|stat| stat.version());
            }
        }
        nodes.let_go(ino);
    }

    fn read(&self, ino: Ino, offset: u64, size: u32) -> Result<Vec<u8>> {
        read_at(&*self.handle(ino, false)?, offset, size)
    }

    fn write(&self, ino: Ino, offset: u64, data: &[u8]) -> Result<u32> {
        self.may_write()?;
        let length = u32::try_from(data.len()).map_err(|_| Error::Errno(libc::EINVAL))?;
        let file = self.handle(ino, true)?;
        // A part of it may have gone in before the disk was full: the rest is what fails, as everywhere.
        let mut written = 0;
        while written < data.len() {
            match file.write_at(&data[written..], offset + written as u64) {
                Ok(0) => break,
                Ok(more) => written += more,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) if written == 0 => return Err(error.into()),
                Err(_) => break,
            }
        }
        Ok(length.min(written as u32))
    }

    fn allocate(&self, ino: Ino, offset: u64, length: u64, how: Allocate) -> Result<()> {
        self.may_write()?;
        let (flags, keep_size) = match how {
            Allocate::Reserve { keep_size } => (FallocateFlags::empty(), keep_size),
            Allocate::Zero { keep_size: true } => (FallocateFlags::FALLOC_FL_PUNCH_HOLE, true),
            Allocate::Zero { keep_size: false } => (FallocateFlags::FALLOC_FL_ZERO_RANGE, false),
        };
        let keep = if keep_size { FallocateFlags::FALLOC_FL_KEEP_SIZE } else { FallocateFlags::empty() };
        let too_big = |_| Error::Errno(libc::EFBIG);
        let (offset, length) = (offset.try_into().map_err(too_big)?, length.try_into().map_err(too_big)?);
        fallocate(&*self.handle(ino, true)?, flags | keep, offset, length).map_err(no)
    }

    fn blocks(&self, attr: &Attr) -> u64 {
        if !attr.may_have_holes() {
            return attr.full_blocks();
        }
        let nodes = self.nodes();
        match self.find(&nodes, attr.ino) {
            Ok(Some((_, stat))) => stat.blocks,
            _ => attr.full_blocks(),
        }
    }

    fn fsync(&self, ino: Ino) -> Result<()> {
        let kind = self.nodes().get(ino).map(|node| node.id.kind);
        match kind {
            Some(Kind::File) => self.handle(ino, false)?.sync_all()?,
            Some(Kind::Directory) => {
                let path = self.directory(&self.nodes(), ino)?;
                let folder = self.base.at(&path, OFlag::O_RDONLY | OFlag::O_DIRECTORY).map_err(no)?;
                File::from(folder).sync_all()?;
            }
            _ => {}
        }
        self.files.flush()
    }

    fn readdir(&self, ino: Ino) -> Result<Vec<Entry>> {
        let nodes = self.nodes();
        if nodes.get(ino).is_some_and(|node| node.is_folder() && node.ghost.is_some()) {
            return Ok(Vec::new());
        }
        let path = self.directory(&nodes, ino)?;
        let below = self.base.list(&path, |name| !self.hidden.hides(&path.join(name)))?;
        let mut entries: Vec<_> =
            below.into_iter().map(|(name, stat)| Entry { name, attr: self.shown(&nodes, &stat) }).collect();
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn parent(&self, ino: Ino) -> Result<Ino> {
        let nodes = self.nodes();
        if ino == ROOT {
            return Ok(ROOT);
        }
        nodes.parent(ino).ok_or(Error::Errno(libc::ENOENT))
    }

    fn statfs(&self) -> Result<StatFs> {
        self.base.statfs()
    }

    fn is_found_by_number(&self, ino: Ino) -> bool {
        ino == ROOT
    }

    fn valid_for(&self, _: Ino) -> Duration {
        Duration::ZERO
    }

    fn absence_valid_for(&self, _: Ino) -> Duration {
        Duration::ZERO
    }
}
