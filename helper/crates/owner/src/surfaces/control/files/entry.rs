//! What is found, in the words of the control socket.

use nixbox_control::{FileEntry, FileKind};
use nixbox_engine::{Found, Kind};

pub(super) fn told(found: Found) -> FileEntry {
    let Found { path, attr, target } = found;
    FileEntry {
        path: path.into_os_string().into(),
        kind: kind(attr.kind),
        mode: attr.perm,
        size: attr.size,
        ino: attr.ino,
        nlink: attr.nlink,
        uid: attr.uid,
        gid: attr.gid,
        mtime: (attr.mtime.sec, attr.mtime.nsec),
        ctime: (attr.ctime.sec, attr.ctime.nsec),
        target: target.map(Into::into),
    }
}

pub(crate) fn kind(kind: Kind) -> FileKind {
    match kind {
        Kind::File => FileKind::File,
        Kind::Directory => FileKind::Folder,
        Kind::Symlink => FileKind::Link,
        Kind::Fifo => FileKind::Fifo,
        Kind::Socket => FileKind::Socket,
        Kind::CharDevice => FileKind::CharDevice,
        Kind::BlockDevice => FileKind::BlockDevice,
    }
}
