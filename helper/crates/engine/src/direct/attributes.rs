//! Changing mode, owner, times and length of what lies in the real folder.

use std::os::fd::{AsRawFd, OwnedFd};

use nix::fcntl::{AT_FDCWD, AtFlags, OFlag};
use nix::sys::stat::{FchmodatFlags, Mode, UtimensatFlags, fchmodat, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::fchownat;

use super::{Direct, no};
use crate::error::{Error, Result};
use crate::filesystem::{AttrChange, Ino, Kind, TimeChange};

impl Direct {
    pub(super) fn change_attributes(&self, ino: Ino, change: AttrChange) -> Result<()> {
        if let Some(size) = change.size {
            self.handle(ino, true)?.set_len(size)?;
        }
        let (fd, is_link) = self.any_descriptor(ino)?;
        if change.uid.is_some() || change.gid.is_some() {
            let (uid, gid) = (change.uid.map(Into::into), change.gid.map(Into::into));
            fchownat(&fd, "", uid, gid, AtFlags::AT_EMPTY_PATH | AtFlags::AT_SYMLINK_NOFOLLOW).map_err(no)?;
        }
        let way = format!("/proc/self/fd/{}", fd.as_raw_fd());
        if let Some(perm) = change.perm {
            if is_link {
                return Err(Error::Errno(libc::EOPNOTSUPP));
            }
            let mode = Mode::from_bits_truncate(u32::from(perm) as libc::mode_t);
            fchmodat(AT_FDCWD, way.as_str(), mode, FchmodatFlags::FollowSymlink).map_err(no)?;
        }
        if change.atime.is_some() || change.mtime.is_some() {
            let (atime, mtime) = (time(change.atime), time(change.mtime));
            let set = if is_link {
                let path = self.path(&self.nodes(), ino)?;
                let folder = path.parent().ok_or(Error::Errno(libc::ESTALE))?;
                let name = path.file_name().ok_or(Error::Errno(libc::ESTALE))?;
                let folder = self.base.at(folder, OFlag::O_PATH | OFlag::O_DIRECTORY).map_err(no)?;
                utimensat(&folder, name, &atime, &mtime, UtimensatFlags::NoFollowSymlink)
            } else {
                utimensat(AT_FDCWD, way.as_str(), &atime, &mtime, UtimensatFlags::FollowSymlink)
            };
            set.map_err(no)?;
        }
        Ok(())
    }

    /// Of what is open that one, for it may have no name; else one that needs no right to it. Also says whether it is a
    /// symbolic link.
    fn any_descriptor(&self, ino: Ino) -> Result<(OwnedFd, bool)> {
        let nodes = self.nodes();
        let node = nodes.get(ino).ok_or(Error::Errno(libc::ESTALE))?;
        if let Some(handle) = &node.file {
            return Ok((handle.file.try_clone()?.into(), false));
        }
        let path = self.path(&nodes, ino)?;
        let fd = self.base.at(&path, OFlag::O_PATH).map_err(no)?;
        Ok((fd, node.id.kind == Kind::Symlink))
    }
}

fn time(change: Option<TimeChange>) -> TimeSpec {
    match change {
        None => TimeSpec::UTIME_OMIT,
        Some(TimeChange::Now) => TimeSpec::UTIME_NOW,
        Some(TimeChange::At(at)) => TimeSpec::new(at.sec, i64::from(at.nsec)),
    }
}
