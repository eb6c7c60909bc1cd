//! The folder below: only ever read, but in `direct` mode; and always by paths relative to the one descriptor that is kept of it; no
//! symbolic link is followed, so that none leads out.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::sys::stat::{FileStat, Mode, fstat, fstatat};
use nix::sys::statvfs::fstatvfs;

use crate::error::{Error, Result};
use crate::filesystem::{Attr, Kind, StatFs, Time};

/// How much of a file is read at once.
pub(super) const PIECE: usize = 256 * 1024;

pub(crate) struct Base {
    root: OwnedFd,
    path: PathBuf,
    /// Linux before 5.6, and containers that forbid what they do not know.
    steps_only: AtomicBool,
}

/// What tells one file of the base from another that takes its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    pub dev: u64,
    pub ino: u64,
    pub kind: Kind,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Stat {
    pub id: Identity,
    /// With the base's own inode number.
    pub attr: Attr,
    /// A file with other names: it may be changed by one of those.
    pub linked: bool,
    /// How many names it has in the base.
    pub links: u32,
    /// What it takes on the disk, in blocks of 512 bytes.
    pub blocks: u64,
}

/// A digest of what changes when content does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Version(u64);

impl Version {
    pub fn of(attr: &Attr) -> Self {
        let mut hasher = DefaultHasher::new();
        (attr.size, attr.mtime.sec, attr.mtime.nsec, attr.ctime.sec, attr.ctime.nsec).hash(&mut hasher);
        Self(hasher.finish())
    }

    pub fn number(self) -> u64 {
        self.0
    }
}

impl Stat {
    pub fn version(&self) -> Version {
        Version::of(&self.attr)
    }
}

impl Base {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let missing = |source: std::io::Error| Error::BaseMissing { base: path.to_owned(), source };
        let path = path.canonicalize().map_err(missing)?;
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let root = nix::fcntl::open(&path, flags, Mode::empty()).map_err(|errno| missing(errno.into()))?;
        Ok(Self { root, path, steps_only: AtomicBool::new(false) })
    }

    /// Without symbolic links.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// `None` where there is nothing, or the way there leads over something that is no folder.
    pub(crate) fn stat(&self, path: &Path) -> Result<Option<Stat>> {
        match self.at(path, OFlag::O_PATH).and_then(fstat) {
            Ok(stat) => Ok(Some(of(&stat))),
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP | Errno::ENAMETOOLONG) => Ok(None),
            Err(errno) => Err(Error::Errno(errno as i32)),
        }
    }

    pub(crate) fn open_file(&self, path: &Path) -> Result<(File, Stat)> {
        self.open_with(path, OFlag::O_RDONLY)
    }

    pub(crate) fn open_with(&self, path: &Path, flags: OFlag) -> Result<(File, Stat)> {
        // What was a file may have become a pipe: that must not hold us up.
        let fd = self.at(path, flags | OFlag::O_NONBLOCK | OFlag::O_NOCTTY).map_err(no)?;
        let stat = fstat(&fd).map_err(no)?;
        let stat = of(&stat);
        if stat.id.kind == Kind::File { Ok((fd.into(), stat)) } else { Err(Error::Errno(libc::ESTALE)) }
    }

    /// Of a file's content.
    pub(crate) fn hash(&self, path: &Path) -> Result<blake3::Hash> {
        let (mut file, _) = self.open_file(path)?;
        let mut hasher = blake3::Hasher::new();
        let mut piece = vec![0; PIECE];
        loop {
            match file.read(&mut piece)? {
                0 => return Ok(hasher.finalize()),
                read => drop(hasher.update(&piece[..read])),
            }
        }
    }

    pub(crate) fn stat_open(file: &File) -> Result<Stat> {
        Ok(of(&fstat(file).map_err(no)?))
    }

    pub(crate) fn read_link(&self, path: &Path) -> Result<OsString> {
        let fd = self.at(path, OFlag::O_PATH).map_err(no)?;
        nix::fcntl::readlinkat(&fd, "").map_err(no)
    }

    /// Whether the kernel tells of all changes: those that another machine makes, it does not know of.
    pub(super) fn is_local(&self) -> bool {
        const LOCAL: [i64; 8] =
            [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0xf2f5_2010, 0x2fc1_2fc1, 0x794c_7630, 0xca45_1a4e];
        nix::sys::statfs::fstatfs(&self.root).is_ok_and(|fs| LOCAL.contains(&fs.filesystem_type().0))
    }

    /// A folder in which several entries are to be looked at.
    pub(super) fn inside(&self, path: &Path) -> Option<Inside> {
        self.at(path, OFlag::O_PATH | OFlag::O_DIRECTORY).ok().map(Inside)
    }

    /// The names in a folder, those that `wanted` refuses not even looked at.
    pub(crate) fn list(&self, path: &Path, mut wanted: impl FnMut(&OsStr) -> bool) -> Result<Vec<(OsString, Stat)>> {
        let mut entries = Vec::new();
        let mut folder = self.folder(path)?;
        for name in names(&mut folder)? {
            if !wanted(&name) {
                continue;
            }
            match fstatat(&folder, name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW) {
                Ok(stat) => entries.push((name, of(&stat))),
                // Gone since, or a dead mount: nobody can do anything with it.
                Err(errno) => tracing::debug!(?name, %errno, "left out an entry of the base"),
            }
        }
        Ok(entries)
    }

    /// What there is in a folder, as far as its own list of entries says it.
    pub(super) fn identities(
        &self,
        path: &Path,
        mut wanted: impl FnMut(&OsStr) -> bool,
    ) -> Result<Vec<(OsString, Identity)>> {
        let mut found = Vec::new();
        let mut folder = self.folder(path)?;
        let dev = fstat(&folder).map_err(no)?.st_dev;
        let mut unsaid = Vec::new();
        for entry in folder.iter() {
            let entry = entry.map_err(no)?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if matches!(name.as_bytes(), b"." | b"..") || !wanted(name) {
                continue;
            }
            match entry.file_type() {
                Some(kind) => found.push((name.to_owned(), Identity { dev, ino: entry.ino(), kind: of_type(kind) })),
                None => unsaid.push(name.to_owned()),
            }
        }
        for name in unsaid {
            let stat = fstatat(&folder, name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW);
            found.extend(stat.ok().map(|stat| (name, of(&stat).id)));
        }
        Ok(found)
    }

    pub(crate) fn names(&self, path: &Path) -> Result<Vec<OsString>> {
        names(&mut self.folder(path)?)
    }

    fn folder(&self, path: &Path) -> Result<Dir> {
        let fd = self.at(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY).map_err(no)?;
        Dir::from_fd(fd).map_err(no)
    }

    /// The disk that it lies on.
    pub(crate) fn statfs(&self) -> Result<StatFs> {
        let disk = fstatvfs(&self.root).map_err(no)?;
        Ok(StatFs::of(&disk))
    }

    pub(crate) fn at(&self, path: &Path, flags: OFlag) -> nix::Result<OwnedFd> {
        let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        if !self.steps_only.load(Ordering::Relaxed) {
            let resolve =
                ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS;
            match openat2(&self.root, path, OpenHow::new().flags(flags).resolve(resolve)) {
                Err(Errno::ENOSYS | Errno::EPERM) => self.steps_only.store(true, Ordering::Relaxed),
                answer => return answer,
            }
        }
        self.step_by_step(path, flags)
    }

    fn step_by_step(&self, path: &Path, flags: OFlag) -> nix::Result<OwnedFd> {
        let folder = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mut at = None;
        let mut steps = path.components().map(|step| step.as_os_str()).peekable();
        while let Some(step) = steps.next() {
            let flags = if steps.peek().is_some() { folder } else { flags };
            at = Some(match &at {
                None => openat(&self.root, step, flags, Mode::empty())?,
                Some(at) => openat(at, step, flags, Mode::empty())?,
            });
        }
        at.ok_or(Errno::ENOENT)
    }
}

pub(super) struct Inside(OwnedFd);

impl AsFd for Inside {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Inside {
    pub(super) fn identity(&self) -> Option<Identity> {
        fstat(&self.0).ok().map(|stat| of(&stat).id)
    }

    pub(super) fn stat(&self, name: &OsStr) -> Option<Stat> {
        fstatat(&self.0, name, AtFlags::AT_SYMLINK_NOFOLLOW).ok().map(|stat| of(&stat))
    }
}

fn names(folder: &mut Dir) -> Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in folder.iter() {
        let entry = entry.map_err(no)?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            names.push(OsString::from_vec(name.to_vec()));
        }
    }
    Ok(names)
}

fn no(errno: Errno) -> Error {
    // The way there has changed meanwhile.
    Error::Errno(if errno == Errno::ELOOP { libc::ENOENT } else { errno as i32 })
}

fn of_type(kind: Type) -> Kind {
    match kind {
        Type::Directory => Kind::Directory,
        Type::Symlink => Kind::Symlink,
        Type::Fifo => Kind::Fifo,
        Type::Socket => Kind::Socket,
        Type::CharacterDevice => Kind::CharDevice,
        Type::BlockDevice => Kind::BlockDevice,
        Type::File => Kind::File,
    }
}

fn of(stat: &FileStat) -> Stat {
    let kind = Kind::of_mode(stat.st_mode).unwrap_or(Kind::File);
    let time = |sec: i64, nsec: i64| Time { sec, nsec: u32::try_from(nsec).unwrap_or(0) };
    let attr = Attr {
        ino: stat.st_ino,
        kind,
        perm: (stat.st_mode & 0o7777) as u16,
        // Names of one file of the base are files of their own here, as they are once one of them is written to.
        nlink: 1,
        uid: stat.st_uid,
        gid: stat.st_gid,
        rdev: if matches!(kind, Kind::CharDevice | Kind::BlockDevice) { stat.st_rdev as u32 } else { 0 },
        size: u64::try_from(stat.st_size).unwrap_or(0),
        atime: time(stat.st_atime, stat.st_atime_nsec),
        mtime: time(stat.st_mtime, stat.st_mtime_nsec),
        ctime: time(stat.st_ctime, stat.st_ctime_nsec),
    };
    let linked = kind != Kind::Directory && stat.st_nlink > 1;
    let links = u32::try_from(stat.st_nlink).unwrap_or(u32::MAX);
    let blocks = u64::try_from(stat.st_blocks).unwrap_or(0);
    Stat { id: Identity { dev: stat.st_dev, ino: stat.st_ino, kind }, attr, linked, links, blocks }
}
