//! The tree as people see it: changed only by leave of the [`Gate`].

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use nixbox_engine::{
    Allocate, Attr, AttrChange, Caller, Entry, FileSystem, Ino, Leave, Listing, NewNode, Opened, Rename, Result,
    StatFs, Witness,
};

use super::gate::Gate;

pub(super) struct Gated {
    pub(super) tree: Arc<dyn FileSystem>,
    pub(super) gate: Arc<Gate>,
}

impl Gated {
    fn change<T>(&self, change: impl FnOnce(&dyn FileSystem) -> Result<T>) -> Result<T> {
        self.gate.ask()?;
        let changed = change(&*self.tree)?;
        self.gate.tell();
        Ok(changed)
    }
}

/// Every method of the trait stands here, those too that have an answer of their own there: see the test below.
impl FileSystem for Gated {
    fn lookup(&self, parent: Ino, name: &OsStr) -> Result<Attr> {
        self.tree.lookup(parent, name)
    }

    fn lookup_all(&self, parent: Ino, listing: &Listing, some: Range<usize>) -> Vec<Option<Attr>> {
        self.tree.lookup_all(parent, listing, some)
    }

    fn forget(&self, ino: Ino, references: u64) {
        self.tree.forget(ino, references);
    }

    fn getattr(&self, ino: Ino) -> Result<Attr> {
        self.tree.getattr(ino)
    }

    fn setattr(&self, ino: Ino, change: AttrChange) -> Result<Attr> {
        self.change(|tree| tree.setattr(ino, change))
    }

    fn readlink(&self, ino: Ino) -> Result<OsString> {
        self.tree.readlink(ino)
    }

    fn create(&self, parent: Ino, name: &OsStr, node: NewNode) -> Result<Attr> {
        self.change(|tree| tree.create(parent, name, node))
    }

    fn draft(&self, directory: Ino, node: NewNode) -> Result<Attr> {
        self.gate.ask()?;
        // Nothing has changed before it is published.
        self.tree.draft(directory, node)
    }

    fn publish(&self, draft: Ino, parent: Ino, name: &OsStr) -> Result<()> {
        self.change(|tree| tree.publish(draft, parent, name))
    }

    fn make_part(&self, parent: Ino, name: &OsStr, node: NewNode) -> Result<Attr> {
        self.change(|tree| tree.make_part(parent, name, node))
    }

    fn symlink(&self, parent: Ino, name: &OsStr, target: &OsStr, caller: Caller) -> Result<Attr> {
        self.change(|tree| tree.symlink(parent, name, target, caller))
    }

    fn link(&self, ino: Ino, parent: Ino, name: &OsStr) -> Result<Attr> {
        self.change(|tree| tree.link(ino, parent, name))
    }

    fn unlink(&self, parent: Ino, name: &OsStr) -> Result<()> {
        self.change(|tree| tree.unlink(parent, name))
    }

    fn rmdir(&self, parent: Ino, name: &OsStr) -> Result<()> {
        self.change(|tree| tree.rmdir(parent, name))
    }

    fn rename(&self, from: (Ino, &OsStr), to: (Ino, &OsStr), how: Rename) -> Result<()> {
        self.change(|tree| tree.rename(from, to, how))
    }

    fn open(&self, ino: Ino) -> Result<Opened> {
        self.tree.open(ino)
    }

    fn release(&self, ino: Ino) {
        self.tree.release(ino);
    }

    fn version(&self, ino: Ino) -> Option<u64> {
        self.tree.version(ino)
    }

    fn read(&self, ino: Ino, offset: u64, size: u32) -> Result<Vec<u8>> {
        self.tree.read(ino, offset, size)
    }

    fn write(&self, ino: Ino, offset: u64, data: &[u8]) -> Result<u32> {
        self.change(|tree| tree.write(ino, offset, data))
    }

    fn allocate(&self, ino: Ino, offset: u64, length: u64, how: Allocate) -> Result<()> {
        self.change(|tree| tree.allocate(ino, offset, length, how))
    }

    fn blocks(&self, attr: &Attr) -> u64 {
        self.tree.blocks(attr)
    }

    fn may_wait(&self, ino: Ino) -> bool {
        self.tree.may_wait(ino)
    }

    fn share(&self, from: Ino, to: Ino) -> Result<bool> {
        self.change(|tree| tree.share(from, to))
    }

    fn fsync(&self, ino: Ino) -> Result<()> {
        self.tree.fsync(ino)
    }

    fn readdir(&self, ino: Ino) -> Result<Vec<Entry>> {
        self.tree.readdir(ino)
    }

    fn list(&self, ino: Ino) -> Result<Listing> {
        self.tree.list(ino)
    }

    fn parent(&self, ino: Ino) -> Result<Ino> {
        self.tree.parent(ino)
    }

    fn statfs(&self) -> Result<StatFs> {
        self.tree.statfs()
    }

    fn backing(&self, ino: Ino) -> Option<Arc<File>> {
        self.tree.backing(ino)
    }

    fn valid_for(&self, ino: Ino) -> Duration {
        self.tree.valid_for(ino)
    }

    fn absence_valid_for(&self, directory: Ino) -> Duration {
        self.tree.absence_valid_for(directory)
    }

    fn is_found_by_number(&self, ino: Ino) -> bool {
        self.tree.is_found_by_number(ino)
    }

    fn together(&self, work: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        self.tree.together(work)
    }

    fn undoes(&self) -> bool {
        self.tree.undoes()
    }

    fn tell(&self, witness: Arc<dyn Witness>) {
        self.tree.tell(witness);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    /// What changes something, and what was not looked at by whoever added it to the trait.
    #[test]
    fn every_method_of_the_trait_is_passed_on_and_those_that_change_something_ask() {
        let methods = |source: &str| -> Vec<String> {
            let lines = source.lines().filter_map(|line| line.strip_prefix("    fn "));
            lines.map(|line| line.split(['(', '<']).next().unwrap().to_owned()).collect()
        };
        let source = include_str!("../../../engine/src/filesystem.rs");
        let (_, source) = source.split_once("pub trait FileSystem").unwrap();
        let wanted = methods(source.split_once("\n}").unwrap().0);
        let (_, source) = include_str!("gated.rs").split_once("impl FileSystem for Gated").unwrap();
        let source = source.split_once("#[cfg(test)]").unwrap().0;
        let here = methods(source);
        assert!(wanted.len() > 15);
        for method in &wanted {
            assert!(here.contains(method), "`{method}` of FileSystem is to be passed on by Gated");
        }
        for method in [
            "setattr",
            "create",
            "draft",
            "publish",
            "make_part",
            "symlink",
            "link",
            "unlink",
            "rmdir",
            "rename",
            "write",
            "allocate",
            "share",
        ] {
            let (_, body) = source.split_once(&format!("fn {method}(")).unwrap();
            let body = body.split_once("\n    }").unwrap().0;
            assert!(body.contains("self.change(") || body.contains("gate.ask()"), "`{method}` asks nobody");
        }
    }
}
