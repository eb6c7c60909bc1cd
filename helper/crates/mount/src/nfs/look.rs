//! The procedures that change nothing.

use std::os::unix::ffi::OsStrExt;

use nixbox_engine::{Attr, Kind, StatFs};

use super::access::{EXECUTE, Identity, READ, WRITE};
use super::words::Status;
use super::xdr::{Malformed, Reader, Writer};
use super::{Export, LARGEST_TRANSFER, Subject};

pub(super) const LONGEST_HANDLE: usize = 64;
/// Longer than any name can be, so that the engine says what is wrong with one.
pub(super) const LONGEST_NAME: usize = 4096;

const ACCESS_READ: u32 = 1;
const ACCESS_LOOKUP: u32 = 2;
const ACCESS_MODIFY: u32 = 4;
const ACCESS_EXTEND: u32 = 8;
const ACCESS_DELETE: u32 = 16;
const ACCESS_EXECUTE: u32 = 32;

const HARD_LINKS: u32 = 1;
const SYMBOLIC_LINKS: u32 = 2;
const HOMOGENEOUS: u32 = 8;
const TIMES_CAN_BE_SET: u32 = 16;

pub(super) type Done = Result<(), Malformed>;

impl Export {
    pub(super) fn getattr(&self, _: &Identity, arguments: &mut Reader<'_>, out: &mut Writer) -> Done {
        let handle = arguments.opaque(LONGEST_HANDLE)?;
        arguments.end()?;
        match self.subject(handle) {
            Ok(subject) => {
                out.ok();
                out.attr(&subject.attr);
            }
            Err(status) => out.status(status),
        }
        Ok(())
    }

    pub(super) fn lookup(&self, who: &Identity, arguments: &mut Reader<'_>, out: &mut Writer) -> Done {
        let (folder, name) = (arguments.opaque(LONGEST_HANDLE)?, arguments.opaque(LONGEST_NAME)?);
        arguments.end()?;
        let folder = self.subject(folder);
        match folder.as_ref().map_err(|status| *status).and_then(|folder| self.child(who, folder, name)) {
            Ok(found) => {
                out.ok();
                out.opaque(&self.handles.encode(&found.handle));
                out.maybe_attr(Some(&found.attr));
            }
            Err(status) => out.status(status),
        }
        out.maybe_attr(folder.ok().map(|folder| folder.attr).as_ref());
        Ok(())
    }

    pub(super) fn access(&self, who: &Identity, arguments: &mut Reader<'_>, out: &mut Writer) -> Done {
        let (handle, wanted) = (arguments.opaque(LONGEST_HANDLE)?, arguments.u32()?);
        arguments.end()?;
        match self.subject(handle) {
            Ok(subject) => {
                out.ok();
                out.maybe_attr(Some(&subject.attr));
                out.u32(wanted & self.allowed(who, &subject.attr));
            }
            Err(status) => {
                out.status(status);
                out.maybe_attr(None);
            }
        }
        Ok(())
    }

    fn allowed(&self, who: &Identity, attr: &Attr) -> u32 {
        let mut allowed = 0;
        let mut allow = |mode, words| allowed |= if who.may(attr, mode) { words } else { 0 };
        allow(READ, ACCESS_READ);
        if attr.kind == Kind::Directory {
            allow(EXECUTE, ACCESS_LOOKUP);
            allow(WRITE | EXECUTE, ACCESS_MODIFY | ACCESS_EXTEND | ACCESS_DELETE);
        } else {
            allow(EXECUTE, ACCESS_EXECUTE);
            allow(WRITE, ACCESS_MODIFY | ACCESS_EXTEND);
        }
        if self.read_only { allowed & (ACCESS_READ | ACCESS_LOOKUP | ACCESS_EXECUTE) } else { allowed }
    }

    pub(super) fn readlink(&self, _: &Identity, arguments: &mut Reader<'_>, out: &mut Writer) -> Done {
        let handle = arguments.opaque(LONGEST_HANDLE)?;
        arguments.end()?;
        let subject = self.subject(handle);
        let target = subject.as_ref().map_err(|status| *status).and_then(|link| match link.attr.kind {
            Kind::Symlink => Ok(self.tree.readlink(link.handle.ino)?),
            _ => Err(Status::Inval),
        });
        let attr = subject.ok().map(|subject| subject.attr);
        match target {
            Ok(target) => {
                out.ok();
                out.maybe_attr(attr.as_ref());
                out.opaque(target.as_bytes());
            }
            Err(status) => {
                out.status(status);
                out.maybe_attr(attr.as_ref());
            }
        }
        Ok(())
    }

    pub(super) fn read(&self, who: &Identity, arguments: &mut Reader<'_>, out: &mut Writer) -> Done {
        let (handle, offset, count) = (arguments.opaque(LONGEST_HANDLE)?, arguments.u64()?, arguments.u32()?);
        arguments.end()?;
        let count = count.min(LARGEST_TRANSFER);
        let file = self.subject(handle);
        let content = file.as_ref().map_err(|status| *status).and_then(|file| self.content(who, file, offset, count));
        let attr = file.ok().map(|file| file.attr);
        match content {
            Ok(content) => {
                let end = offset.saturating_add(content.len() as u64);
                out.ok();
                out.maybe_attr(attr.as_ref());
                out.u32(content.len() as u32);
                out.flag(content.len() < count as usize || attr.is_some_and(|attr| end >= attr.size));
                out.opaque(&content);
            }
            Err(status) => {
                out.status(status);
                out.maybe_attr(attr.as_ref());
            }
        }
        Ok(())
    }

    fn content(&self, who: &Identity, file: &Subject, offset: u64, count: u32) -> Result<Vec<u8>, Status> {
        match file.attr.kind {
            Kind::File if who.may_read(&file.attr) => {}
            Kind::File => return Err(Status::Access),
            Kind::Directory => return Err(Status::IsDir),
            _ => return Err(Status::Inval),
        }
        Ok(self.tree.read(file.handle.ino, offset, count)?)
    }

    pub(super) fn fsstat(&self, _: &Identity, arguments: &mut Reader<'_>, out: &mut Writer) -> Done {
        self.about_all(arguments, out, |out, room| {
            let bytes = |blocks: u64| blocks.saturating_mul(u64::from(room.block_size));
            for value in [bytes(room.blocks), bytes(room.blocks_free), bytes(room.blocks_free)] {
                out.u64(value);
            }
            for value in [room.files, room.files_free, room.files_free] {
                out.u64(value);
            }
            // It may change at any time.
            out.u32(0);
        })
    }

    pub(super) fn fsinfo(&self, _: &Identity, arguments: &mut Reader<'_>, out: &mut Writer) -> Done {
        self.about_all(arguments, out, |out, room| {
            for _reading_then_writing in 0..2 {
                out.u32(LARGEST_TRANSFER);
                out.u32(LARGEST_TRANSFER);
                out.u32(room.block_size);
            }
            out.u32(super::pages::PREFERRED);
            out.u64(i64::MAX as u64);
            // Times are kept to the nanosecond.
            out.u32(0);
            out.u32(1);
            out.u32(HARD_LINKS | SYMBOLIC_LINKS | HOMOGENEOUS | TIMES_CAN_BE_SET);
        })
    }

    pub(super) fn pathconf(&self, _: &Identity, arguments: &mut Reader<'_>, out: &mut Writer) -> Done {
        self.about_all(arguments, out, |out, room| {
            out.u32(u32::MAX);
            out.u32(room.name_max);
            let (no_truncation, chown_is_roots, case_insensitive, case_preserving) = (true, true, false, true);
            for is_so in [no_truncation, chown_is_roots, case_insensitive, case_preserving] {
                out.flag(is_so);
            }
        })
    }

    fn about_all(&self, arguments: &mut Reader<'_>, out: &mut Writer, tell: impl FnOnce(&mut Writer, &StatFs)) -> Done {
        let handle = arguments.opaque(LONGEST_HANDLE)?;
        arguments.end()?;
        let known = self.subject(handle).and_then(|subject| Ok((subject.attr, self.tree.statfs()?)));
        match known {
            Ok((attr, room)) => {
                out.ok();
                out.maybe_attr(Some(&attr));
                tell(out, &room);
            }
            Err(status) => {
                out.status(status);
                out.maybe_attr(None);
            }
        }
        Ok(())
    }
}
