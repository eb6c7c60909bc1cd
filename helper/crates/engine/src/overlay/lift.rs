//! Copying up entries with everything in them, before they are moved: one after the other, so that nobody has to wait
//! for all of it. Nobody sees any of that: what is copied up is what was seen before.

use std::ffi::OsStr;

use super::copy_up::ALL;
use super::{Found, Overlay, Place};
use crate::error::{Error, Result};
use crate::files::Held;
use crate::filesystem::{Attr, FileSystem, Ino, Kind};

impl Overlay {
    /// What finds no room, or has a name that no database can hold, is refused before anything is copied.
    pub(super) fn lift_all(&self, entries: &[((Ino, &OsStr), Found)]) -> Result<()> {
        let entries = entries.iter().filter(|(_, found)| found.below.is_some());
        let mut more = Held::default();
        for ((_, name), found) in entries.clone() {
            self.weigh(name, found, &mut more)?;
        }
        if more != Held::default() {
            self.files.must_fit(more)?;
        }
        for ((parent, name), _) in entries {
            self.lift(*parent, name)?;
        }
        Ok(())
    }

    /// Adds what the database does not have of an entry yet.
    fn weigh(&self, name: &OsStr, found: &Found, more: &mut Held) -> Result<()> {
        if found.delta.is_none() {
            name.to_str().ok_or(Error::Errno(libc::EILSEQ))?;
            more.files += 1;
            more.bytes += if found.attr.kind == Kind::File { found.attr.size } else { 0 };
        }
        if let (Kind::Directory, Some(below)) = (found.attr.kind, &found.below) {
            let place = Place { delta: found.delta, base: Some(below.path.clone()) };
            let entries = self.entries(&self.state(), &place)?;
            for (name, found) in entries {
                self.weigh(&name, &found, more)?;
            }
        }
        Ok(())
    }

    fn lift(&self, parent: Ino, name: &OsStr) -> Result<()> {
        let attr = match self.lookup(parent, name) {
            Err(Error::Errno(libc::ENOENT)) => return Ok(()),
            other => other?,
        };
        let lifted = self.risen(attr.ino, ALL).and_then(|_| self.lift_entries(&attr));
        self.forget(attr.ino, 1);
        lifted
    }

    fn lift_entries(&self, folder: &Attr) -> Result<()> {
        let is_shared = self.state().nodes.get(folder.ino).is_some_and(|node| node.below.is_some());
        if folder.kind == Kind::Directory && is_shared {
            for entry in self.readdir(folder.ino)? {
                self.lift(folder.ino, &entry.name)?;
            }
        }
        Ok(())
    }
}
