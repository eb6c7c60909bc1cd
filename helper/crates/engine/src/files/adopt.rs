//! Taking in what another layer holds: with the times and the owner that it has there.

use std::ffi::OsStr;

use super::inode;
use super::limits::Held;
use super::names;
use super::tree::Tree;
use crate::error::{Error, Result};
use crate::filesystem::{Attr, Ino, Kind};

impl Tree<'_> {
    /// A new inode, its content still to come; without a place it has no name yet, and one that never gets a name
    /// is removed at the next open.
    pub(crate) fn adopt(&mut self, attr: &Attr, target: Option<&OsStr>, place: Option<(Ino, &OsStr)>) -> Result<Ino> {
        let one = Held { bytes: 0, files: 1 };
        match attr.kind {
            Kind::Directory => self.charge_anyhow(one),
            _ => self.charge(one)?,
        }
        let ino = self.memory.new_ino(self.store)?;
        let nlink = if attr.kind == Kind::Directory { 2 } else { 0 };
        let size = target.map_or(0, |target| target.len() as u64);
        inode::insert(self.store, &Attr { ino, nlink, size, ..*attr })?;
        if let Some(target) = target {
            let target = names::new_target(target)?;
            let sql = "INSERT INTO fs_symlink (ino, target) VALUES (?, ?)";
            self.store.execute(sql, &[ino.into(), target.into()])?;
        }
        if let Some((parent, name)) = place {
            self.name_adopted(&Attr { ino, size, ..*attr }, parent, name)?;
        }
        Ok(ino)
    }

    /// Gives an adopted inode its name and its last attributes. The folder's times stay: nothing new is in it.
    pub(crate) fn name_adopted(&mut self, attr: &Attr, parent: Ino, name: &OsStr) -> Result<()> {
        let name = names::new_name(name)?;
        let is_directory = attr.kind == Kind::Directory;
        inode::update(self.store, &Attr { nlink: if is_directory { 2 } else { 1 }, ..*attr })?;
        let mut directory = self.directory(parent)?;
        if self.child(parent, name)?.is_some() {
            return Err(Error::Errno(libc::EEXIST));
        }
        self.add_entry(parent, name, attr.ino)?;
        if is_directory {
            directory.nlink += 1;
            inode::update(self.store, &directory)?;
        }
        Ok(())
    }

    /// The attributes of an adopted inode that has a name, now that its content is there.
    pub(crate) fn settle_adopted(&mut self, attr: &Attr) -> Result<()> {
        inode::update(self.store, &Attr { nlink: 1, ..*attr })
    }

    /// A name in it went, which was another layer's.
    pub(crate) fn touch_directory(&mut self, ino: Ino) -> Result<()> {
        let directory = self.directory(ino)?;
        inode::entries_changed(self.store, directory, crate::filesystem::Time::now(), 0)
    }
}
