//! Reading folders.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use nixbox_engine::{Attr, Ino, Kind};

use super::access::{EXECUTE, Identity, READ};
use super::listings::{DOT, DOT_DOT};
use super::look::{Done, LONGEST_HANDLE};
use super::words::{ATTR_SIZE, Status};
use super::xdr::{Reader, Writer, opaque_size};
use super::{Export, Subject};

/// How much of a folder a client had best ask for at once.
pub(super) const PREFERRED: u32 = 64 * 1024;
const LARGEST: u32 = 256 * 1024;
/// What stands in an answer beside the entries.
const FRAME: usize = 4 + 4 + ATTR_SIZE + 8 + 4 + 4;

/// How many bytes an answer may have: of names alone, and of everything.
struct Room {
    names: usize,
    all: usize,
}

impl Export {
    pub(super) fn readdir(&self, who: &Identity, arguments: &mut Reader<'_>, out: &mut Writer) -> Done {
        let (handle, cookie, _) = (arguments.opaque(LONGEST_HANDLE)?, arguments.u64()?, arguments.u64()?);
        let count = arguments.u32()?.min(LARGEST) as usize;
        arguments.end()?;
        self.page(who, handle, cookie, Room { names: usize::MAX, all: count }, false, out);
        Ok(())
    }

    pub(super) fn readdirplus(&self, who: &Identity, arguments: &mut Reader<'_>, out: &mut Writer) -> Done {
        let (handle, cookie, _) = (arguments.opaque(LONGEST_HANDLE)?, arguments.u64()?, arguments.u64()?);
        let (names, all) = (arguments.u32()? as usize, arguments.u32()?.min(LARGEST) as usize);
        arguments.end()?;
        self.page(who, handle, cookie, Room { names, all }, true, out);
        Ok(())
    }

    fn page(&self, who: &Identity, handle: &[u8], cookie: u64, room: Room, plus: bool, out: &mut Writer) {
        let start = out.len();
        let folder = self.subject(handle);
        let attr = folder.as_ref().ok().map(|folder| folder.attr);
        out.ok();
        out.maybe_attr(attr.as_ref());
        // Cookies are good for ever.
        out.u64(0);
        let eof = folder.and_then(|folder| self.entries(who, &folder, cookie, room, plus, out));
        match eof {
            Ok(eof) => {
                out.flag(false);
                out.flag(eof);
            }
            Err(status) => {
                out.truncate(start);
                out.status(status);
                out.maybe_attr(attr.as_ref());
            }
        }
    }

    /// Says whether the end was reached.
    fn entries(
        &self,
        who: &Identity,
        folder: &Subject,
        cookie: u64,
        room: Room,
        plus: bool,
        out: &mut Writer,
    ) -> Result<bool, Status> {
        let Subject { handle, attr } = folder;
        if attr.kind != Kind::Directory {
            return Err(Status::NotDir);
        }
        if !who.may(attr, READ) {
            return Err(Status::Access);
        }
        // Attributes of what is in it are seen only by who may go into it.
        let plus_attr = plus && who.may(attr, EXECUTE);
        let mut page = Page { out, room, plus, empty: true };
        let dots = [(DOT, ".", Ok(handle.ino)), (DOT_DOT, "..", self.tree.parent(handle.ino))];
        for (at, name, ino) in dots {
            let ino = ino.unwrap_or(handle.ino);
            if cookie < at && !page.add(OsStr::new(name), ino, at, None) {
                return page.is_full();
            }
        }
        let listing = self.listings.of(self.tree(), handle.ino, cookie > DOT_DOT)?;
        for entry in listing.after(cookie) {
            if !page.has_room_for(&entry.name) {
                return page.is_full();
            }
            let found = match plus_attr.then(|| self.child(who, folder, entry.name.as_bytes())) {
                // Gone since the listing.
                Some(Err(Status::NoEnt)) => continue,
                Some(Ok(found)) => Some((self.handles.encode(&found.handle), found.attr)),
                Some(Err(_)) | None => None,
            };
            let ino = found.as_ref().map_or(entry.ino, |(_, attr)| attr.ino);
            let found = found.as_ref().map(|(handle, attr)| (handle.as_slice(), attr));
            if !page.add(&entry.name, ino, entry.cookie, found) {
                return page.is_full();
            }
        }
        self.listings.done(handle.ino);
        Ok(true)
    }
}

struct Page<'a> {
    out: &'a mut Writer,
    room: Room,
    plus: bool,
    empty: bool,
}

impl Page<'_> {
    /// `false`: there is no more room.
    fn add(&mut self, name: &OsStr, ino: Ino, cookie: u64, found: Option<(&[u8], &Attr)>) -> bool {
        let names = self.names_size(name);
        let plus = match found {
            _ if !self.plus => 0,
            Some((handle, _)) => 4 + ATTR_SIZE + 4 + opaque_size(handle.len()),
            None => 8,
        };
        if FRAME + names + plus > self.room.all || names > self.room.names {
            return false;
        }
        self.room.all -= names + plus;
        self.room.names -= names;
        self.empty = false;
        self.out.flag(true);
        self.out.u64(ino);
        self.out.opaque(name.as_bytes());
        self.out.u64(cookie);
        if self.plus {
            self.out.maybe_attr(found.map(|(_, attr)| attr));
            self.out.flag(found.is_some());
            if let Some((handle, _)) = found {
                self.out.opaque(handle);
            }
        }
        true
    }

    fn names_size(&self, name: &OsStr) -> usize {
        4 + 8 + opaque_size(name.len()) + 8
    }

    /// Whether it is worth looking the entry up.
    fn has_room_for(&self, name: &OsStr) -> bool {
        let names = self.names_size(name);
        FRAME + names + 8 <= self.room.all && names <= self.room.names
    }

    fn is_full(&self) -> Result<bool, Status> {
        if self.empty { Err(Status::TooSmall) } else { Ok(false) }
    }
}
