//! Mode, owner and times of what only the base has: changed without a copy, and kept through everything that follows.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use nixbox_engine::*;
use support::*;
use tempfile::TempDir;

const LARGE: usize = 6 << 20;

fn base() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("d")).unwrap();
    for (path, content) in [("d/large", pattern(LARGE, 1)), ("d/small", b"small".to_vec())] {
        fs::write(folder.path().join(path), content).unwrap();
        fs::set_permissions(folder.path().join(path), fs::Permissions::from_mode(0o644)).unwrap();
    }
    symlink("small", folder.path().join("d/link")).unwrap();
    folder
}

fn perm(perm: u16) -> AttrChange {
    AttrChange { perm: Some(perm), ..AttrChange::default() }
}

fn at(sec: i64) -> AttrChange {
    let time = Some(TimeChange::At(Time { sec, nsec: 7 }));
    AttrChange { atime: time, mtime: time, ..AttrChange::default() }
}

fn find(tree: &dyn FileSystem, path: &str) -> Attr {
    path.split('/').fold(tree.getattr(ROOT).unwrap(), |attr, step| tree.lookup(attr.ino, name(step)).unwrap())
}

fn changes(scratch: &Scratch) -> Vec<(String, ChangeKind)> {
    let changes = scratch.overlay().changes().unwrap();
    changes.into_iter().map(|change| (change.path.display().to_string(), change.kind)).collect()
}

const MODE: ChangeKind = ChangeKind::Modified { content: false, mode: true };

fn rows(scratch: &mut Scratch, table: &str) -> i64 {
    scratch.close();
    let rows = scratch.sql().query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
    scratch.open();
    rows
}

#[test]
fn a_change_of_attributes_alone_copies_nothing() {
    let base = base();
    let mut scratch = Scratch::over(base.path());
    let tree = scratch.tree();
    let large = find(&*tree, "d/large");
    assert_eq!(tree.setattr(large.ino, perm(0o4711)).unwrap().perm, 0o4711);
    tree.setattr(large.ino, AttrChange { uid: Some(5), gid: Some(6), ..AttrChange::default() }).unwrap();
    tree.setattr(large.ino, at(1_000)).unwrap();
    tree.setattr(find(&*tree, "d").ino, perm(0o700)).unwrap();
    tree.setattr(find(&*tree, "d/link").ino, at(2_000)).unwrap();
    drop(tree);
    let mut numbers = vec![large.ino];
    for round in 0..2 {
        let tree = scratch.tree();
        let now = find(&*tree, "d/large");
        numbers.push(now.ino);
        assert_eq!((now.perm, now.uid, now.gid, now.mtime.sec, now.mtime.nsec), (0o4711, 5, 6, 1_000, 7), "{round}");
        assert_eq!((find(&*tree, "d").perm, find(&*tree, "d/link").mtime.sec), (0o700, 2_000));
        let listed = tree.readdir(find(&*tree, "d").ino).unwrap();
        assert_eq!(listed.iter().find(|entry| entry.name == "large").unwrap().attr.perm, 0o4711);
        assert_eq!(changes(&scratch), [("d".into(), MODE), ("d/large".into(), MODE)]);
        drop(tree);
        scratch.reopen();
    }
    assert!(numbers.iter().all(|number| *number == large.ino));
    assert_eq!((rows(&mut scratch, "fs_dentry"), rows(&mut scratch, "fs_data")), (0, 0));
    assert!(fs::metadata(scratch.path()).unwrap().len() < 1 << 20);
    assert_eq!(fs::metadata(base.path().join("d/large")).unwrap().permissions().mode() & 0o7777, 0o644);
    // Set back, it is no change, and costs nothing either.
    let tree = scratch.tree();
    let ours = fs::metadata(base.path()).unwrap();
    let owner = {
        use std::os::unix::fs::MetadataExt;
        AttrChange { uid: Some(ours.uid()), gid: Some(ours.gid()), ..perm(0o644) }
    };
    tree.setattr(find(&*tree, "d/large").ino, owner).unwrap();
    assert_eq!(changes(&scratch), [("d".into(), MODE)]);
}

#[test]
fn a_later_write_takes_them_along() {
    let base = base();
    let mut scratch = Scratch::over(base.path());
    let tree = scratch.tree();
    for path in ["d/large", "d/small"] {
        let attr = find(&*tree, path);
        tree.setattr(attr.ino, perm(0o711)).unwrap();
        tree.setattr(attr.ino, at(1_000)).unwrap();
        tree.write(attr.ino, 0, b"X").unwrap();
        let now = tree.getattr(attr.ino).unwrap();
        assert_eq!((now.perm, now.atime.sec, now.size), (0o711, 1_000, attr.size));
        assert_ne!(now.mtime.sec, 1_000);
    }
    drop(tree);
    assert_eq!(rows(&mut scratch, "nixbox_attr"), 0);
    let both = ChangeKind::Modified { content: true, mode: true };
    assert_eq!(changes(&scratch), [("d/large".into(), both), ("d/small".into(), both)]);
    assert!(scratch.overlay().changes().unwrap().iter().all(|change| !change.diverged));
}

#[test]
fn they_go_with_the_name_and_move_with_the_file() {
    let base = base();
    let mut scratch = Scratch::over(base.path());
    let tree = scratch.tree();
    let d = find(&*tree, "d").ino;
    for path in ["d/large", "d/small"] {
        tree.setattr(find(&*tree, path).ino, perm(0o711)).unwrap();
    }
    tree.rename((d, name("large")), (d, name("small")), Rename::Replace).unwrap();
    assert_eq!(find(&*tree, "d/small").perm, 0o711);
    assert_eq!(rows(&mut scratch, "nixbox_attr"), 0);
    let tree = scratch.tree();
    let d = find(&*tree, "d").ino;
    tree.unlink(d, name("small")).unwrap();
    let made = tree.create(d, name("small"), node(Kind::File, 0o600)).unwrap();
    assert_eq!(made.perm, 0o600);
    // A folder with all that is in it.
    tree.setattr(find(&*tree, "d/link").ino, at(2_000)).unwrap();
    tree.rename((ROOT, name("d")), (ROOT, name("e")), Rename::Replace).unwrap();
    assert_eq!(find(&*tree, "e/link").mtime.sec, 2_000);
    drop(tree);
    assert_eq!(rows(&mut scratch, "nixbox_attr"), 0);
}

#[test]
fn an_open_file_that_loses_its_name_keeps_them() {
    let base = base();
    let scratch = Scratch::over(base.path());
    let tree = scratch.tree();
    let small = find(&*tree, "d/small").ino;
    tree.setattr(small, perm(0o711)).unwrap();
    tree.open(small).unwrap();
    tree.unlink(find(&*tree, "d").ino, name("small")).unwrap();
    let now = tree.getattr(small).unwrap();
    assert_eq!((now.perm, now.nlink), (0o711, 0));
    assert_eq!(tree.read(small, 0, 10).unwrap(), b"small");
}

#[test]
fn what_others_write_to_the_base_is_not_hidden_by_an_old_time() {
    let base = base();
    let scratch = Scratch::over(base.path());
    let tree = scratch.tree();
    let small = find(&*tree, "d/small").ino;
    tree.setattr(small, perm(0o711)).unwrap();
    tree.setattr(small, at(1_000)).unwrap();
    let path = base.path().join("d/small");
    fs::write(&path, "other").unwrap();
    let later = SystemTime::UNIX_EPOCH + Duration::from_secs(5_000);
    File::options().write(true).open(&path).unwrap().set_modified(later).unwrap();
    let now = find(&*tree, "d/small");
    assert_eq!((now.perm, now.mtime.sec), (0o711, 5_000));
    let change = scratch.overlay().changes().unwrap().remove(0);
    assert!(change.diverged && change.kind == MODE && change.path == Path::new("d/small"));
    // Another kind of file is another file.
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(find(&*tree, "d/small").perm, 0o755);
}
