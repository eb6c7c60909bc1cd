//! What a front end (FUSE, NFS, MCP, a verb) may ask of a file tree. Inode-based, synchronous, callable from
//! several threads; every method sees every write that was acknowledged before it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::by_path::Witness;
use crate::error::{Error, Result};
use crate::listing::Listing;

pub type Ino = u64;

pub const ROOT: Ino = 1;

/// For what changes only through the tree: whoever changes it there tells those who remember it.
pub const UNTIL_TOLD: Duration = Duration::from_secs(3600);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    File,
    Directory,
    Symlink,
    Fifo,
    Socket,
    CharDevice,
    BlockDevice,
}

impl Kind {
    /// As the upper bits of a mode say it; `None` where they say nothing that Linux knows.
    pub fn of_mode(mode: u32) -> Option<Self> {
        Some(match mode & libc::S_IFMT {
            libc::S_IFREG => Self::File,
            libc::S_IFDIR => Self::Directory,
            libc::S_IFLNK => Self::Symlink,
            libc::S_IFIFO => Self::Fifo,
            libc::S_IFSOCK => Self::Socket,
            libc::S_IFCHR => Self::CharDevice,
            libc::S_IFBLK => Self::BlockDevice,
            _ => return None,
        })
    }

    pub fn mode_bits(self) -> u32 {
        match self {
            Self::File => libc::S_IFREG,
            Self::Directory => libc::S_IFDIR,
            Self::Symlink => libc::S_IFLNK,
            Self::Fifo => libc::S_IFIFO,
            Self::Socket => libc::S_IFSOCK,
            Self::CharDevice => libc::S_IFCHR,
            Self::BlockDevice => libc::S_IFBLK,
        }
    }
}

/// Seconds and nanoseconds since 1970, before it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Time {
    pub sec: i64,
    pub nsec: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attr {
    pub ino: Ino,
    pub kind: Kind,
    /// The lower twelve mode bits.
    pub perm: u16,
    pub nlink: u32,
    pub uid: u32,
    pub gid: u32,
    pub rdev: u32,
    pub size: u64,
    pub atime: Time,
    pub mtime: Time,
    pub ctime: Time,
}

impl Attr {
    /// Smaller holes are never kept in a database, and not worth a question of a base.
    pub(crate) const SMALL_HOLE: u64 = 1 << 20;

    pub(crate) fn may_have_holes(&self) -> bool {
        self.kind == Kind::File && self.size > Self::SMALL_HOLE
    }

    /// In blocks of 512 bytes, were it without holes.
    pub(crate) fn full_blocks(&self) -> u64 {
        self.size.div_ceil(512)
    }
}

/// Who asks; becomes the owner of what is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    pub uid: u32,
    pub gid: u32,
}

/// What is to be created: permission bits (umask already applied) and, for devices, the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewNode {
    pub kind: Kind,
    pub perm: u16,
    pub rdev: u32,
    pub caller: Caller,
}

impl NewNode {
    /// The group of a directory with the set-group-ID bit passes to what is made in it, and the bit to folders.
    pub(crate) fn in_directory(self, directory: &Attr) -> Self {
        const SGID: u16 = 0o2000;
        let Self { kind, mut perm, mut caller, .. } = self;
        if directory.perm & SGID != 0 {
            caller.gid = directory.gid;
            perm |= if kind == Kind::Directory { SGID } else { 0 };
        }
        Self { perm, caller, ..self }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeChange {
    Now,
    At(Time),
}

/// The attributes to change; `None` leaves one alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AttrChange {
    pub perm: Option<u16>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub size: Option<u64>,
    pub atime: Option<TimeChange>,
    pub mtime: Option<TimeChange>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rename {
    #[default]
    Replace,
    NoReplace,
    /// Each gets the other's name, whatever the two are.
    Exchange,
}

/// What fallocate(2) asks for, with the file's length kept or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allocate {
    /// Room for the range, so that writing there cannot fail for lack of it.
    Reserve { keep_size: bool },
    /// The range reads as zeroes.
    Zero { keep_size: bool },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub name: OsString,
    pub attr: Attr,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatFs {
    pub block_size: u32,
    pub blocks: u64,
    pub blocks_free: u64,
    pub files: u64,
    pub files_free: u64,
    pub name_max: u32,
}

impl StatFs {
    pub(crate) fn of(disk: &nix::sys::statvfs::Statvfs) -> Self {
        Self {
            block_size: u32::try_from(disk.fragment_size()).unwrap_or(4096),
            blocks: disk.blocks(),
            blocks_free: disk.blocks_available(),
            files: disk.files(),
            files_free: disk.files_available(),
            name_max: crate::files::names::NAME_MAX as u32,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// What was read of it before, through this tree, is still its content.
    pub same_content: bool,
    /// How long it is, where nobody can have read of it before: it is opened for the first time since it was looked up.
    pub unread: Option<u64>,
}

pub trait FileSystem: Send + Sync + 'static {
    /// Counts as one reference to the inode until `forget` returns it; so do `create`, `mkdir`, `mknod`,
    /// `symlink` and `link`. An unlinked file lives until its last reference and open handle are gone.
    fn lookup(&self, parent: Ino, name: &OsStr) -> Result<Attr>;
    /// `lookup` of some names of a listing of that directory, one after the other, at the price of few. `None` for those
    /// that are not there any more.
    fn lookup_all(&self, parent: Ino, listing: &Listing, some: Range<usize>) -> Vec<Option<Attr>> {
        listing.of(&some).iter().map(|name| self.lookup(parent, &name.name).ok()).collect()
    }
    fn forget(&self, ino: Ino, references: u64);
    fn getattr(&self, ino: Ino) -> Result<Attr>;
    fn setattr(&self, ino: Ino, change: AttrChange) -> Result<Attr>;
    fn readlink(&self, ino: Ino) -> Result<OsString>;
    /// A file, directory, fifo, socket or device; `symlink` makes links.
    fn create(&self, parent: Ino, name: &OsStr, node: NewNode) -> Result<Attr>;
    /// A file that has no name yet, for one in `directory`: nobody finds it before it is [published](Self::publish), and
    /// where that does not come nothing of it stays. Counts as one reference, as `create` does.
    fn draft(&self, _directory: Ino, _node: NewNode) -> Result<Attr> {
        Err(Error::Errno(libc::EOPNOTSUPP))
    }
    /// Gives a draft its name, and takes that from the file that has it.
    fn publish(&self, _draft: Ino, _parent: Ino, _name: &OsStr) -> Result<()> {
        Err(Error::Errno(libc::EOPNOTSUPP))
    }
    /// `create` of something that is not whole yet and will get another name: what is left of it after a kill goes at
    /// the next start.
    fn make_part(&self, parent: Ino, name: &OsStr, node: NewNode) -> Result<Attr> {
        self.create(parent, name, node)
    }
    fn symlink(&self, parent: Ino, name: &OsStr, target: &OsStr, caller: Caller) -> Result<Attr>;
    fn link(&self, ino: Ino, parent: Ino, name: &OsStr) -> Result<Attr>;
    fn unlink(&self, parent: Ino, name: &OsStr) -> Result<()>;
    fn rmdir(&self, parent: Ino, name: &OsStr) -> Result<()>;
    fn rename(&self, from: (Ino, &OsStr), to: (Ino, &OsStr), how: Rename) -> Result<()>;
    /// Keeps the inode's content alive until the matching `release`.
    fn open(&self, ino: Ino) -> Result<Opened>;
    fn release(&self, ino: Ino);
    /// Of an open file, as it is now: another number whenever the content is another. `None` where that cannot be told.
    fn version(&self, _ino: Ino) -> Option<u64> {
        None
    }
    fn read(&self, ino: Ino, offset: u64, size: u32) -> Result<Vec<u8>>;
    fn write(&self, ino: Ino, offset: u64, data: &[u8]) -> Result<u32>;
    fn allocate(&self, _ino: Ino, _offset: u64, _length: u64, _how: Allocate) -> Result<()> {
        Err(Error::Errno(libc::EOPNOTSUPP))
    }
    /// What its content takes, in blocks of 512 bytes: of a file with holes less than its length.
    fn blocks(&self, attr: &Attr) -> u64 {
        attr.full_blocks()
    }
    /// Whether its content may have to be fetched from far away, so that reading or writing it may take some seconds. Whoever
    /// has few threads asks before.
    fn may_wait(&self, _ino: Ino) -> bool {
        false
    }
    /// The empty file `to` gets the content of `from` where that is far away, and stays there. False: it is here, or the tree
    /// cannot do that.
    fn share(&self, _from: Ino, _to: Ino) -> Result<bool> {
        Ok(false)
    }
    /// Returns when everything acknowledged so far is on disk.
    fn fsync(&self, ino: Ino) -> Result<()>;
    /// A file of the disk that has the content of an open file, as long as that is open and whatever may be done
    /// through this tree: the kernel may read it without asking.
    fn backing(&self, _ino: Ino) -> Option<Arc<File>> {
        None
    }
    /// Runs `work`, which changes this tree: all of its changes happen, or where it fails or is killed none, and nobody
    /// sees a part of them. It must wait for nobody else who uses the tree, and give back every reference that it has
    /// taken. Where the tree does not [`undo`](Self::undoes), it is only run.
    fn together(&self, work: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        work()
    }
    fn undoes(&self) -> bool {
        false
    }
    /// The directory's entries, without `.` and `..`, as they are now, with a reference counted for none.
    fn readdir(&self, ino: Ino) -> Result<Vec<Entry>>;
    /// The same for who wants no more than the names, or will look them up.
    fn list(&self, ino: Ino) -> Result<Listing> {
        Ok(self.readdir(ino)?.into())
    }
    /// The directory that holds this directory; the root holds itself.
    fn parent(&self, ino: Ino) -> Result<Ino>;
    fn statfs(&self) -> Result<StatFs>;
    /// Whether an inode that is referred to can also be asked for once it no longer is: by its number alone, and as long
    /// as it has a name.
    fn is_found_by_number(&self, _ino: Ino) -> bool {
        true
    }
    /// How long the attributes of an inode may be believed, and that it has the name by which it was found.
    fn valid_for(&self, _ino: Ino) -> Duration {
        UNTIL_TOLD
    }
    /// How long it may be believed that a name is not in a directory.
    fn absence_valid_for(&self, _directory: Ino) -> Duration {
        UNTIL_TOLD
    }
    /// From now on tells `witness`, on a thread of its own, of what has changed without coming through this tree.
    fn tell(&self, _witness: Arc<dyn Witness>) {}
}

impl Time {
    pub fn now() -> Self {
        SystemTime::now().into()
    }
}

impl From<SystemTime> for Time {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self { sec: after.as_secs() as i64, nsec: after.subsec_nanos() },
            Err(before) => {
                let before = before.duration();
                let sec = 0i64.saturating_sub_unsigned(before.as_secs());
                match before.subsec_nanos() {
                    0 => Self { sec, nsec: 0 },
                    nanos => Self { sec: sec.saturating_sub(1), nsec: 1_000_000_000 - nanos },
                }
            }
        }
    }
}

impl From<Time> for SystemTime {
    fn from(time: Time) -> Self {
        let nanos = Duration::from_nanos(u64::from(time.nsec));
        match u64::try_from(time.sec) {
            Ok(sec) => UNIX_EPOCH + Duration::from_secs(sec) + nanos,
            Err(_) => UNIX_EPOCH - Duration::from_secs(time.sec.unsigned_abs()) + nanos,
        }
    }
}
