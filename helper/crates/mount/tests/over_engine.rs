//! The front end over a real database: the same promises, and the content is there after the mount is gone.

#![allow(clippy::unwrap_used)]
mod common;

use std::ffi::OsStr;
use std::fs;

use common::{Test, can_mount, workload};
use nixbox_engine::{BaseOptions, ByPath, Caller, Database, FileSystem, Mode, Options, ROOT};

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

/// A file system that knows no files without a name, as this mount is one: what is written there has a name of ours until
/// it is whole.
#[test]
fn a_real_folder_without_nameless_files_is_written_to_all_the_same() {
    if !can_mount() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let below = Database::open_or_create(&dir.path().join("below.db"), &Options::default()).unwrap();
    let mut test = Test::new(below.files());
    let base = Some(BaseOptions { path: test.path(), ..BaseOptions::default() });
    let options = Options { base, mode: Mode::Direct, ..Options::default() };
    let open = || Database::open_or_create(&dir.path().join("a.db"), &options).unwrap();
    let names = || -> Vec<_> {
        let mut names: Vec<_> = fs::read_dir(test.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let database = open();
    let files = ByPath::new(database.tree(), std::sync::Arc::new(()), Caller { uid: 0, gid: 0 });
    for content in ["first", "second"] {
        let mut writing = files.write(OsStr::new("/f"), false).unwrap();
        writing.push(content.as_bytes()).unwrap();
        let part = names().into_iter().find(|name| name.to_string_lossy().ends_with(".part"));
        assert!(part.is_some(), "{:?}", names());
        writing.finish().unwrap();
        assert_eq!(fs::read_to_string(test.path().join("f")).unwrap(), content);
        assert_eq!(names(), ["f"]);
    }
    let mut dropped = files.write(OsStr::new("/f"), false).unwrap();
    dropped.push(b"third").unwrap();
    drop(dropped);
    assert_eq!(names(), ["f"]);
    // Never given back, as by a kill: the next start takes it away.
    let mut left = files.write(OsStr::new("/f"), false).unwrap();
    left.push(b"fourth").unwrap();
    std::mem::forget(left);
    drop(files);
    database.close().unwrap();
    assert_eq!(names().len(), 2);
    let database = open();
    assert_eq!(names(), ["f"]);
    assert_eq!(fs::read_to_string(test.path().join("f")).unwrap(), "second");
    database.close().unwrap();
    test.take().unmount(|| false).unwrap();
    below.close().unwrap();
}
