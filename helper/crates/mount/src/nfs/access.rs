//! Who may do what, by mode bits. A mount's kernel checks this before it asks; over NFS nobody else does.

use nixbox_engine::{Attr, Caller, Kind};

/// Whom a client says that it speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) groups: Vec<u32>,
}

const NOBODY: u32 = 65534;

pub(super) const READ: u16 = 4;
pub(super) const WRITE: u16 = 2;
pub(super) const EXECUTE: u16 = 1;

pub(super) const SUID: u16 = 0o4000;
pub(super) const SGID: u16 = 0o2000;
const STICKY: u16 = 0o1000;

impl Identity {
    pub(super) fn nobody() -> Self {
        Self { uid: NOBODY, gid: NOBODY, groups: Vec::new() }
    }

    pub(super) fn caller(&self) -> Caller {
        Caller { uid: self.uid, gid: self.gid }
    }

    pub(super) fn is_root(&self) -> bool {
        self.uid == 0
    }

    pub(super) fn owns(&self, attr: &Attr) -> bool {
        self.is_root() || self.uid == attr.uid
    }

    pub(super) fn is_in(&self, group: u32) -> bool {
        self.is_root() || self.gid == group || self.groups.contains(&group)
    }

    /// All of the wanted bits.
    pub(super) fn may(&self, attr: &Attr, wanted: u16) -> bool {
        if self.is_root() {
            return wanted & EXECUTE == 0 || attr.kind == Kind::Directory || attr.perm & 0o111 != 0;
        }
        let shift = if self.uid == attr.uid {
            6
        } else if self.is_in(attr.gid) {
            3
        } else {
            0
        };
        (attr.perm >> shift) & wanted == wanted
    }

    /// An open file stays readable and writable whatever its mode becomes, and NFS knows no open files: so its owner
    /// may always, and who may run it may read it.
    pub(super) fn may_read(&self, attr: &Attr) -> bool {
        self.owns(attr) || self.may(attr, READ) || self.may(attr, EXECUTE)
    }

    pub(super) fn may_write(&self, attr: &Attr) -> bool {
        self.owns(attr) || self.may(attr, WRITE)
    }

    /// Entries of a folder may be made there.
    pub(super) fn may_change_entries(&self, folder: &Attr) -> bool {
        self.may(folder, WRITE | EXECUTE)
    }

    /// An entry may be taken away, also where the folder is everybody's.
    pub(super) fn may_take(&self, folder: &Attr, entry: &Attr) -> bool {
        self.may_change_entries(folder) && (folder.perm & STICKY == 0 || self.owns(folder) || self.owns(entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nixbox_engine::Time;

    fn attr(kind: Kind, perm: u16) -> Attr {
        let time = Time::default();
        Attr { ino: 2, kind, perm, nlink: 1, uid: 10, gid: 20, rdev: 0, size: 0, atime: time, mtime: time, ctime: time }
    }

    fn who(uid: u32, gid: u32, groups: &[u32]) -> Identity {
        Identity { uid, gid, groups: groups.to_vec() }
    }

    #[test]
    fn the_first_class_that_fits_decides() {
        let file = attr(Kind::File, 0o046);
        assert!(!who(10, 20, &[]).may(&file, READ));
        assert!(who(11, 20, &[]).may(&file, READ) && !who(11, 20, &[]).may(&file, WRITE));
        assert!(who(11, 1, &[3, 20]).may(&file, READ) && !who(11, 1, &[3, 20]).may(&file, WRITE));
        assert!(who(11, 1, &[]).may(&file, READ | WRITE));
    }

    #[test]
    fn root_runs_only_what_can_be_run() {
        assert!(who(0, 0, &[]).may(&attr(Kind::File, 0), READ | WRITE));
        assert!(!who(0, 0, &[]).may(&attr(Kind::File, 0o666), EXECUTE));
        assert!(who(0, 0, &[]).may(&attr(Kind::Directory, 0), EXECUTE));
    }

    #[test]
    fn in_a_sticky_folder_only_owners_take_away() {
        let folder = Attr { uid: 1, gid: 1, ..attr(Kind::Directory, 0o1777) };
        let file = attr(Kind::File, 0o666);
        assert!(who(10, 9, &[]).may_take(&folder, &file) && who(1, 9, &[]).may_take(&folder, &file));
        assert!(!who(11, 9, &[]).may_take(&folder, &file));
        assert!(who(11, 9, &[]).may_take(&Attr { perm: 0o777, ..folder }, &file));
    }
}
