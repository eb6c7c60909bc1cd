//! Random sequences of calls, made to the engine and to a real folder of this machine: the same answers, errno for
//! errno, and the same tree in the end. The database is closed and opened in between.
#![allow(clippy::unwrap_used)]

mod support;

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nixbox_engine::*;
use proptest::prelude::*;
use support::model::*;

fn compare(chunk_size: u32, calls: &[Call]) {
    let folder = tempfile::tempdir().unwrap();
    // Not every file system counts a folder's folders.
    let counts_folders = folder.path().metadata().unwrap().nlink() == 2;
    let mut linux = Linux { root: folder.path().to_owned(), open: Default::default() };
    let mut engine = Engine::new(chunk_size, None);
    for (number, call) in calls.iter().enumerate() {
        let expected = linux.call(call);
        let got = engine.call(call);
        assert_eq!(got, expected, "call {number}, {call:?}");
    }
    let mut expected = Tree::new();
    linux_tree(&linux.root, Path::new(""), counts_folders, &mut expected);
    for round in 0..2 {
        let mut got = Tree::new();
        engine_tree(&*engine.files, ROOT, Path::new(""), counts_folders, &mut got);
        assert_eq!(got.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "round {round}");
        for (path, expected) in &expected {
            let got = &got[path];
            assert_eq!((got.0, got.1, got.2), (expected.0, expected.1, expected.2), "{path:?}, round {round}");
            assert!(got.3 == expected.3, "the content of {path:?}, round {round}");
        }
        engine.call(&Call::Reopen).unwrap();
    }
    let Engine { mut scratch, files, .. } = engine;
    drop(files);
    scratch.close();
    let db = scratch.sql();
    let sound: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok");
    let lost: i64 = db
        .query_row(
            "SELECT count(*) FROM (SELECT ino FROM fs_data UNION SELECT ino FROM fs_symlink UNION SELECT ino FROM \
             fs_dentry UNION SELECT parent_ino FROM fs_dentry) WHERE ino NOT IN (SELECT ino FROM fs_inode)",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(lost, 0, "rows without an inode");
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 2000, ..cases() })]

    #[test]
    fn the_engine_answers_as_linux_does(
        chunk_size in prop::sample::select(vec![16_u32, 100, 4096, 16384]),
        calls in prop::collection::vec(call(), 1..80),
    ) {
        // The permissions that are asked for are the ones that count.
        nix::sys::stat::umask(nix::sys::stat::Mode::empty());
        compare(chunk_size, &calls);
    }
}
