//! The procedures that change something: checked against the mode bits, done, and told to the mount's kernel.

use nixbox_engine::{Attr, AttrChange, Kind, NewNode, Rename, TimeChange};

use super::access::{Identity, SGID, SUID};
use super::look::{Done, LONGEST_HANDLE, LONGEST_NAME};
use super::words::{Status, same_time};
use super::xdr::{Malformed, Reader, Writer};
use super::{Export, LARGEST_TRANSFER, Subject, name_of};

/// How long a write may wait to be on disk.
const UNSTABLE: u32 = 0;
const FILE_SYNC: u32 = 2;

const UNCHECKED: u32 = 0;
const GUARDED: u32 = 1;
const EXCLUSIVE: u32 = 2;

/// Longer than any link can lead, so that the engine says what is wrong with one.
const LONGEST_TARGET: usize = 8192;

type Changed<T = ()> = Result<T, Status>;

/// A new entry, and what it is to be.
enum New<'a> {
    Node(Kind, u32),
    Link(&'a [u8]),
}

/// How a file is made where there may be one already.
enum How {
    /// What is there is taken, and changed so.
    Unchecked(AttrChange),
    Guarded(AttrChange),
    /// The one that this client made is known by these eight bytes.
    Exclusive([u8; 8]),
}

impl Export {
    pub(super) fn setattr(&self, who: &Identity, arguments: &mut Reader<'_>, out: &mut Writer) -> Done {
        let handle = arguments.opaque(LONGEST_HANDLE)?;
        let change = arguments.attr_change()?;
        let only_if = arguments.option(Reader::time)?;
        arguments.end()?;
        self.with_subject(handle, out, |subject| {
            if only_if.is_some_and(|ctime| !same_time(subject.attr.ctime, ctime)) {
                return Err(Status::NotSync);
            }
            self.change(who, subject, change)
        });
        Ok(())
    }

    /// What the kernel does for a mount: who may change what, and that bits which lend rights do not outlive it.
    fn change(&self, who: &Identity, subject: &Subject, mut change: AttrChange) -> Changed {
        let attr = &subject.attr;
        // Said once more what is so, nothing is asked for.
        change.uid = change.uid.filter(|uid| *uid != attr.uid);
        change.gid = change.gid.filter(|gid| *gid != attr.gid);
        let own = change.perm.is_some() || change.gid.is_some();
        let time = |time: Option<TimeChange>| match time {
            None => true,
            Some(TimeChange::Now) => who.may_write(attr),
            Some(TimeChange::At(_)) => who.owns(attr),
        };
        if change.uid.is_some() && !who.is_root()
            || own && !who.owns(attr)
            || change.gid.is_some_and(|gid| !who.is_in(gid))
            || !(time(change.atime) && time(change.mtime))
        {
            return Err(Status::Perm);
        }
        if change.size.is_some() && !who.may_write(attr) {
            return Err(Status::Access);
        }
        if !who.is_root() {
            let changes_owner = change.uid.is_some() || change.gid.is_some();
            match &mut change.perm {
                Some(perm) if !who.is_in(change.gid.unwrap_or(attr.gid)) => *perm &= !SGID,
                None if changes_owner || change.size.is_some() => change.perm = unprivileged(attr),
                _ => {}
            }
        }
        self.tree.setattr(subject.handle.ino, change)?;
        self.witness.inode_changed(subject.handle.ino);
        Ok(())
    }

    pub(super) fn write(&self, who: &Identity, arguments: &mut Reader<'_>, out: &mut Writer) -> Done {
        let (handle, offset) = (arguments.opaque(LONGEST_HANDLE)?, arguments.u64()?);
        let (count, stable) = (arguments.u32()?, arguments.u32()?);
        let data = arguments.opaque(LARGEST_TRANSFER as usize)?;
        arguments.end()?;
        if stable > FILE_SYNC || count as usize > data.len() {
            return Err(Malformed);
        }
        let data = &data[..count as usize];
        let written = self.with_subject(handle, out, |subject| self.write_to(who, subject, offset, data, stable));
        if let Some(written) = written {
            out.u32(written);
            out.u32(if stable == UNSTABLE { UNSTABLE } else { FILE_SYNC });
            out.u64(self.verifier);
        }
        Ok(())
    }

    fn write_to(&self, who: &Identity, file: &Subject, offset: u64, data: &[u8], stable: u32) -> Changed<u32> {
        let (ino, attr) = (file.handle.ino, &file.attr);
        match attr.kind {
            Kind::File if who.may_write(attr) => {}
            Kind::File => return Err(Status::Access),
            _ => return Err(Status::Inval),
        }
        let written = self.tree.write(ino, offset, data)?;
        if !who.is_root()
            && let Some(perm) = unprivileged(attr)
        {
            self.tree.setattr(ino, AttrChange { perm: Some(perm), ..AttrChange::default() })?;
        }
        self.witness.inode_changed(ino);
        if stable != UNSTABLE {
            self.tree.fsync(ino)?;
        }
        Ok(written)
    }

    pub(super) fn commit(&self, _: &Identity, arguments: &mut Reader<'_>, out: &mut Writer) -> Done {
        let (handle, _, _) = (arguments.opaque(LONGEST_HANDLE)?, arguments.u64()?, arguments.u32()?);
        arguments.end()?;
        let committed = self.with_subject(handle, out, |subject| Ok(self.tree.fsync(subject.handle.ino)?));
        if committed.is_some() {
            out.u64(self.verifier);
        }
        Ok(())
    }

    /// Status and attributes before and after; the rest of a result that is none of an error follows.
    fn with_subject<T>(&self, handle: &[u8], out: &mut Writer, work: impl FnOnce(&Subject) -> Changed<T>) -> Option<T> {
        let subject = self.subject(handle);
        let done = subject.as_ref().map_err(|status| *status).and_then(work);
        match &done {
            Ok(_) => out.ok(),
            Err(status) => out.status(*status),
        }
        let before = subject.ok().map(|subject| subject.attr);
        let after = before.and_then(|_| self.again(handle));
        out.before_and_after(before.as_ref(), after.as_ref());
        done.ok()
    }

    pub(super) fn create(&self, who: &Identity, arguments: &mut Reader<'_>, out: &mut Writer) -> Done {
        let (folder, name) = (arguments.opaque(LONGEST_HANDLE)?, arguments.opaque(LONGEST_NAME)?);
        let how = match arguments.u32()? {
            UNCHECKED => How::Unchecked(arguments.attr_change()?),
            GUARDED => How::Guarded(arguments.attr_change()?),
            EXCLUSIVE => How::Exclusive(arguments.array()?),
            _ => return Err(Malformed),
        };
        arguments.end()?;
        self.made(folder, out, |folder| self.create_in(who, folder, name, &how));
        Ok(())
    }

    fn create_in(&self, who: &Identity, folder: &Subject, name: &[u8], how: &How) -> Changed<Subject> {
        let node = New::Node(Kind::File, 0);
        let change = match how {
            How::Unchecked(change) | How::Guarded(change) => *change,
            How::Exclusive(mark) => {
                // A time that a client may set itself, once it knows that the file is its own.
                let [atime, mtime] = marks(mark);
                let time = |sec| Some(TimeChange::At(nixbox_engine::Time { sec, nsec: 0 }));
                AttrChange { perm: Some(0o600), atime: time(atime), mtime: time(mtime), ..AttrChange::default() }
            }
        };
        match (self.make(who, folder, name, node, change), how) {
            (Err(Status::Exist), How::Unchecked(_)) => {
                let there = self.child(who, folder, name)?;
                if there.attr.kind != Kind::File {
                    return Err(Status::Exist);
                }
                if change.size.is_some() {
                    self.change(who, &there, AttrChange { size: change.size, ..AttrChange::default() })?;
                }
                Ok(Subject { attr: self.attr(there.handle.ino)?, ..there })
            }
            // Sent again because the answer was lost.
            (Err(Status::Exist), How::Exclusive(mark)) => {
                let there = self.child(who, folder, name)?;
                let [atime, mtime] = marks(mark);
                let is_it = there.attr.kind == Kind::File
                    && (there.attr.atime.sec, there.attr.mtime.sec, there.attr.size) == (atime, mtime, 0);
                if is_it { Ok(there) } else { Err(Status::Exist) }
            }
            (made, _) => made,
        }
    }

    pub(super) fn mkdir(&self, who: &Identity, arguments: &mut Reader<'_>, out: &mut Writer) -> Done {
        let (folder, name) = (arguments.opaque(LONGEST_HANDLE)?, arguments.opaque(LONGEST_NAME)?);
        let change = arguments.attr_change()?;
        arguments.end()?;
        self.made(folder, out, |folder| self.make(who, folder, name, New::Node(Kind::Directory, 0), change));
        Ok(())
    }

    pub(super) fn symlink(&self, who: &Identity, arguments: &mut Reader<'_>, out: &mut Writer) -> Done {
        let (folder, name) = (arguments.opaque(LONGEST_HANDLE)?, arguments.opaque(LONGEST_NAME)?);
        // A link has no mode of its own, and its times are those of now.
        let _ = arguments.attr_change()?;
        let target = arguments.opaque(LONGEST_TARGET)?;
        arguments.end()?;
        let nothing = AttrChange::default();
        self.made(folder, out, |folder| self.make(who, folder, name, New::Link(target), nothing));
        Ok(())
    }

    pub(super) fn mknod(&self, who: &Identity, arguments: &mut Reader<'_>, out: &mut Writer) -> Done {
        let (folder, name) = (arguments.opaque(LONGEST_HANDLE)?, arguments.opaque(LONGEST_NAME)?);
        let kind = match arguments.u32()? {
            3 => Some(Kind::BlockDevice),
            4 => Some(Kind::CharDevice),
            6 => Some(Kind::Socket),
            7 => Some(Kind::Fifo),
            _ => None,
        };
        let change = if kind.is_some() { arguments.attr_change()? } else { AttrChange::default() };
        let is_device = matches!(kind, Some(Kind::BlockDevice | Kind::CharDevice));
        let (major, minor) = if is_device { (arguments.u32()?, arguments.u32()?) } else { (0, 0) };
        if kind.is_some() {
            arguments.end()?;
        }
        self.made(folder, out, |folder| {
            if is_device && !who.is_root() {
                return Err(Status::Perm);
            }
            let device = u32::try_from(libc::makedev(major, minor)).map_err(|_| Status::Inval)?;
            self.make(who, folder, name, New::Node(kind.ok_or(Status::BadType)?, device), change)
        });
        Ok(())
    }

    fn make(
        &self,
        who: &Identity,
        folder: &Subject,
        name: &[u8],
        new: New<'_>,
        change: AttrChange,
    ) -> Changed<Subject> {
        may_change_entries(who, folder)?;
        let (parent, name_here) = (folder.handle.ino, name_of(name));
        let attr = match new {
            New::Node(kind, rdev) => {
                let usual = if kind == Kind::Directory { 0o755 } else { 0o644 };
                let perm = change.perm.unwrap_or(usual);
                self.tree.create(parent, name_here, NewNode { kind, perm, rdev, caller: who.caller() })?
            }
            New::Link(target) => self.tree.symlink(parent, name_here, name_of(target), who.caller())?,
        };
        let made = self.kept(folder, attr);
        let rest =
            AttrChange { perm: None, uid: None, gid: None, size: change.size.filter(|size| *size > 0), ..change };
        if rest != AttrChange::default() {
            self.tree.setattr(made.handle.ino, rest)?;
        }
        self.entry_changed(parent, name);
        Ok(Subject { attr: self.attr(made.handle.ino)?, ..made })
    }

    /// The result of whatever makes an entry.
    fn made(&self, folder: &[u8], out: &mut Writer, make: impl FnOnce(&Subject) -> Changed<Subject>) {
        let start = out.len();
        out.ok();
        let before = self.subject(folder);
        match before.as_ref().map_err(|status| *status).and_then(make) {
            Ok(made) => {
                out.flag(true);
                out.opaque(&self.handles.encode(&made.handle));
                out.maybe_attr(Some(&made.attr));
            }
            Err(status) => {
                out.truncate(start);
                out.status(status);
            }
        }
        self.folder_then_and_now(folder, before, out);
    }

    fn folder_then_and_now(&self, handle: &[u8], before: Result<Subject, Status>, out: &mut Writer) {
        let before = before.ok().map(|folder| folder.attr);
        let after = before.and_then(|_| self.again(handle));
        out.before_and_after(before.as_ref(), after.as_ref());
    }

    pub(super) fn remove(&self, who: &Identity, arguments: &mut Reader<'_>, out: &mut Writer) -> Done {
        self.take_away(who, arguments, out, false)
    }

    pub(super) fn rmdir(&self, who: &Identity, arguments: &mut Reader<'_>, out: &mut Writer) -> Done {
        self.take_away(who, arguments, out, true)
    }

    fn take_away(&self, who: &Identity, arguments: &mut Reader<'_>, out: &mut Writer, folder_too: bool) -> Done {
        let (handle, name) = (arguments.opaque(LONGEST_HANDLE)?, arguments.opaque(LONGEST_NAME)?);
        arguments.end()?;
        let folder = self.subject(handle);
        let gone = folder.as_ref().map_err(|status| *status).and_then(|folder| {
            let there = self.entry_to_take(who, folder, name)?;
            let (parent, name_here) = (folder.handle.ino, name_of(name));
            match folder_too {
                true => self.tree.rmdir(parent, name_here)?,
                false => self.tree.unlink(parent, name_here)?,
            }
            self.entry_changed(parent, name);
            self.witness.inode_changed(there.handle.ino);
            Ok(())
        });
        match gone {
            Ok(()) => out.ok(),
            Err(status) => out.status(status),
        }
        self.folder_then_and_now(handle, folder, out);
        Ok(())
    }

    fn entry_to_take(&self, who: &Identity, folder: &Subject, name: &[u8]) -> Changed<Subject> {
        may_change_entries(who, folder)?;
        if matches!(name, b"." | b"..") {
            return Err(Status::Inval);
        }
        let there = self.child(who, folder, name)?;
        if who.may_take(&folder.attr, &there.attr) { Ok(there) } else { Err(Status::Access) }
    }

    pub(super) fn rename(&self, who: &Identity, arguments: &mut Reader<'_>, out: &mut Writer) -> Done {
        let (old_folder, old) = (arguments.opaque(LONGEST_HANDLE)?, arguments.opaque(LONGEST_NAME)?);
        let (new_folder, new) = (arguments.opaque(LONGEST_HANDLE)?, arguments.opaque(LONGEST_NAME)?);
        arguments.end()?;
        let (from, to) = (self.subject(old_folder), self.subject(new_folder));
        let moved = match (&from, &to) {
            (Ok(from), Ok(to)) => self.move_entry(who, (from, old), (to, new)),
            (Err(status), _) | (_, Err(status)) => Err(*status),
        };
        match moved {
            Ok(()) => out.ok(),
            Err(status) => out.status(status),
        }
        self.folder_then_and_now(old_folder, from, out);
        self.folder_then_and_now(new_folder, to, out);
        Ok(())
    }

    fn move_entry(&self, who: &Identity, from: (&Subject, &[u8]), to: (&Subject, &[u8])) -> Changed {
        let moved = self.entry_to_take(who, from.0, from.1)?;
        let replaced = match self.entry_to_take(who, to.0, to.1) {
            Ok(replaced) => Some(replaced),
            Err(Status::NoEnt) => None,
            Err(status) => return Err(status),
        };
        let (old, new) = ((from.0.handle.ino, name_of(from.1)), (to.0.handle.ino, name_of(to.1)));
        self.tree.rename(old, new, Rename::Replace)?;
        self.entry_changed(old.0, from.1);
        self.entry_changed(new.0, to.1);
        for subject in [Some(moved), replaced].into_iter().flatten() {
            self.witness.inode_changed(subject.handle.ino);
        }
        Ok(())
    }

    pub(super) fn link(&self, who: &Identity, arguments: &mut Reader<'_>, out: &mut Writer) -> Done {
        let file = arguments.opaque(LONGEST_HANDLE)?;
        let (folder, name) = (arguments.opaque(LONGEST_HANDLE)?, arguments.opaque(LONGEST_NAME)?);
        arguments.end()?;
        let (subject, place) = (self.subject(file), self.subject(folder));
        let linked = match (&subject, &place) {
            (Ok(subject), Ok(place)) => self.link_to(who, subject, place, name),
            (Err(status), _) | (_, Err(status)) => Err(*status),
        };
        match linked {
            Ok(()) => out.ok(),
            Err(status) => out.status(status),
        }
        out.maybe_attr(subject.ok().and_then(|_| self.again(file)).as_ref());
        self.folder_then_and_now(folder, place, out);
        Ok(())
    }

    fn link_to(&self, who: &Identity, subject: &Subject, place: &Subject, name: &[u8]) -> Changed {
        may_change_entries(who, place)?;
        let attr = self.tree.link(subject.handle.ino, place.handle.ino, name_of(name))?;
        self.kept(place, attr);
        self.entry_changed(place.handle.ino, name);
        self.witness.inode_changed(attr.ino);
        Ok(())
    }
}

fn may_change_entries(who: &Identity, folder: &Subject) -> Changed {
    match folder.attr.kind {
        Kind::Directory if who.may_change_entries(&folder.attr) => Ok(()),
        Kind::Directory => Err(Status::Access),
        _ => Err(Status::NotDir),
    }
}

/// The mode that a file has once somebody else has written to it, where that is another one.
fn unprivileged(attr: &Attr) -> Option<u16> {
    let runs_as_group = attr.perm & 0o010 != 0;
    let lent = SUID | if runs_as_group { SGID } else { 0 };
    (attr.kind == Kind::File && attr.perm & lent != 0).then_some(attr.perm & !lent)
}

/// As times that every client can read.
fn marks(mark: &[u8; 8]) -> [i64; 2] {
    let all = u64::from_be_bytes(*mark);
    [i64::from((all >> 32) as u32), i64::from(all as u32)]
}
