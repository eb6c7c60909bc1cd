//! The tree as everybody here sees it, with a count of what is asked of it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nixbox_control::Usage;
use nixbox_engine::{
    Allocate, Attr, AttrChange, Caller, Entry, FileSystem, Ino, Listing, NewNode, Opened, Rename, Result, StatFs,
    Witness,
};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::sync::Notify;

use super::Label;

pub(super) struct Operations {
    lookup: Counter,
    getattr: Counter,
    setattr: Counter,
    readlink: Counter,
    create: Counter,
    symlink: Counter,
    link: Counter,
    unlink: Counter,
    rmdir: Counter,
    rename: Counter,
    open: Counter,
    read: Counter,
    write: Counter,
    allocate: Counter,
    fsync: Counter,
    readdir: Counter,
    statfs: Counter,
    errors: Family<[Label; 2], Counter>,
    read_bytes: Counter,
    written_bytes: Counter,
    open_files: Gauge,
    pub changes: Changes,
}

/// That something has changed, for those who want to know no more.
#[derive(Default)]
pub(crate) struct Changes {
    count: AtomicU64,
    next: Notify,
}

impl Changes {
    fn one(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.next.notify_waiters();
    }

    pub(crate) fn so_far(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Returns when there are others than those `seen`.
    pub(crate) async fn after(&self, seen: u64) {
        loop {
            let next = self.next.notified();
            tokio::pin!(next);
            // In line before the look, so that none falls in between.
            next.as_mut().enable();
            if self.so_far() != seen {
                return;
            }
            next.await;
        }
    }
}

impl Operations {
    pub fn registered(registry: &mut Registry) -> Self {
        let counts = Family::<[Label; 1], Counter>::default();
        let of = |name: &str| counts.get_or_create_owned(&[("operation", name.to_owned())]);
        let operations = Self {
            lookup: of("lookup"),
            getattr: of("getattr"),
            setattr: of("setattr"),
            readlink: of("readlink"),
            create: of("create"),
            symlink: of("symlink"),
            link: of("link"),
            unlink: of("unlink"),
            rmdir: of("rmdir"),
            rename: of("rename"),
            open: of("open"),
            read: of("read"),
            write: of("write"),
            allocate: of("allocate"),
            fsync: of("fsync"),
            readdir: of("readdir"),
            statfs: of("statfs"),
            errors: Family::default(),
            read_bytes: Counter::default(),
            written_bytes: Counter::default(),
            open_files: Gauge::default(),
            changes: Changes::default(),
        };
        registry.register("operations", "What was asked of the file tree, by kind", counts);
        let help = "How often the answer was an error, by kind and error; ENOENT is an ordinary one";
        registry.register("operation_errors", help, operations.errors.clone());
        registry.register("read_bytes", "Bytes read from files", operations.read_bytes.clone());
        registry.register("written_bytes", "Bytes written to files", operations.written_bytes.clone());
        registry.register("open_files", "Files that are open", operations.open_files.clone());
        operations
    }

    pub fn usage(&self) -> Usage {
        let Self { lookup, getattr, setattr, readlink, create, symlink, link, unlink, rmdir, .. } = self;
        let Self { rename, open, read, write, allocate, fsync, readdir, statfs, .. } = self;
        let names = [lookup, getattr, setattr, readlink, create, symlink, link, unlink, rmdir, rename, readdir, statfs];
        let content = [open, read, write, allocate, fsync];
        Usage {
            operations: names.into_iter().chain(content).map(Counter::get).sum(),
            reads: read.get(),
            read_bytes: self.read_bytes.get(),
            writes: write.get(),
            written_bytes: self.written_bytes.get(),
            open_files: u64::try_from(self.open_files.get()).unwrap_or_default(),
            ..Usage::default()
        }
    }

    fn error(&self, operation: &'static str, errno: i32) {
        let error = format!("{:?}", Errno::from_raw(errno));
        self.errors.get_or_create(&[("operation", operation.to_owned()), ("error", error)]).inc();
    }
}

pub(super) struct Counted {
    tree: Arc<dyn FileSystem>,
    operations: Arc<Operations>,
}

impl Counted {
    pub fn new(tree: Arc<dyn FileSystem>, operations: Arc<Operations>) -> Self {
        Self { tree, operations }
    }

    fn asked<T>(&self, name: &'static str, count: &Counter, answer: Result<T>) -> Result<T> {
        count.inc();
        if let Err(error) = &answer {
            self.operations.error(name, error.errno());
        }
        answer
    }

    fn changed<T>(&self, name: &'static str, count: &Counter, answer: Result<T>) -> Result<T> {
        let answer = self.asked(name, count, answer);
        if answer.is_ok() {
            self.operations.changes.one();
        }
        answer
    }
}

/// Every method of the trait stands here, those too that have an answer of their own there: see the test below.
impl FileSystem for Counted {
    fn lookup(&self, parent: Ino, name: &OsStr) -> Result<Attr> {
        self.asked("lookup", &self.operations.lookup, self.tree.lookup(parent, name))
    }

    fn lookup_all(&self, parent: Ino, listing: &Listing, some: Range<usize>) -> Vec<Option<Attr>> {
        self.operations.lookup.inc_by(some.len() as u64);
        self.tree.lookup_all(parent, listing, some)
    }

    fn forget(&self, ino: Ino, references: u64) {
        self.tree.forget(ino, references);
    }

    fn getattr(&self, ino: Ino) -> Result<Attr> {
        self.asked("getattr", &self.operations.getattr, self.tree.getattr(ino))
    }

    fn setattr(&self, ino: Ino, change: AttrChange) -> Result<Attr> {
        self.changed("setattr", &self.operations.setattr, self.tree.setattr(ino, change))
    }

    fn readlink(&self, ino: Ino) -> Result<OsString> {
        self.asked("readlink", &self.operations.readlink, self.tree.readlink(ino))
    }

    fn create(&self, parent: Ino, name: &OsStr, node: NewNode) -> Result<Attr> {
        self.changed("create", &self.operations.create, self.tree.create(parent, name, node))
    }

    fn draft(&self, directory: Ino, node: NewNode) -> Result<Attr> {
        self.tree.draft(directory, node)
    }

    fn publish(&self, draft: Ino, parent: Ino, name: &OsStr) -> Result<()> {
        self.changed("create", &self.operations.create, self.tree.publish(draft, parent, name))
    }

    fn make_part(&self, parent: Ino, name: &OsStr, node: NewNode) -> Result<Attr> {
        self.tree.make_part(parent, name, node)
    }

    fn symlink(&self, parent: Ino, name: &OsStr, target: &OsStr, caller: Caller) -> Result<Attr> {
        self.changed("symlink", &self.operations.symlink, self.tree.symlink(parent, name, target, caller))
    }

    fn link(&self, ino: Ino, parent: Ino, name: &OsStr) -> Result<Attr> {
        self.changed("link", &self.operations.link, self.tree.link(ino, parent, name))
    }

    fn unlink(&self, parent: Ino, name: &OsStr) -> Result<()> {
        self.changed("unlink", &self.operations.unlink, self.tree.unlink(parent, name))
    }

    fn rmdir(&self, parent: Ino, name: &OsStr) -> Result<()> {
        self.changed("rmdir", &self.operations.rmdir, self.tree.rmdir(parent, name))
    }

    fn rename(&self, from: (Ino, &OsStr), to: (Ino, &OsStr), how: Rename) -> Result<()> {
        self.changed("rename", &self.operations.rename, self.tree.rename(from, to, how))
    }

    fn open(&self, ino: Ino) -> Result<Opened> {
        let opened = self.asked("open", &self.operations.open, self.tree.open(ino))?;
        self.operations.open_files.inc();
        Ok(opened)
    }

    fn release(&self, ino: Ino) {
        self.tree.release(ino);
        self.operations.open_files.dec();
    }

    fn version(&self, ino: Ino) -> Option<u64> {
        self.tree.version(ino)
    }

    fn read(&self, ino: Ino, offset: u64, size: u32) -> Result<Vec<u8>> {
        let bytes = self.asked("read", &self.operations.read, self.tree.read(ino, offset, size))?;
        self.operations.read_bytes.inc_by(bytes.len() as u64);
        Ok(bytes)
    }

    fn write(&self, ino: Ino, offset: u64, data: &[u8]) -> Result<u32> {
        let written = self.changed("write", &self.operations.write, self.tree.write(ino, offset, data))?;
        self.operations.written_bytes.inc_by(u64::from(written));
        Ok(written)
    }

    fn allocate(&self, ino: Ino, offset: u64, length: u64, how: Allocate) -> Result<()> {
        self.changed("allocate", &self.operations.allocate, self.tree.allocate(ino, offset, length, how))
    }

    fn blocks(&self, attr: &Attr) -> u64 {
        self.tree.blocks(attr)
    }

    fn may_wait(&self, ino: Ino) -> bool {
        self.tree.may_wait(ino)
    }

    fn share(&self, from: Ino, to: Ino) -> Result<bool> {
        self.tree.share(from, to)
    }

    fn fsync(&self, ino: Ino) -> Result<()> {
        self.asked("fsync", &self.operations.fsync, self.tree.fsync(ino))
    }

    fn readdir(&self, ino: Ino) -> Result<Vec<Entry>> {
        self.asked("readdir", &self.operations.readdir, self.tree.readdir(ino))
    }

    fn list(&self, ino: Ino) -> Result<Listing> {
        self.asked("readdir", &self.operations.readdir, self.tree.list(ino))
    }

    fn parent(&self, ino: Ino) -> Result<Ino> {
        self.tree.parent(ino)
    }

    fn statfs(&self) -> Result<StatFs> {
        self.asked("statfs", &self.operations.statfs, self.tree.statfs())
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

    /// A method that has an answer of its own in the trait compiles without standing here, and would then give that
    /// answer in place of the tree's.
    #[test]
    fn no_method_of_the_trait_is_left_out() {
        let methods = |source: &str| -> Vec<String> {
            let lines = source.lines().filter_map(|line| line.strip_prefix("    fn "));
            lines.map(|line| line.split(['(', '<']).next().unwrap().to_owned()).collect()
        };
        let source = include_str!("../../../engine/src/filesystem.rs");
        let (_, source) = source.split_once("pub trait FileSystem").unwrap();
        let wanted = methods(source.split_once("\n}").unwrap().0);
        let source = include_str!("counted.rs");
        let (_, source) = source.split_once("impl FileSystem for Counted").unwrap();
        let here = methods(source.split_once("\n}").unwrap().0);
        assert!(wanted.len() > 15 && wanted.contains(&"valid_for".to_owned()), "{wanted:?}");
        for method in wanted {
            assert!(here.contains(&method), "`{method}` of FileSystem is to be passed on by Counted");
        }
    }
}
