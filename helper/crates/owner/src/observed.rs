//! A tree with somebody beside it who hears what is asked of it, and may have a say in that. Whatever else a [`FileSystem`]
//! learns to do is passed on here, and only here.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use nixbox_engine::{
    Allocate, Attr, AttrChange, Caller, Entry, Error, FileSystem, Ino, Listing, NewNode, Opened, Rename, Result,
    StatFs, Witness,
};

/// What is asked of a tree, as far as it is of interest: what comes to the same has one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Lookup,
    Getattr,
    Setattr,
    Readlink,
    Create,
    Symlink,
    Link,
    Unlink,
    Rmdir,
    Rename,
    Open,
    Read,
    Write,
    Allocate,
    Fsync,
    Readdir,
    Statfs,
    /// The beginning of something that gets its name later.
    Draft,
    Part,
    Share,
    Release,
}

impl Asked {
    pub(crate) fn changes(self) -> bool {
        match self {
            Self::Setattr | Self::Create | Self::Symlink | Self::Link | Self::Unlink | Self::Rmdir | Self::Rename => {
                true
            }
            Self::Write | Self::Allocate | Self::Draft | Self::Part | Self::Share => true,
            Self::Lookup | Self::Getattr | Self::Readlink | Self::Open | Self::Release | Self::Read => false,
            Self::Fsync | Self::Readdir | Self::Statfs => false,
        }
    }
}

pub(crate) trait Observer: Send + Sync + 'static {
    /// An error is the answer, and the tree is not asked.
    fn before(&self, _asked: Asked) -> Result<()> {
        Ok(())
    }
    /// With how much it was: names that were looked up, bytes that were read or written, else one.
    fn after(&self, asked: Asked, answer: std::result::Result<u64, &Error>);
}

pub(crate) struct Observed<O> {
    tree: Arc<dyn FileSystem>,
    observer: O,
}

impl<O: Observer> Observed<O> {
    pub(crate) fn by(observer: O, tree: Arc<dyn FileSystem>) -> Arc<dyn FileSystem> {
        Arc::new(Self { tree, observer })
    }

    fn ask<T>(&self, asked: Asked, ask: impl FnOnce(&dyn FileSystem) -> Result<T>) -> Result<T> {
        self.weigh(asked, ask, |_| 1)
    }

    fn weigh<T>(
        &self,
        asked: Asked,
        ask: impl FnOnce(&dyn FileSystem) -> Result<T>,
        amount: impl FnOnce(&T) -> u64,
    ) -> Result<T> {
        self.observer.before(asked)?;
        let answer = ask(&*self.tree);
        self.observer.after(asked, answer.as_ref().map(amount));
        answer
    }
}

/// Every method of the trait stands here, those too that have an answer of their own there: see the test below.
impl<O: Observer> FileSystem for Observed<O> {
    fn lookup(&self, parent: Ino, name: &OsStr) -> Result<Attr> {
        self.ask(Asked::Lookup, |tree| tree.lookup(parent, name))
    }

    fn lookup_all(&self, parent: Ino, listing: &Listing, some: Range<usize>) -> Vec<Option<Attr>> {
        let names = some.len() as u64;
        let found = self.tree.lookup_all(parent, listing, some);
        self.observer.after(Asked::Lookup, Ok(names));
        found
    }

    fn forget(&self, ino: Ino, references: u64) {
        self.tree.forget(ino, references);
    }

    fn getattr(&self, ino: Ino) -> Result<Attr> {
        self.ask(Asked::Getattr, |tree| tree.getattr(ino))
    }

    fn setattr(&self, ino: Ino, change: AttrChange) -> Result<Attr> {
        self.ask(Asked::Setattr, |tree| tree.setattr(ino, change))
    }

    fn readlink(&self, ino: Ino) -> Result<OsString> {
        self.ask(Asked::Readlink, |tree| tree.readlink(ino))
    }

    fn create(&self, parent: Ino, name: &OsStr, node: NewNode) -> Result<Attr> {
        self.ask(Asked::Create, |tree| tree.create(parent, name, node))
    }

    fn draft(&self, directory: Ino, node: NewNode) -> Result<Attr> {
        self.ask(Asked::Draft, |tree| tree.draft(directory, node))
    }

    fn publish(&self, draft: Ino, parent: Ino, name: &OsStr) -> Result<()> {
        self.ask(Asked::Create, |tree| tree.publish(draft, parent, name))
    }

    fn make_part(&self, parent: Ino, name: &OsStr, node: NewNode) -> Result<Attr> {
        self.ask(Asked::Part, |tree| tree.make_part(parent, name, node))
    }

    fn symlink(&self, parent: Ino, name: &OsStr, target: &OsStr, caller: Caller) -> Result<Attr> {
        self.ask(Asked::Symlink, |tree| tree.symlink(parent, name, target, caller))
    }

    fn link(&self, ino: Ino, parent: Ino, name: &OsStr) -> Result<Attr> {
        self.ask(Asked::Link, |tree| tree.link(ino, parent, name))
    }

    fn unlink(&self, parent: Ino, name: &OsStr) -> Result<()> {
        self.ask(Asked::Unlink, |tree| tree.unlink(parent, name))
    }

    fn rmdir(&self, parent: Ino, name: &OsStr) -> Result<()> {
        self.ask(Asked::Rmdir, |tree| tree.rmdir(parent, name))
    }

    fn rename(&self, from: (Ino, &OsStr), to: (Ino, &OsStr), how: Rename) -> Result<()> {
        self.ask(Asked::Rename, |tree| tree.rename(from, to, how))
    }

    fn open(&self, ino: Ino) -> Result<Opened> {
        self.ask(Asked::Open, |tree| tree.open(ino))
    }

    fn release(&self, ino: Ino) {
        self.tree.release(ino);
        self.observer.after(Asked::Release, Ok(1));
    }

    fn version(&self, ino: Ino) -> Option<u64> {
        self.tree.version(ino)
    }

    fn read(&self, ino: Ino, offset: u64, size: u32) -> Result<Vec<u8>> {
        self.weigh(Asked::Read, |tree| tree.read(ino, offset, size), |bytes| bytes.len() as u64)
    }

    fn write(&self, ino: Ino, offset: u64, data: &[u8]) -> Result<u32> {
        self.weigh(Asked::Write, |tree| tree.write(ino, offset, data), |written| u64::from(*written))
    }

    fn allocate(&self, ino: Ino, offset: u64, length: u64, how: Allocate) -> Result<()> {
        self.ask(Asked::Allocate, |tree| tree.allocate(ino, offset, length, how))
    }

    fn blocks(&self, attr: &Attr) -> u64 {
        self.tree.blocks(attr)
    }

    fn may_wait(&self, ino: Ino) -> bool {
        self.tree.may_wait(ino)
    }

    fn share(&self, from: Ino, to: Ino) -> Result<bool> {
        self.ask(Asked::Share, |tree| tree.share(from, to))
    }

    fn fsync(&self, ino: Ino) -> Result<()> {
        self.ask(Asked::Fsync, |tree| tree.fsync(ino))
    }

    fn readdir(&self, ino: Ino) -> Result<Vec<Entry>> {
        self.ask(Asked::Readdir, |tree| tree.readdir(ino))
    }

    fn list(&self, ino: Ino) -> Result<Listing> {
        self.ask(Asked::Readdir, |tree| tree.list(ino))
    }

    fn parent(&self, ino: Ino) -> Result<Ino> {
        self.tree.parent(ino)
    }

    fn statfs(&self) -> Result<StatFs> {
        self.ask(Asked::Statfs, |tree| tree.statfs())
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
    use std::sync::Mutex;

    use nixbox_engine::{Database, Kind, Options, ROOT};

    use super::*;

    /// A method that has an answer of its own in the trait compiles without standing here, and would then give that
    /// answer in place of the tree's.
    #[test]
    fn no_method_of_the_trait_is_left_out() {
        let methods = |source: &str, after: &str| -> Vec<String> {
            let (_, source) = source.split_once(after).unwrap();
            let lines = source.split_once("\n}").unwrap().0.lines().filter_map(|line| line.strip_prefix("    fn "));
            lines.map(|line| line.split(['(', '<']).next().unwrap().to_owned()).collect()
        };
        let wanted = methods(include_str!("../../engine/src/filesystem.rs"), "pub trait FileSystem");
        let here = methods(include_str!("observed.rs"), "FileSystem for Observed<O>");
        assert!(wanted.len() > 15 && wanted.contains(&"valid_for".to_owned()), "{wanted:?}");
        for method in wanted {
            assert!(here.contains(&method), "`{method}` of FileSystem is to be passed on");
        }
    }

    /// Keeps what was asked and how much it was, and lets nothing be changed where it is shut.
    #[derive(Default)]
    struct Ears {
        shut: Mutex<bool>,
        heard: Mutex<Vec<(Asked, Option<u64>)>>,
    }

    impl Observer for Arc<Ears> {
        fn before(&self, asked: Asked) -> Result<()> {
            if asked.changes() && *self.shut.lock().unwrap() { Err(Error::Errno(libc::EROFS)) } else { Ok(()) }
        }

        fn after(&self, asked: Asked, answer: std::result::Result<u64, &Error>) {
            self.heard.lock().unwrap().push((asked, answer.ok()));
        }
    }

    #[test]
    fn who_listens_hears_everything_with_its_amount_and_can_refuse_every_change() {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::open_or_create(&dir.path().join("a.db"), &Options::default()).unwrap();
        let ears = Arc::new(Ears::default());
        let tree = Observed::by(ears.clone(), database.tree());
        let node = |kind| NewNode { kind, perm: 0o644, rdev: 0, caller: Caller { uid: 0, gid: 0 } };
        let name = OsStr::new;

        let file = tree.create(ROOT, name("file"), node(Kind::File)).unwrap().ino;
        tree.open(file).unwrap();
        assert_eq!(tree.write(file, 0, b"hello").unwrap(), 5);
        assert_eq!(tree.read(file, 1, 100).unwrap(), b"ello");
        tree.release(file);
        let listing = tree.list(ROOT).unwrap();
        assert_eq!(tree.lookup_all(ROOT, &listing, 0..1).len(), 1);
        assert_eq!(tree.lookup(ROOT, name("none")).unwrap_err().errno(), libc::ENOENT);
        let heard = std::mem::take(&mut *ears.heard.lock().unwrap());
        let expected = [
            (Asked::Create, Some(1)),
            (Asked::Open, Some(1)),
            (Asked::Write, Some(5)),
            (Asked::Read, Some(4)),
            (Asked::Release, Some(1)),
            (Asked::Readdir, Some(1)),
            (Asked::Lookup, Some(1)),
            (Asked::Lookup, None),
        ];
        assert_eq!(heard, expected);

        *ears.shut.lock().unwrap() = true;
        let refused = [
            tree.setattr(file, AttrChange::default()).err(),
            tree.create(ROOT, name("b"), node(Kind::File)).err(),
            tree.draft(ROOT, node(Kind::File)).err(),
            tree.publish(file, ROOT, name("b")).err(),
            tree.make_part(ROOT, name("b"), node(Kind::File)).err(),
            tree.symlink(ROOT, name("b"), name("file"), node(Kind::File).caller).err(),
            tree.link(file, ROOT, name("b")).err(),
            tree.unlink(ROOT, name("file")).err(),
            tree.rmdir(ROOT, name("file")).err(),
            tree.rename((ROOT, name("file")), (ROOT, name("b")), Rename::Replace).err(),
            tree.write(file, 0, b"x").err(),
            tree.allocate(file, 0, 1, Allocate::Zero { keep_size: false }).err(),
            tree.share(file, file).err(),
        ];
        for (at, error) in refused.into_iter().enumerate() {
            assert_eq!(error.map(|error| error.errno()), Some(libc::EROFS), "change {at}");
        }
        assert_eq!(*ears.heard.lock().unwrap(), []);
        assert_eq!(tree.read(file, 0, 100).unwrap(), b"hello");
        drop(tree);
        database.close().unwrap();
    }
}
