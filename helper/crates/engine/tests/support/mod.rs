//! A database in a folder of its own, and short words for what tests do to it.
#![allow(dead_code)]

pub mod model;
pub mod slow_machine;

use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::Arc;

use nixbox_engine::*;
use tempfile::TempDir;

pub const ME: Caller = Caller { uid: 1000, gid: 100 };

/// How the databases of this test program are kept: `on_turso` runs these same tests once more.
pub fn backing() -> Backing {
    match env!("CARGO_CRATE_NAME") {
        "on_turso" => Backing::Turso,
        _ => Backing::Sqlite,
    }
}

pub fn options() -> Options {
    Options { backing: backing(), ..Options::default() }
}

/// The name by which the test runner knows a test of the module at `path`: they are modules where they run once more.
pub fn test_name(path: &str, test: &str) -> String {
    path.split_once("::").map_or(test.into(), |(_, module)| format!("{module}::{test}"))
}

pub struct Scratch {
    // Dropped before its folder: a file that goes while it is open frees its inode number, and another test's
    // new database would be taken for it.
    database: Option<Database>,
    pub folder: TempDir,
    pub options: Options,
}

impl Scratch {
    pub fn new() -> Self {
        Self::with_chunk_size(DEFAULT_CHUNK_SIZE)
    }

    pub fn with_chunk_size(chunk_size: u32) -> Self {
        Self::with_options(Options { chunk_size, ..options() })
    }

    pub fn over(base: &std::path::Path) -> Self {
        Self::with_options(Options {
            base: Some(BaseOptions { path: base.to_owned(), ..BaseOptions::default() }),
            ..options()
        })
    }

    pub fn with_options(options: Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut scratch = Self { folder, options, database: None };
        scratch.open();
        scratch
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("x.db")
    }

    pub fn open(&mut self) -> Arc<Files> {
        let database = Database::open_or_create(&self.path(), &self.options).unwrap();
        let files = database.files();
        self.database = Some(database);
        files
    }

    pub fn files(&self) -> Arc<Files> {
        self.database.as_ref().unwrap().files()
    }

    pub fn tree(&self) -> Arc<dyn FileSystem> {
        self.database.as_ref().unwrap().tree()
    }

    pub fn snapshots(&self) -> Snapshots {
        self.database.as_ref().unwrap().snapshots()
    }

    pub fn kv(&self) -> Kv {
        self.database.as_ref().unwrap().kv()
    }

    pub fn calls(&self) -> ToolCalls {
        self.database.as_ref().unwrap().tool_calls()
    }

    pub fn overlay(&self) -> Arc<Overlay> {
        self.database.as_ref().unwrap().overlay().unwrap()
    }

    pub fn gauges(&self) -> Gauges {
        self.database.as_ref().unwrap().gauges()
    }

    pub fn review(&self) -> Review {
        self.database.as_ref().unwrap().review()
    }

    pub fn close(&mut self) {
        self.database.take().unwrap().close().unwrap();
        let left: Vec<_> = self.folder.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["x.db"], "only the database is left after close");
    }

    /// A connection to the closed database through plain SQLite.
    pub fn sql(&self) -> rusqlite::Connection {
        assert!(self.database.is_none(), "close the database first");
        rusqlite::Connection::open(self.path()).unwrap()
    }

    pub fn reopen(&mut self) -> Arc<Files> {
        self.close();
        self.open()
    }
}

pub fn name(text: &str) -> &OsStr {
    OsStr::new(text)
}

pub fn node(kind: Kind, perm: u16) -> NewNode {
    NewNode { kind, perm, rdev: 0, caller: ME }
}

pub fn file(files: &dyn FileSystem, parent: Ino, text: &str) -> Ino {
    files.create(parent, name(text), node(Kind::File, 0o644)).unwrap().ino
}

pub fn folder(files: &dyn FileSystem, parent: Ino, text: &str) -> Ino {
    files.create(parent, name(text), node(Kind::Directory, 0o755)).unwrap().ino
}

pub fn names(files: &dyn FileSystem, ino: Ino) -> Vec<String> {
    files.readdir(ino).unwrap().into_iter().map(|entry| entry.name.into_string().unwrap()).collect()
}

#[track_caller]
pub fn refused<T: std::fmt::Debug>(answer: Result<T>, errno: i32) {
    let error = answer.unwrap_err();
    assert_eq!(error.errno(), errno, "{error:?}");
}

/// Bytes that no two places share.
pub fn pattern(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect()
}
