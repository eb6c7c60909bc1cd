//! Names: what may be made, linked, moved and removed, and what the answers are where it may not.
#![allow(clippy::unwrap_used)]

mod support;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use nixbox_engine::*;
use support::*;

#[test]
fn what_is_made_is_found_again_after_reopening() {
    let mut scratch = Scratch::new();
    let files = scratch.files();
    let dir = folder(&*files, ROOT, "dir");
    let ino = file(&*files, dir, "file");
    files.write(ino, 0, b"hello").unwrap();
    files.symlink(dir, name("link"), name("file"), ME).unwrap();
    drop(files);

    let files = scratch.reopen();
    assert_eq!(names(&*files, ROOT), ["dir"]);
    assert_eq!(names(&*files, dir), ["file", "link"]);
    let attr = files.lookup(dir, name("file")).unwrap();
    assert_eq!((attr.ino, attr.kind, attr.perm, attr.nlink, attr.size), (ino, Kind::File, 0o644, 1, 5));
    assert_eq!((attr.uid, attr.gid), (1000, 100));
    assert_eq!(files.read(ino, 0, 100).unwrap(), b"hello");
    let link = files.lookup(dir, name("link")).unwrap();
    assert_eq!((link.kind, link.size), (Kind::Symlink, 4));
    assert_eq!(files.readlink(link.ino).unwrap(), "file");
}

#[test]
fn a_new_root_belongs_to_whoever_made_the_database_and_stays_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    for uid in [7, 8] {
        let options = Options { owner: Some(Caller { uid, gid: uid + 1 }), ..options() };
        let database = Database::open_or_create(&path, &options).unwrap();
        let root = database.files().getattr(ROOT).unwrap();
        assert_eq!((root.uid, root.gid, root.perm, root.nlink), (7, 8, 0o755, 2));
        database.close().unwrap();
    }
}

#[test]
fn names_have_limits() {
    let scratch = Scratch::new();
    let files = scratch.files();
    let longest = "ü".repeat(127) + "x";
    assert_eq!(longest.len(), 255);
    let ino = file(&*files, ROOT, &longest);
    assert_eq!(files.lookup(ROOT, name(&longest)).unwrap().ino, ino);
    let make = |name: &OsStr| files.create(ROOT, name, node(Kind::File, 0o644));
    refused(make(name(&"x".repeat(256))), libc::ENAMETOOLONG);
    refused(files.lookup(ROOT, name(&"x".repeat(256))), libc::ENAMETOOLONG);
    refused(make(OsStr::from_bytes(b"\xff")), libc::EILSEQ);
    refused(files.lookup(ROOT, OsStr::from_bytes(b"\xff")), libc::ENOENT);
    for odd in ["", ".", "..", "a/b", "a\0b"] {
        refused(make(name(odd)), libc::EINVAL);
    }
    refused(files.symlink(ROOT, name("l"), name(&"x".repeat(4096)), ME), libc::ENAMETOOLONG);
    refused(files.symlink(ROOT, name("l"), name(""), ME), libc::ENOENT);
    refused(files.symlink(ROOT, name("l"), OsStr::from_bytes(b"\xff"), ME), libc::EILSEQ);
}

#[test]
fn hard_links_share_one_inode() {
    let scratch = Scratch::new();
    let files = scratch.files();
    let ino = file(&*files, ROOT, "a");
    let dir = folder(&*files, ROOT, "d");
    assert_eq!(files.link(ino, dir, name("b")).unwrap().nlink, 2);
    files.write(ino, 0, b"shared").unwrap();
    files.unlink(ROOT, name("a")).unwrap();
    let attr = files.lookup(dir, name("b")).unwrap();
    assert_eq!((attr.ino, attr.nlink), (ino, 1));
    assert_eq!(files.read(ino, 0, 9).unwrap(), b"shared");
    refused(files.link(dir, ROOT, name("e")), libc::EPERM);
    refused(files.link(ino, dir, name("b")), libc::EEXIST);
    files.unlink(dir, name("b")).unwrap();
    refused(files.link(ino, ROOT, name("back")), libc::ENOENT);
}

#[test]
fn removing_answers_like_unlink_and_rmdir() {
    let scratch = Scratch::new();
    let files = scratch.files();
    let dir = folder(&*files, ROOT, "d");
    let ino = file(&*files, dir, "f");
    refused(files.unlink(ROOT, name("d")), libc::EISDIR);
    refused(files.rmdir(ROOT, name("d")), libc::ENOTEMPTY);
    refused(files.rmdir(dir, name("f")), libc::ENOTDIR);
    refused(files.unlink(dir, name("none")), libc::ENOENT);
    refused(files.lookup(ino, name("x")), libc::ENOTDIR);
    refused(files.create(ino, name("x"), node(Kind::File, 0)), libc::ENOTDIR);
    refused(files.readdir(ino), libc::ENOTDIR);
    files.unlink(dir, name("f")).unwrap();
    files.rmdir(ROOT, name("d")).unwrap();
    refused(files.create(dir, name("late"), node(Kind::File, 0)), libc::ENOENT);
    assert!(files.readdir(dir).unwrap().is_empty());
}

#[test]
fn directories_count_their_folders() {
    let scratch = Scratch::new();
    let files = scratch.files();
    let links = |ino| files.getattr(ino).unwrap().nlink;
    let a = folder(&*files, ROOT, "a");
    let b = folder(&*files, ROOT, "b");
    folder(&*files, a, "c");
    file(&*files, a, "f");
    assert_eq!((links(ROOT), links(a), links(b)), (4, 3, 2));
    files.rename((a, name("c")), (b, name("c")), Rename::Replace).unwrap();
    assert_eq!((links(ROOT), links(a), links(b)), (4, 2, 3));
    let empty = folder(&*files, ROOT, "empty");
    files.rename((b, name("c")), (ROOT, name("empty")), Rename::Replace).unwrap();
    assert_eq!((links(ROOT), links(a), links(b), links(empty)), (5, 2, 2, 0));
    files.rmdir(ROOT, name("empty")).unwrap();
    assert_eq!(links(ROOT), 4);
}

#[test]
fn rename_answers_as_posix_says() {
    let scratch = Scratch::new();
    let files = scratch.files();
    let a = folder(&*files, ROOT, "a");
    let b = folder(&*files, a, "b");
    let f = file(&*files, ROOT, "f");
    let g = file(&*files, b, "g");
    let rename = |from, to, how| files.rename(from, to, how);
    let long = "x".repeat(256);
    refused(rename((ROOT, name("a")), (b, name("x")), Rename::Replace), libc::EINVAL);
    refused(rename((ROOT, name("a")), (a, name("x")), Rename::Replace), libc::EINVAL);
    refused(rename((ROOT, name("f")), (ROOT, name("a")), Rename::Replace), libc::EISDIR);
    refused(rename((ROOT, name("a")), (ROOT, name("f")), Rename::Replace), libc::ENOTDIR);
    refused(rename((b, name("g")), (ROOT, name("a")), Rename::Replace), libc::ENOTEMPTY);
    folder(&*files, ROOT, "e");
    refused(rename((ROOT, name("e")), (ROOT, name("a")), Rename::Replace), libc::ENOTEMPTY);
    refused(rename((ROOT, name("f")), (b, name("g")), Rename::NoReplace), libc::EEXIST);
    refused(rename((ROOT, name("none")), (b, name("g")), Rename::Replace), libc::ENOENT);
    refused(rename((ROOT, name("f")), (b, name(&long)), Rename::Replace), libc::ENAMETOOLONG);

    files.write(f, 0, b"new").unwrap();
    rename((ROOT, name("f")), (b, name("g")), Rename::Replace).unwrap();
    assert_eq!(files.lookup(b, name("g")).unwrap().ino, f);
    refused(files.lookup(ROOT, name("f")), libc::ENOENT);
    assert_eq!(files.getattr(g).unwrap().nlink, 0, "the replaced file lives while it is referred to");

    files.link(f, ROOT, name("same")).unwrap();
    rename((ROOT, name("same")), (b, name("g")), Rename::Replace).unwrap();
    assert_eq!(files.lookup(ROOT, name("same")).unwrap().nlink, 2, "two names of one file stay");

    rename((a, name("b")), (ROOT, name("b")), Rename::NoReplace).unwrap();
    assert_eq!(files.parent(b).unwrap(), ROOT);
    assert_eq!(names(&*files, ROOT), ["a", "b", "e", "same"]);
}

#[test]
fn an_unlinked_file_lives_until_nobody_refers_to_it() {
    let mut scratch = Scratch::new();
    let files = scratch.files();
    let ino = file(&*files, ROOT, "f");
    files.open(ino).unwrap();
    files.unlink(ROOT, name("f")).unwrap();
    files.write(ino, 0, b"still here").unwrap();
    files.fsync(ino).unwrap();
    assert_eq!(files.read(ino, 6, 4).unwrap(), b"here");
    files.forget(ino, 1);
    assert_eq!(files.getattr(ino).unwrap().nlink, 0);
    files.release(ino);
    drop(files);
    scratch.close();
    let rows: i64 = scratch
        .sql()
        .query_row("SELECT (SELECT count(*) FROM fs_inode) + (SELECT count(*) FROM fs_data)", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 1, "only the root is left");
}

#[test]
fn inode_numbers_never_come_back() {
    let mut scratch = Scratch::new();
    let mut last = ROOT;
    for round in 0..3 {
        let files = scratch.files();
        for _ in 0..3 {
            let ino = file(&*files, ROOT, "f");
            assert!(ino > last, "round {round}: {ino} after {last}");
            last = ino;
            files.unlink(ROOT, name("f")).unwrap();
            files.forget(ino, 1);
        }
        drop(files);
        scratch.close();
        if round == 0 {
            // As upstream's CLI leaves the schema.
            let db = scratch.sql();
            db.execute_batch(
                "PRAGMA writable_schema = ON;
                 UPDATE sqlite_master SET sql = replace(sql, ' AUTOINCREMENT', '') WHERE name = 'fs_inode';
                 DELETE FROM sqlite_sequence WHERE name = 'fs_inode';",
            )
            .unwrap();
            last = ROOT;
        }
        scratch.open();
    }
}

#[test]
fn groups_pass_down_from_a_directory_with_sgid() {
    let scratch = Scratch::new();
    let files = scratch.files();
    let dir = files.create(ROOT, name("d"), node(Kind::Directory, 0o2775)).unwrap().ino;
    files.setattr(dir, AttrChange { gid: Some(77), ..AttrChange::default() }).unwrap();
    let inside = files.create(dir, name("f"), node(Kind::File, 0o644)).unwrap();
    assert_eq!((inside.gid, inside.perm), (77, 0o644));
    let below = files.create(dir, name("sub"), node(Kind::Directory, 0o755)).unwrap();
    assert_eq!((below.gid, below.perm), (77, 0o2755));
}

#[test]
fn special_files_and_devices_keep_their_kind() {
    let mut scratch = Scratch::new();
    let files = scratch.files();
    let kinds = [Kind::Fifo, Kind::Socket, Kind::CharDevice, Kind::BlockDevice];
    for (number, kind) in kinds.into_iter().enumerate() {
        let made = NewNode { rdev: 0x0103, ..node(kind, 0o600) };
        files.create(ROOT, name(&number.to_string()), made).unwrap();
    }
    drop(files);
    let files = scratch.reopen();
    for (number, kind) in kinds.into_iter().enumerate() {
        let attr = files.lookup(ROOT, name(&number.to_string())).unwrap();
        let rdev = if matches!(kind, Kind::CharDevice | Kind::BlockDevice) { 0x0103 } else { 0 };
        assert_eq!((attr.kind, attr.rdev), (kind, rdev));
        refused(files.write(attr.ino, 0, b"x"), libc::EINVAL);
    }
}

#[test]
fn times_follow_what_happens() {
    let scratch = Scratch::new();
    let files = scratch.files();
    let old = Time { sec: -5, nsec: 999_999_999 };
    let age = |ino| {
        let times =
            AttrChange { atime: Some(TimeChange::At(old)), mtime: Some(TimeChange::At(old)), ..AttrChange::default() };
        let attr = files.setattr(ino, times).unwrap();
        assert_eq!((attr.atime, attr.mtime), (old, old));
        assert!(attr.ctime.sec > 0);
        attr.ctime
    };
    let ino = file(&*files, ROOT, "f");
    age(ROOT);
    let changed = age(ino);
    assert_eq!(files.read(ino, 0, 1).unwrap(), b"");
    assert_eq!(files.getattr(ino).unwrap().atime, old, "reading writes nothing");
    let perm = files.setattr(ino, AttrChange { perm: Some(0o600), ..AttrChange::default() }).unwrap();
    assert!(perm.ctime >= changed);
    assert_eq!((perm.mtime, perm.perm), (old, 0o600));
    files.write(ino, 0, b"x").unwrap();
    let written = files.getattr(ino).unwrap();
    assert!(written.mtime > old && written.mtime == written.ctime);
    assert_eq!(files.getattr(ROOT).unwrap().mtime, old, "writing a file leaves its directory");
    files.link(ino, ROOT, name("g")).unwrap();
    assert!(files.getattr(ROOT).unwrap().mtime > old);
    age(ROOT);
    files.unlink(ROOT, name("g")).unwrap();
    assert!(files.getattr(ROOT).unwrap().mtime > old);
}

#[test]
fn read_only_refuses_every_change() {
    let mut scratch = Scratch::new();
    let ino = file(&*scratch.files(), ROOT, "f");
    scratch.close();
    scratch.options.read_only = true;
    let files = scratch.open();
    assert_eq!(files.lookup(ROOT, name("f")).unwrap().ino, ino);
    refused(files.write(ino, 0, b"x"), libc::EROFS);
    refused(files.unlink(ROOT, name("f")), libc::EROFS);
    refused(files.setattr(ino, AttrChange::default()), libc::EROFS);
    files.fsync(ino).unwrap();
}
