//! Between the kernel's words (as fuser has them) and the engine's.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{Errno, FileAttr, FileType, INodeNo, Request, TimeOrNow};
use nixbox_engine::{Attr, Caller, Error, Ino, Kind, Time, TimeChange};

const BLOCK: u32 = 4096;

/// Whose files are shown as whose.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown {
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
}

impl Shown {
    pub(super) fn attr(self, attr: &Attr) -> FileAttr {
        FileAttr {
            ino: INodeNo(attr.ino),
            size: attr.size,
            blocks: attr.size.div_ceil(512),
            atime: system_time(attr.atime),
            mtime: system_time(attr.mtime),
            ctime: system_time(attr.ctime),
            kind: file_type(attr.kind),
            perm: attr.perm,
            nlink: attr.nlink,
            uid: self.uid.unwrap_or(attr.uid),
            gid: self.gid.unwrap_or(attr.gid),
            rdev: attr.rdev,
            ..blank(INodeNo(attr.ino))
        }
    }
}

/// The answer "there is no such name".
pub(super) fn negative() -> FileAttr {
    blank(INodeNo(0))
}

/// For `.` and `..`, of which the kernel reads no more.
pub(super) fn only_kind(ino: Ino, kind: Kind) -> FileAttr {
    FileAttr { kind: file_type(kind), ..blank(INodeNo(ino)) }
}

fn blank(ino: INodeNo) -> FileAttr {
    FileAttr {
        ino,
        size: 0,
        blocks: 0,
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind: FileType::RegularFile,
        perm: 0,
        nlink: 0,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: BLOCK,
        flags: 0,
    }
}

/// A database may hold times that no clock shows; they must not end the owner.
fn system_time(time: Time) -> SystemTime {
    let seconds = Duration::from_secs(time.sec.unsigned_abs());
    let whole = if time.sec < 0 { UNIX_EPOCH.checked_sub(seconds) } else { UNIX_EPOCH.checked_add(seconds) };
    let nanos = Duration::from_nanos(u64::from(time.nsec));
    whole.and_then(|whole| whole.checked_add(nanos)).unwrap_or(UNIX_EPOCH)
}

pub(super) fn file_type(kind: Kind) -> FileType {
    match kind {
        Kind::File => FileType::RegularFile,
        Kind::Directory => FileType::Directory,
        Kind::Symlink => FileType::Symlink,
        Kind::Fifo => FileType::NamedPipe,
        Kind::Socket => FileType::Socket,
        Kind::CharDevice => FileType::CharDevice,
        Kind::BlockDevice => FileType::BlockDevice,
    }
}

/// What mknod can make.
pub(super) fn kind_of_mode(mode: u32) -> Option<Kind> {
    match mode & libc::S_IFMT {
        0 | libc::S_IFREG => Some(Kind::File),
        libc::S_IFIFO => Some(Kind::Fifo),
        libc::S_IFSOCK => Some(Kind::Socket),
        libc::S_IFCHR => Some(Kind::CharDevice),
        libc::S_IFBLK => Some(Kind::BlockDevice),
        _ => None,
    }
}

pub(super) fn perm_of_mode(mode: u32) -> u16 {
    (mode & 0o7777) as u16
}

pub(super) fn time_change(time: TimeOrNow) -> TimeChange {
    match time {
        TimeOrNow::Now => TimeChange::Now,
        TimeOrNow::SpecificTime(time) => TimeChange::At(meant(time)),
    }
}

/// Before 1970 fuser 0.18 takes the kernel's nanoseconds off the seconds, where they are to be added to them: what
/// the kernel calls -2 s and 500 ms (-1.5 s) arrives as -2.5 s.
fn meant(time: SystemTime) -> Time {
    match UNIX_EPOCH.duration_since(time) {
        Ok(before) if before.subsec_nanos() > 0 => {
            Time { sec: 0i64.saturating_sub_unsigned(before.as_secs()), nsec: before.subsec_nanos() }
        }
        _ => time.into(),
    }
}

pub(super) fn caller(req: &Request) -> Caller {
    Caller { uid: req.uid(), gid: req.gid() }
}

/// What a program sees. That the tree says no is ordinary; that the database fails is not, and is put on record,
/// because the program's own message will only say "Input/output error".
pub(super) fn errno(error: Error) -> Errno {
    if !error.is_answer() {
        tracing::error!(%error, "the database failed");
    }
    Errno::from_i32(error.errno())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_time_in_a_database_is_too_far() {
        for sec in [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX] {
            for nsec in [0, 999_999_999, u32::MAX] {
                system_time(Time { sec, nsec });
            }
        }
        for sec in [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX] {
            let time = Time { sec, nsec: 0 };
            assert_eq!(Time::from(system_time(time)), time);
            assert_eq!(meant(system_time(time)), time);
        }
        assert_eq!(system_time(Time { sec: -1, nsec: 500_000_000 }), UNIX_EPOCH - Duration::from_millis(500));
    }
}
