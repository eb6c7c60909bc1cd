//! The front end over a real database: the same promises, and the content is there after the mount is gone.

#![allow(clippy::unwrap_used)]
mod common;

use std::ffi::OsStr;
use std::fs;

use common::{Test, can_mount, workload};
use nixbox_engine::{Database, FileSystem, Options, ROOT};

#[test]
fn programs_find_what_posix_promises() {
    if !can_mount() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let database = Database::open_or_create(&dir.path().join("a.db"), &Options::default()).unwrap();
    let mut test = Test::new(database.files());
    workload::run_all(&test.path());
    test.take().unmount(|| false).unwrap();
    database.close().unwrap();
}

#[test]
fn what_was_written_outlives_the_mount() {
    if !can_mount() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    let content: Vec<u8> = (0..300_000u32).map(|number| (number % 251) as u8).collect();
    let database = Database::open_or_create(&path, &Options::default()).unwrap();
    let mut test = Test::new(database.files());
    fs::write(test.path().join("big"), &content).unwrap();
    test.take().unmount(|| false).unwrap();
    database.close().unwrap();

    let database = Database::open_or_create(&path, &Options::default()).unwrap();
    let files = database.files();
    let attr = files.lookup(ROOT, OsStr::new("big")).unwrap();
    assert_eq!(files.read(attr.ino, 0, 300_000).unwrap(), content);
    let test = Test::new(files);
    assert_eq!(fs::read(test.path().join("big")).unwrap(), content);
}
