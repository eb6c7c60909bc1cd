use std::path::PathBuf;

use crate::filesystem::{Attr, Ino, Kind};

/// Something in which the view differs from the folder below. Times do not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Relative to the instance's root, where it is, or was where it is gone.
    pub path: PathBuf,
    pub kind: ChangeKind,
    /// Where it was, if it was renamed.
    pub from: Option<PathBuf>,
    pub before: Option<Side>,
    pub after: Option<Side>,
    /// The base's file is no longer what it was when it was copied up: somebody else has worked on it, too.
    pub diverged: bool,
    /// Of the database.
    pub(super) ino: Option<Ino>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    Added,
    /// `content`: its bytes or its target; `mode`: its permissions or its owner.
    Modified {
        content: bool,
        mode: bool,
    },
    Deleted,
    /// A file where a folder was, for example.
    TypeChanged,
    /// The same content at another path; of a folder, all that was in it.
    Renamed {
        mode: bool,
    },
}

/// An entry in one of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Side {
    pub kind: Kind,
    /// The lower twelve mode bits.
    pub perm: u16,
    pub uid: u32,
    pub gid: u32,
    pub size: u64,
}

impl Side {
    pub(super) fn of(attr: &Attr) -> Self {
        let Attr { kind, perm, uid, gid, size, .. } = *attr;
        Self { kind, perm, uid, gid, size: if kind == Kind::Directory { 0 } else { size } }
    }

    pub(super) fn same_mode(&self, other: &Self) -> bool {
        (self.perm, self.uid, self.gid) == (other.perm, other.uid, other.gid)
    }
}

impl Change {
    /// What it is, or was where it is gone.
    pub fn file(&self) -> Option<Kind> {
        self.after.or(self.before).map(|side| side.kind)
    }

    pub fn is_folder(&self) -> bool {
        self.file() == Some(Kind::Directory)
    }
}
