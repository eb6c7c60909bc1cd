//! Making, removing and moving entries of the real folder.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, RenameFlags, openat, renameat2};
use nix::sys::stat::{Mode, SFlag, fchmod, major, makedev, minor, mkdirat, mknodat};
use nix::unistd::{UnlinkatFlags, fchownat, linkat, symlinkat, unlinkat};

use super::nodes::Handle;
use super::{Direct, no};
use crate::error::{Error, Result};
use crate::filesystem::{Attr, Caller, Ino, Kind, NewNode, Rename};

const SGID: u16 = 0o2000;

impl Direct {
    pub(super) fn make(&self, parent: Ino, name: &OsStr, new: NewNode) -> Result<Attr> {
        let mut nodes = self.nodes();
        let (folder, path) = self.place(&nodes, parent, name)?;
        self.refuse(name, &path)?;
        let mode = Mode::from_bits_truncate(u32::from(new.perm) as libc::mode_t);
        let of_kind = |kind| {
            let device = makedev(major(u64::from(new.rdev)), minor(u64::from(new.rdev)));
            mknodat(&folder, name, kind, Mode::empty(), device)
        };
        let mut file = None;
        match new.kind {
            Kind::File => {
                let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
                file = Some(openat(&folder, name, flags, Mode::from_bits_truncate(0o600)).map_err(no)?);
            }
            Kind::Directory => mkdirat(&folder, name, Mode::from_bits_truncate(0o700)).map_err(no)?,
            Kind::Symlink => return Err(Error::Errno(libc::EINVAL)),
            Kind::Fifo => of_kind(SFlag::S_IFIFO).map_err(no)?,
            Kind::Socket => of_kind(SFlag::S_IFSOCK).map_err(no)?,
            Kind::CharDevice => of_kind(SFlag::S_IFCHR).map_err(no)?,
            Kind::BlockDevice => of_kind(SFlag::S_IFBLK).map_err(no)?,
        }
        let done = self.own(&folder, name, new.caller).and_then(|()| {
            let made = self.base.stat(&path)?.ok_or(Error::Errno(libc::ENOENT))?;
            // The folder may have passed its group's bit on, which stays.
            let inherited = Mode::from_bits_truncate(u32::from(made.attr.perm & SGID) as libc::mode_t);
            match &file {
                Some(file) => fchmod(file, mode | inherited).map_err(no)?,
                None => self.change_mode(&path, (mode | inherited).bits())?,
            }
            Ok(made)
        });
        let made = match done {
            Ok(made) => made,
            Err(error) => {
                let how =
                    if new.kind == Kind::Directory { UnlinkatFlags::RemoveDir } else { UnlinkatFlags::NoRemoveDir };
                let _ = unlinkat(&folder, name, how);
                return Err(error);
            }
        };
        let number = nodes.hold(made.id, Some((parent, name)));
        if let Some(file) = file {
            nodes.made(number, Handle { file: Arc::new(file.into()), writes: true });
        }
        drop(nodes);
        self.getattr_of(number)
    }

    pub(super) fn make_link(&self, parent: Ino, name: &OsStr, target: &OsStr, caller: Caller) -> Result<Attr> {
        let mut nodes = self.nodes();
        let (folder, path) = self.place(&nodes, parent, name)?;
        self.refuse(name, &path)?;
        symlinkat(target, &folder, name).map_err(no)?;
        if let Err(error) = self.own(&folder, name, caller) {
            let _ = unlinkat(&folder, name, UnlinkatFlags::NoRemoveDir);
            return Err(error);
        }
        let made = self.base.stat(&path)?.ok_or(Error::Errno(libc::ENOENT))?;
        let number = nodes.hold(made.id, Some((parent, name)));
        drop(nodes);
        self.getattr_of(number)
    }

    pub(super) fn link_to(&self, ino: Ino, parent: Ino, name: &OsStr) -> Result<Attr> {
        let mut nodes = self.nodes();
        let from = self.path(&nodes, ino)?;
        let (folder, path) = self.place(&nodes, parent, name)?;
        self.refuse(name, &path)?;
        let source = from.parent().unwrap_or(Path::new(""));
        let source = self.base.at(source, OFlag::O_PATH | OFlag::O_DIRECTORY).map_err(no)?;
        let old = from.file_name().ok_or(Error::Errno(libc::EPERM))?;
        linkat(&source, old, &folder, name, AtFlags::empty()).map_err(no)?;
        let stat = self.base.stat(&path)?.ok_or(Error::Errno(libc::ENOENT))?;
        let number = nodes.hold(stat.id, Some((parent, name)));
        drop(nodes);
        self.getattr_of(number)
    }

    pub(super) fn remove(&self, parent: Ino, name: &OsStr, is_rmdir: bool) -> Result<()> {
        let mut nodes = self.nodes();
        let (folder, path) = self.place(&nodes, parent, name)?;
        let stat = self.child(&nodes, parent, name)?.ok_or(Error::Errno(libc::ENOENT))?;
        if is_rmdir && self.hidden.lies_in(&path) {
            return Err(Error::Errno(libc::EBUSY));
        }
        let how = if is_rmdir { UnlinkatFlags::RemoveDir } else { UnlinkatFlags::NoRemoveDir };
        unlinkat(&folder, name, how).map_err(no)?;
        if nodes.parts.remove(&path) {
            self.forget_part(&path)?;
        }
        let number = nodes.number(&stat.id);
        nodes.lost(number, parent, name);
        if let Some(node) = nodes.get_mut(number)
            && (is_rmdir || stat.links <= 1)
        {
            node.ghost = Some(Attr { ino: number, nlink: 0, ..stat.attr });
        }
        Ok(())
    }

    pub(super) fn move_entry(&self, from: (Ino, &OsStr), to: (Ino, &OsStr), how: Rename) -> Result<()> {
        let mut nodes = self.nodes();
        let moved = self.child(&nodes, from.0, from.1)?.ok_or(Error::Errno(libc::ENOENT))?;
        let replaced = self.child(&nodes, to.0, to.1)?;
        let (old_folder, old) = self.place(&nodes, from.0, from.1)?;
        let (new_folder, new) = self.place(&nodes, to.0, to.1)?;
        self.refuse(to.1, &new)?;
        // The mountpoint and the state in it would be elsewhere than where everybody looks for them.
        if self.hidden.lies_in(&old) || self.hidden.lies_in(&new) {
            return Err(Error::Errno(libc::EBUSY));
        }
        let flags = match how {
            Rename::Replace => RenameFlags::empty(),
            Rename::NoReplace => RenameFlags::RENAME_NOREPLACE,
            Rename::Exchange => RenameFlags::RENAME_EXCHANGE,
        };
        renameat2(&old_folder, from.1, &new_folder, to.1, flags).map_err(no)?;
        if nodes.parts.remove(&old) {
            self.forget_part(&old)?;
        }
        let number = nodes.number(&moved.id);
        if let Some(replaced) = replaced.filter(|replaced| replaced.id != moved.id) {
            let lost = nodes.number(&replaced.id);
            if how == Rename::Exchange {
                nodes.moved(lost, to, from);
                nodes.moved(number, from, to);
                return Ok(());
            }
            nodes.lost(lost, to.0, to.1);
            if let Some(node) = nodes.get_mut(lost)
                && (node.is_folder() || replaced.links <= 1)
            {
                node.ghost = Some(Attr { ino: lost, nlink: 0, ..replaced.attr });
            }
        }
        nodes.moved(number, from, to);
        Ok(())
    }

    fn getattr_of(&self, number: Ino) -> Result<Attr> {
        use crate::filesystem::FileSystem;
        self.getattr(number)
    }

    pub(super) fn refuse(&self, name: &OsStr, path: &Path) -> Result<()> {
        match name.as_encoded_bytes() {
            b"" | b"." | b".." => Err(Error::Errno(libc::EINVAL)),
            bytes if bytes.contains(&b'/') => Err(Error::Errno(libc::EINVAL)),
            // It would not be seen.
            _ if self.hidden.hides(path) => Err(Error::Errno(libc::EPERM)),
            _ => Ok(()),
        }
    }

    /// Whoever asked owns what was made, as far as this process may give it away.
    fn own(&self, folder: &OwnedFd, name: &OsStr, caller: Caller) -> Result<()> {
        let me = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
        if me == (caller.uid, caller.gid) || me.0 != 0 {
            return Ok(());
        }
        let parent = nix::sys::stat::fstat(folder).map_err(no)?;
        let group = if parent.st_mode & libc::mode_t::from(SGID) != 0 { None } else { Some(caller.gid.into()) };
        fchownat(folder.as_fd(), name, Some(caller.uid.into()), group, AtFlags::AT_SYMLINK_NOFOLLOW).map_err(no)
    }

    pub(super) fn change_mode(&self, path: &Path, mode: libc::mode_t) -> Result<()> {
        use nix::sys::stat::{FchmodatFlags, fchmodat};
        use std::os::fd::AsRawFd;
        let fd = self.base.at(path, OFlag::O_PATH).map_err(no)?;
        // The only way to a file that may not be opened and may by now be a link: by what was opened of it.
        let way = format!("/proc/self/fd/{}", fd.as_raw_fd());
        fchmodat(AT_FDCWD, way.as_str(), Mode::from_bits_truncate(mode), FchmodatFlags::FollowSymlink).map_err(no)
    }
}
