//! What is asked of a tree, counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::errno::Errno;
use nixbox_control::Usage;
use nixbox_engine::Error;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::sync::Notify;

use super::Label;
use crate::observed::{Asked, Observer};

/// What is counted, and under which name: the first ones of [`Asked`], in their order. The rest is a part of something else.
const COUNTED: [(Asked, &str); 17] = [
    (Asked::Lookup, "lookup"),
    (Asked::Getattr, "getattr"),
    (Asked::Setattr, "setattr"),
    (Asked::Readlink, "readlink"),
    (Asked::Create, "create"),
    (Asked::Symlink, "symlink"),
    (Asked::Link, "link"),
    (Asked::Unlink, "unlink"),
    (Asked::Rmdir, "rmdir"),
    (Asked::Rename, "rename"),
    (Asked::Open, "open"),
    (Asked::Read, "read"),
    (Asked::Write, "write"),
    (Asked::Allocate, "allocate"),
    (Asked::Fsync, "fsync"),
    (Asked::Readdir, "readdir"),
    (Asked::Statfs, "statfs"),
];

const _: () = {
    let mut at = 0;
    while at < COUNTED.len() {
        assert!(COUNTED[at].0 as usize == at);
        at += 1;
    }
};

pub(super) struct Operations {
    /// As in [`COUNTED`].
    counters: [Counter; COUNTED.len()],
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
        let operations = Self {
            counters: COUNTED.map(|(_, name)| counts.get_or_create_owned(&[("operation", name.to_owned())])),
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
        let of = |asked: Asked| self.counters.get(asked as usize).map(Counter::get).unwrap_or_default();
        Usage {
            operations: self.counters.iter().map(Counter::get).sum(),
            reads: of(Asked::Read),
            read_bytes: self.read_bytes.get(),
            writes: of(Asked::Write),
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

impl Observer for Arc<Operations> {
    fn after(&self, asked: Asked, answer: Result<u64, &Error>) {
        match (asked, answer) {
            (Asked::Open, Ok(_)) => _ = self.open_files.inc(),
            (Asked::Release, _) => _ = self.open_files.dec(),
            (Asked::Read, Ok(bytes)) => _ = self.read_bytes.inc_by(bytes),
            (Asked::Write, Ok(bytes)) => _ = self.written_bytes.inc_by(bytes),
            _ => {}
        }
        let (Some((_, name)), Some(counter)) = (COUNTED.get(asked as usize), self.counters.get(asked as usize)) else {
            return;
        };
        counter.inc_by(if asked == Asked::Lookup { answer.unwrap_or(1) } else { 1 });
        match answer {
            Err(error) => self.error(name, error.errno()),
            Ok(_) if asked.changes() => self.changes.one(),
            Ok(_) => {}
        }
    }
}
