//! Small files that the kernel is given when they are opened: that it is, and that it never has anything old for it.
#![allow(clippy::unwrap_used)]
mod common;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use common::memory::Memory;
use common::{Test, can_mount};
use nixbox_engine::{AttrChange, BaseOptions, Caller, Database, FileSystem, Kind, NewNode, Options, ROOT, Witness};

const ROUNDS: u32 = 200;

#[test]
fn a_small_file_is_asked_for_once() {
    if !can_mount() {
        return;
    }
    let tree = Arc::new(Memory::default());
    let sizes = [1, 100, 4096, 5000, 128 * 1024];
    let caller = Caller { uid: 0, gid: 0 };
    for (number, size) in sizes.into_iter().enumerate() {
        let node = NewNode { kind: Kind::File, perm: 0o644, rdev: 0, caller };
        let made = tree.create(ROOT, OsStr::new(&number.to_string()), node).unwrap();
        tree.write(made.ino, 0, &vec![number as u8; size]).unwrap();
        tree.forget(made.ino, 1);
    }
    let test = Test::new(tree.clone());
    for (number, size) in sizes.into_iter().enumerate() {
        let before = tree.reads();
        for _ in 0..3 {
            assert!(fs::read(test.path().join(number.to_string())).unwrap() == vec![number as u8; size]);
        }
        assert_eq!(tree.reads() - before, 1, "{size}");
    }
}

/// One file a round, of which nobody knows anything before it.
fn rounds(play: impl Fn(&Test, &Arc<dyn FileSystem>, &std::path::Path, &str)) {
    if !can_mount() {
        return;
    }
    let (base, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for round in 0..ROUNDS {
        fs::write(base.path().join(format!("f{round}")), "old".repeat(round as usize + 1)).unwrap();
    }
    let below = BaseOptions { path: base.path().to_owned(), ..BaseOptions::default() };
    let options = Options { base: Some(below), ..Options::default() };
    let database = Database::open_or_create(&folder.path().join("a.db"), &options).unwrap();
    let tree = database.tree();
    let test = Test::new(tree.clone());
    for round in 0..ROUNDS {
        let path = test.path().join(format!("f{round}"));
        let reader = thread::spawn(move || fs::read(path).unwrap());
        // Now in the middle of the opening, now before or after it.
        thread::sleep(Duration::from_micros(u64::from(round % 20) * 20));
        play(&test, &tree, base.path(), &format!("f{round}"));
        reader.join().unwrap();
        let seen = fs::read_to_string(test.path().join(format!("f{round}"))).unwrap();
        assert_eq!(seen, "new".repeat(round as usize + 1), "f{round}");
    }
}

fn new(name: &str) -> String {
    "new".repeat(name[1..].parse::<usize>().unwrap() + 1)
}

#[test]
fn what_a_verb_changes_while_a_file_is_opened_is_seen() {
    rounds(|test, tree, _, name| {
        let attr = tree.lookup(ROOT, OsStr::new(name)).unwrap();
        tree.setattr(attr.ino, AttrChange { size: Some(0), ..AttrChange::default() }).unwrap();
        tree.write(attr.ino, 0, new(name).as_bytes()).unwrap();
        test.mounted.as_ref().unwrap().notices().inode_changed(attr.ino);
        tree.forget(attr.ino, 1);
    });
}

#[test]
fn what_changes_in_the_base_while_a_file_is_opened_is_seen() {
    rounds(|_, _, base, name| fs::write(base.join(name), new(name)).unwrap());
}

#[test]
fn who_writes_to_a_file_while_another_opens_it_reads_what_was_written() {
    rounds(|test, _, _, name| {
        let file = fs::OpenOptions::new().read(true).write(true).open(test.path().join(name)).unwrap();
        let (wanted, mut seen) = (new(name), vec![0; new(name).len()]);
        file.write_all_at(wanted.as_bytes(), 0).unwrap();
        file.read_exact_at(&mut seen, 0).unwrap();
        assert_eq!(String::from_utf8(seen).unwrap(), wanted);
    });
}

#[test]
fn a_file_that_is_cut_short_while_another_opens_it_stays_so() {
    rounds(|test, _, _, name| {
        let path = test.path().join(name);
        let cut = std::process::Command::new("truncate").args(["-s", "2"]).arg(&path).status().unwrap();
        assert!(cut.success());
        assert_eq!(fs::metadata(&path).unwrap().len(), 2);
        fs::write(&path, new(name)).unwrap();
    });
}
