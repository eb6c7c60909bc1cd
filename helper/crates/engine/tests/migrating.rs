//! Databases of every version that upstream's programs have made, brought up to date.
#![allow(clippy::unwrap_used)]
mod support;

use std::path::{Path, PathBuf};

use nixbox_engine::*;
use rusqlite::Connection;
use support::*;

/// The tables of a version, with a small world in them: `/notes.md` (with a second name), `/dir/deep`, a link.
fn old(nlink: bool, times: bool, autoincrement: bool) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let number = if autoincrement { "INTEGER PRIMARY KEY AUTOINCREMENT" } else { "INTEGER PRIMARY KEY" };
    let links = if nlink { "nlink INTEGER NOT NULL DEFAULT 0," } else { "" };
    let more = if times {
        ", rdev INTEGER NOT NULL DEFAULT 0, atime_nsec INTEGER NOT NULL DEFAULT 0, \
         mtime_nsec INTEGER NOT NULL DEFAULT 0, ctime_nsec INTEGER NOT NULL DEFAULT 0"
    } else {
        ""
    };
    Connection::open(&path)
        .unwrap()
        .execute_batch(&format!(
            "PRAGMA journal_mode = WAL;
             CREATE TABLE fs_config (key TEXT PRIMARY KEY, value TEXT NOT NULL);
             INSERT INTO fs_config VALUES ('chunk_size', '4096');
             CREATE TABLE fs_inode (ino {number}, mode INTEGER NOT NULL, {links} uid INTEGER NOT NULL DEFAULT 0,
               gid INTEGER NOT NULL DEFAULT 0, size INTEGER NOT NULL DEFAULT 0, atime INTEGER NOT NULL,
               mtime INTEGER NOT NULL, ctime INTEGER NOT NULL {more});
             CREATE INDEX by_owner ON fs_inode(uid);
             CREATE TABLE fs_dentry (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL,
               parent_ino INTEGER NOT NULL, ino INTEGER NOT NULL, UNIQUE(parent_ino, name));
             CREATE INDEX idx_fs_dentry_parent ON fs_dentry(parent_ino, name);
             CREATE TABLE fs_data (ino INTEGER NOT NULL, chunk_index INTEGER NOT NULL, data BLOB NOT NULL,
               PRIMARY KEY (ino, chunk_index));
             CREATE TABLE fs_symlink (ino INTEGER PRIMARY KEY, target TEXT NOT NULL);
             CREATE TABLE kv_store (key TEXT PRIMARY KEY, value TEXT NOT NULL,
               created_at INTEGER DEFAULT (unixepoch()), updated_at INTEGER DEFAULT (unixepoch()));
             CREATE TABLE tool_calls (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, parameters TEXT,
               result TEXT, error TEXT, started_at INTEGER NOT NULL, completed_at INTEGER NOT NULL,
               duration_ms INTEGER NOT NULL);
             INSERT INTO fs_inode (ino, mode, uid, gid, size, atime, mtime, ctime) VALUES
               (1, 16877, 0, 0, 0, 10, 11, 12), (2, 33188, 7, 8, 5, 20, 21, 22), (3, 16877, 0, 0, 0, 30, 31, 32),
               (4, 33152, 0, 0, 0, 40, 41, 42), (5, 41471, 0, 0, 8, 50, 51, 52);
             INSERT INTO fs_dentry (name, parent_ino, ino) VALUES
               ('notes.md', 1, 2), ('again', 3, 2), ('dir', 1, 3), ('deep', 3, 4), ('link', 1, 5);
             INSERT INTO fs_data VALUES (2, 0, CAST('hello' AS BLOB));
             INSERT INTO fs_symlink VALUES (5, 'notes.md');
             INSERT INTO kv_store (key, value) VALUES ('k', '{{\"a\":1}}');
             INSERT INTO tool_calls (name, error, started_at, completed_at, duration_ms)
               VALUES ('good', NULL, 1, 2, 1000), ('bad', 'why', 1, 2, 1000);"
        ))
        .unwrap();
    (folder, path)
}

fn bytes(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn every_old_version_becomes_the_present_one_and_keeps_all_that_is_in_it() {
    for (nlink, times, autoincrement, version) in [
        (false, false, true, "0.0"),
        (true, false, true, "0.2"),
        (true, true, false, "0.4"),
        (true, false, false, "0.2"),
    ] {
        let (folder, path) = old(nlink, times, autoincrement);
        let before = bytes(folder.path());
        let copy = folder.path().join("x.d/copy.db");
        let planned = migrate(&path, &Backing::Sqlite, None).unwrap();
        assert_eq!((planned.from, planned.to), (version, "0.4"));
        assert!(!planned.steps.is_empty() && planned.backup.is_none());
        assert_eq!(bytes(folder.path()), before, "looking changed something");

        let done = migrate(&path, &Backing::Sqlite, Some(&copy)).unwrap();
        assert_eq!((done.from, &done.steps, done.backup.as_deref()), (version, &planned.steps, Some(&*copy)));
        assert_eq!(std::fs::read(&copy).unwrap(), before[0].1);
        assert!(
            check(&path, &Backing::Sqlite).unwrap().found.is_empty(),
            "{:?}",
            check(&path, &Backing::Sqlite).unwrap().found
        );

        let again = migrate(&path, &Backing::Sqlite, Some(&folder.path().join("never.db"))).unwrap();
        assert_eq!((again.steps.len(), again.backup), (0, None), "once is enough");
        assert!(!folder.path().join("never.db").exists());

        let db = Connection::open(&path).unwrap();
        let asked = |sql: &str| db.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
        assert_eq!(asked("SELECT group_concat(status) FROM tool_calls"), "success,error");
        assert_eq!(asked("SELECT name FROM sqlite_master WHERE tbl_name = 'fs_inode' AND type = 'index'"), "by_owner");
        assert_eq!(asked("SELECT group_concat(nlink) FROM fs_inode"), "3,2,2,1,1");
        drop(db);
        let database = Database::open_or_create(&path, &Options::default()).unwrap();
        let files = database.files();
        let notes = files.lookup(ROOT, name("notes.md")).unwrap();
        assert_eq!((notes.uid, notes.gid, notes.size, notes.mtime), (7, 8, 5, Time { sec: 21, nsec: 0 }));
        assert_eq!(files.read(notes.ino, 0, 99).unwrap(), b"hello");
        let link = files.lookup(ROOT, name("link")).unwrap().ino;
        assert_eq!(files.readlink(link).unwrap(), "notes.md");
        assert!(file(&*files, ROOT, "new") > 5);
    }
}

#[test]
fn numbers_that_were_given_do_not_come_back() {
    let (_folder, path) = old(true, true, false);
    Connection::open(&path)
        .unwrap()
        .execute_batch(
            "INSERT INTO sqlite_sequence VALUES ('fs_inode', 70); INSERT INTO sqlite_sequence VALUES ('fs_inode', 3);",
        )
        .unwrap();
    migrate(&path, &Backing::Sqlite, Some(&path.with_file_name("copy.db"))).unwrap();
    let db = Connection::open(&path).unwrap();
    db.execute("INSERT INTO fs_inode (mode, atime, mtime, ctime) VALUES (33188, 0, 0, 0)", []).unwrap();
    assert_eq!(db.last_insert_rowid(), 71);
}

#[test]
fn what_cannot_be_migrated_is_left_byte_for_byte() {
    let (folder, path) = old(false, false, true);
    // Rows that the new table has no room for, so that it fails in the middle; a log, so that it has two files to mind.
    let db = Connection::open(&path).unwrap();
    db.execute_batch(
        "PRAGMA wal_autocheckpoint = 0; CREATE TABLE nixbox_new_fs_inode (a); INSERT INTO kv_store (key, value) VALUES ('z', '1');",
    )
    .unwrap();
    let after = tempfile::tempdir().unwrap();
    for name in ["x.db", "x.db-wal"] {
        std::fs::copy(folder.path().join(name), after.path().join(name)).unwrap();
    }
    let before = bytes(after.path());
    assert_eq!(before.len(), 2);
    let copy = after.path().join("copy.db");
    migrate(&after.path().join("x.db"), &Backing::Sqlite, Some(&copy)).unwrap_err();
    assert_eq!(bytes(after.path()), before);
}

#[test]
fn a_log_that_was_left_is_taken_along() {
    let (folder, path) = old(false, false, true);
    let db = Connection::open(&path).unwrap();
    db.execute_batch("PRAGMA wal_autocheckpoint = 0; INSERT INTO kv_store (key, value) VALUES ('z', '1');").unwrap();
    let after = tempfile::tempdir().unwrap();
    for name in ["x.db", "x.db-wal"] {
        std::fs::copy(folder.path().join(name), after.path().join(name)).unwrap();
    }
    let path = after.path().join("x.db");
    let before = bytes(after.path());
    check(&path, &Backing::Sqlite).unwrap_err();
    migrate(&path, &Backing::Sqlite, None).unwrap();
    assert_eq!(bytes(after.path()), before, "looking changed something");
    migrate(&path, &Backing::Sqlite, Some(&after.path().join("copy.db"))).unwrap();
    let copied = [std::fs::read(after.path().join("copy.db")), std::fs::read(after.path().join("copy.db-wal"))];
    assert_eq!(copied.map(Result::unwrap).to_vec(), before.into_iter().map(|(_, bytes)| bytes).collect::<Vec<_>>());
    let database = Database::open_or_create(&path, &Options::default()).unwrap();
    assert!(database.kv().get("z").unwrap().is_some());
}

#[test]
fn what_is_no_database_of_ours_is_not_migrated() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let copy = folder.path().join("copy.db");
    assert_eq!(migrate(&path, &Backing::Sqlite, Some(&copy)).unwrap_err().errno(), libc::ENOENT);
    std::fs::write(&path, b"").unwrap();
    assert!(matches!(migrate(&path, &Backing::Sqlite, Some(&copy)), Err(Error::NotAgentFs { .. })));
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE books (a)").unwrap();
    assert!(matches!(migrate(&path, &Backing::Sqlite, Some(&copy)), Err(Error::NotAgentFs { .. })));
    let mut scratch = Scratch::new();
    assert!(matches!(migrate(&scratch.path(), &Backing::Sqlite, None), Err(Error::Busy { .. })));
    scratch.close();
    scratch.sql().execute("UPDATE fs_config SET value = '0.10' WHERE key = 'schema_version'", []).unwrap();
    assert!(
        matches!(migrate(&scratch.path(), &Backing::Sqlite, None), Err(Error::NewSchema { found, .. }) if found == "0.10")
    );
    assert!(!copy.exists());
}
