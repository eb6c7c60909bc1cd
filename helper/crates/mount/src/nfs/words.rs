//! The engine's words in those of NFS version 3 (RFC 1813), and back.

use nixbox_engine::{Attr, AttrChange, Error, Kind, Time, TimeChange};

use super::xdr::{Malformed, Read, Reader, Writer};

/// Why a request was not done: the numbers of RFC 1813.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Status {
    Perm = 1,
    NoEnt = 2,
    Io = 5,
    NxIo = 6,
    Access = 13,
    Exist = 17,
    XDev = 18,
    NotDir = 20,
    IsDir = 21,
    Inval = 22,
    FBig = 27,
    NoSpc = 28,
    RoFs = 30,
    MLink = 31,
    NameTooLong = 63,
    NotEmpty = 66,
    DQuot = 69,
    Stale = 70,
    BadHandle = 10001,
    NotSync = 10002,
    NotSupp = 10004,
    TooSmall = 10005,
    BadType = 10007,
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        if !error.is_answer() {
            tracing::error!(%error, "the database failed");
        }
        match error.errno() {
            libc::EPERM => Self::Perm,
            libc::ENOENT => Self::NoEnt,
            libc::ENXIO => Self::NxIo,
            libc::EACCES => Self::Access,
            libc::EEXIST => Self::Exist,
            libc::EXDEV => Self::XDev,
            libc::ENOTDIR => Self::NotDir,
            libc::EISDIR => Self::IsDir,
            // There is no word for "not UTF-8".
            libc::EINVAL | libc::EILSEQ => Self::Inval,
            libc::EFBIG => Self::FBig,
            libc::ENOSPC => Self::NoSpc,
            libc::EROFS => Self::RoFs,
            libc::EMLINK => Self::MLink,
            libc::ENAMETOOLONG => Self::NameTooLong,
            libc::ENOTEMPTY => Self::NotEmpty,
            libc::EDQUOT => Self::DQuot,
            libc::ESTALE => Self::Stale,
            libc::ENOTSUP | libc::ENOSYS => Self::NotSupp,
            _ => Self::Io,
        }
    }
}

const DO_NOT_CHANGE: u32 = 0;
const SERVER_TIME: u32 = 1;
const CLIENT_TIME: u32 = 2;

/// What `fattr3` takes.
pub(super) const ATTR_SIZE: usize = 84;

impl Writer {
    pub(super) fn ok(&mut self) {
        self.u32(0);
    }

    pub(super) fn status(&mut self, status: Status) {
        self.u32(status as u32);
    }

    fn time(&mut self, time: Time) {
        // Seconds have 32 bits here, and none for what was before 1970.
        self.u32(time.sec.clamp(0, i64::from(u32::MAX)) as u32);
        self.u32(time.nsec.min(999_999_999));
    }

    pub(super) fn attr(&mut self, attr: &Attr) {
        self.u32(match attr.kind {
            Kind::File => 1,
            Kind::Directory => 2,
            Kind::BlockDevice => 3,
            Kind::CharDevice => 4,
            Kind::Symlink => 5,
            Kind::Socket => 6,
            Kind::Fifo => 7,
        });
        self.u32(u32::from(attr.perm));
        self.u32(attr.nlink);
        self.u32(attr.uid);
        self.u32(attr.gid);
        self.u64(attr.size);
        self.u64(attr.size);
        let device = u64::from(attr.rdev);
        self.u32(libc::major(device));
        self.u32(libc::minor(device));
        self.u64(0);
        self.u64(attr.ino);
        self.time(attr.atime);
        self.time(attr.mtime);
        self.time(attr.ctime);
    }

    pub(super) fn maybe_attr(&mut self, attr: Option<&Attr>) {
        self.flag(attr.is_some());
        if let Some(attr) = attr {
            self.attr(attr);
        }
    }

    /// What was there before and what is there now, so that a client knows whether its cache still holds.
    pub(super) fn before_and_after(&mut self, before: Option<&Attr>, after: Option<&Attr>) {
        self.flag(before.is_some());
        if let Some(before) = before {
            self.u64(before.size);
            self.time(before.mtime);
            self.time(before.ctime);
        }
        self.maybe_attr(after);
    }
}

impl Reader<'_> {
    pub(super) fn time(&mut self) -> Read<Time> {
        Ok(Time { sec: i64::from(self.u32()?), nsec: self.u32()?.min(999_999_999) })
    }

    pub(super) fn attr_change(&mut self) -> Read<AttrChange> {
        let perm = self.option(Self::u32)?.map(|mode| (mode & 0o7777) as u16);
        let (uid, gid) = (self.option(Self::u32)?, self.option(Self::u32)?);
        let size = self.option(Self::u64)?;
        Ok(AttrChange { perm, uid, gid, size, atime: self.time_change()?, mtime: self.time_change()? })
    }

    fn time_change(&mut self) -> Read<Option<TimeChange>> {
        match self.u32()? {
            DO_NOT_CHANGE => Ok(None),
            SERVER_TIME => Ok(Some(TimeChange::Now)),
            CLIENT_TIME => Ok(Some(TimeChange::At(self.time()?))),
            _ => Err(Malformed),
        }
    }
}

/// The same moment, as far as a client can tell.
pub(super) fn same_time(kept: Time, said: Time) -> bool {
    kept.sec.clamp(0, i64::from(u32::MAX)) == said.sec && kept.nsec == said.nsec
}
