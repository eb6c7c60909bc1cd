//! Files of the real folder that have no name yet. Where its file system knows such files, nobody ever sees one; elsewhere it
//! has a name of ours until then.

use std::ffi::OsStr;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, RenameFlags, openat, renameat2};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{UnlinkatFlags, fchown, linkat, unlinkat};

use super::nodes::Handle;
use super::parts::part_of;
use super::{Direct, no};
use crate::error::{Error, Result};
use crate::filesystem::{Attr, FileSystem, Ino, Kind, NewNode};
use crate::overlay::Base;

impl Direct {
    pub(super) fn make_draft(&self, directory: Ino, new: NewNode) -> Result<Attr> {
        if new.kind != Kind::File {
            return Err(Error::Errno(libc::EINVAL));
        }
        let folder = {
            let nodes = self.nodes();
            let path = self.directory(&nodes, directory)?;
            self.base.at(&path, OFlag::O_PATH | OFlag::O_DIRECTORY).map_err(no)?
        };
        let flags = OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC;
        let file = match openat(&folder, ".", flags, Mode::from_bits_truncate(0o600)) {
            Ok(file) => file,
            // A file system that has none, or a kernel that takes this for the opening of a folder.
            Err(Errno::EOPNOTSUPP | Errno::EISDIR) => return self.named_draft(directory, new),
            Err(errno) => return Err(no(errno)),
        };
        let above = nix::sys::stat::fstat(&folder).map_err(no)?;
        let me = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
        if me.0 == 0 && me != (new.caller.uid, new.caller.gid) {
            // Else the folder has passed on its group.
            let group = (above.st_mode & libc::S_ISGID == 0).then(|| new.caller.gid.into());
            fchown(&file, Some(new.caller.uid.into()), group).map_err(no)?;
        }
        fchmod(&file, Mode::from_bits_truncate(libc::mode_t::from(new.perm & 0o7777))).map_err(no)?;
        let file = Arc::new(file.into());
        let id = Base::stat_open(&file)?.id;
        let mut nodes = self.nodes();
        let number = nodes.hold(id, None);
        if let Some(node) = nodes.get_mut(number) {
            node.file = Some(Handle { file, writes: true });
        }
        drop(nodes);
        self.getattr(number)
    }

    fn named_draft(&self, directory: Ino, new: NewNode) -> Result<Attr> {
        let name = part_of(OsStr::new(""));
        let attr = self.make_part(directory, &name, new)?;
        if let Some(node) = self.nodes().get_mut(attr.ino) {
            node.draft = Some((directory, name));
        }
        Ok(attr)
    }

    pub(super) fn name_draft(&self, draft: Ino, parent: Ino, name: &OsStr) -> Result<()> {
        let mut nodes = self.nodes();
        let (folder, path) = self.place(&nodes, parent, name)?;
        self.refuse(name, &path)?;
        let replaced = self.child(&nodes, parent, name)?;
        if replaced.is_some_and(|replaced| replaced.id.kind == Kind::Directory) {
            return Err(Error::Errno(libc::EISDIR));
        }
        let node = nodes.get_mut(draft).ok_or(Error::Errno(libc::ESTALE))?;
        if let Some((directory, part)) = node.draft.take() {
            drop(nodes);
            return self.move_entry((directory, &part), (parent, name), crate::filesystem::Rename::Replace);
        }
        let file = node.file.as_ref().filter(|_| node.names.is_empty()).ok_or(Error::Errno(libc::EINVAL))?.file.clone();
        let way = format!("/proc/self/fd/{}", file.as_raw_fd());
        let link = |name: &OsStr| linkat(AT_FDCWD, way.as_str(), &folder, name, AtFlags::AT_SYMLINK_FOLLOW);
        match link(name) {
            Err(Errno::EEXIST) => {
                // A link takes nobody's name, but a rename does.
                let part = part_of(name);
                let noted = path.with_file_name(&part);
                self.note_part(&noted)?;
                let taken = link(&part).and_then(|()| {
                    renameat2(&folder, part.as_os_str(), &folder, name, RenameFlags::empty()).inspect_err(|_| {
                        let _ = unlinkat(&folder, part.as_os_str(), UnlinkatFlags::NoRemoveDir);
                    })
                });
                self.forget_part(&noted)?;
                taken.map_err(no)?;
            }
            linked => linked.map_err(no)?,
        }
        if let Some(replaced) = replaced {
            let lost = nodes.number(&replaced.id);
            nodes.lost(lost, parent, name);
            if let Some(node) = nodes.get_mut(lost).filter(|_| replaced.links <= 1) {
                node.ghost = Some(Attr { ino: lost, nlink: 0, ..replaced.attr });
            }
        }
        nodes.named(draft, parent, name);
        Ok(())
    }

    /// Of a draft that nobody refers to any more, and that has a name of ours.
    pub(super) fn drop_draft(&self, draft: Option<(Ino, std::ffi::OsString)>) {
        let Some((directory, part)) = draft else { return };
        if let Err(error) = self.unlink(directory, &part) {
            tracing::warn!(%error, part = %part.display(), "a file that was not finished stays until the next start");
        }
    }
}
