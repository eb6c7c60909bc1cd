//! Instances that write to the base itself, and those of which nothing is left.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;

use nixbox_engine::*;
use support::*;
use tempfile::TempDir;

fn options(mode: Mode, base: Option<&Path>) -> Options {
    let base = base.map(|path| BaseOptions {
        path: path.to_owned(),
        hidden: vec![path.join("state/mnt")],
        exclude: vec!["*.secret".into()],
    });
    Options { mode, base, ..Options::default() }
}

/// A real folder with something of each kind, and a place outside that a link leads to.
fn project() -> (TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().canonicalize().unwrap().join("base");
    for path in ["src/deep", "state/mnt"] {
        fs::create_dir_all(base.join(path)).unwrap();
    }
    fs::write(folder.path().join("outside"), "outside").unwrap();
    fs::write(base.join("src/a"), "one").unwrap();
    fs::write(base.join("key.secret"), "hush").unwrap();
    fs::write(base.join("state/mnt/ghost"), "").unwrap();
    symlink("..", base.join("up")).unwrap();
    symlink("../outside", base.join("out")).unwrap();
    (folder, base)
}

fn direct(base: &Path) -> (Scratch, Arc<dyn FileSystem>) {
    let scratch = Scratch::with_options(options(Mode::Direct, Some(base)));
    let tree = scratch.tree();
    (scratch, tree)
}

#[test]
fn direct_writes_to_the_folder_itself() {
    let (_folder, base) = project();
    let (mut scratch, tree) = direct(&base);
    let src = tree.lookup(ROOT, name("src")).unwrap().ino;
    let a = tree.lookup(src, name("a")).unwrap();
    assert_eq!(a.ino, base.join("src/a").metadata().unwrap().ino(), "numbers are the system's");
    tree.open(a.ino).unwrap();
    tree.write(a.ino, 3, b" two").unwrap();
    assert_eq!(tree.read(a.ino, 0, 100).unwrap(), b"one two");
    tree.release(a.ino);
    assert_eq!(fs::read_to_string(base.join("src/a")).unwrap(), "one two");
    // And what others do is seen at once.
    fs::write(base.join("src/a"), "three").unwrap();
    assert_eq!(tree.read(a.ino, 0, 100).unwrap(), b"three");
    let b = file(&*tree, src, "b");
    tree.setattr(b, AttrChange { perm: Some(0o600), size: Some(10), ..AttrChange::default() }).unwrap();
    let meta = base.join("src/b").metadata().unwrap();
    assert_eq!((meta.permissions().mode() & 0o7777, meta.len()), (0o600, 10));
    tree.rename((src, name("b")), (ROOT, name("c")), Rename::NoReplace).unwrap();
    refused(tree.rename((src, name("a")), (ROOT, name("c")), Rename::NoReplace), libc::EEXIST);
    assert_eq!(tree.getattr(b).unwrap().size, 10);
    tree.unlink(ROOT, name("c")).unwrap();
    assert!(!base.join("c").exists() && !base.join("src/b").exists());
    let d = folder(&*tree, ROOT, "d");
    refused(tree.rmdir(ROOT, name("src")), libc::ENOTEMPTY);
    tree.symlink(d, name("l"), name("target"), ME).unwrap();
    assert_eq!(fs::read_link(base.join("d/l")).unwrap(), Path::new("target"));
    tree.link(a.ino, d, name("hard")).unwrap();
    assert_eq!(base.join("d/hard").metadata().unwrap().nlink(), 2);
    assert_eq!(tree.getattr(a.ino).unwrap().nlink, 2);
    drop(tree);
    scratch.close();
    let held: i64 = scratch.sql().query_row("SELECT count(*) FROM fs_inode", [], |row| row.get(0)).unwrap();
    assert_eq!(held, 1, "the database holds no file");
}

#[test]
fn direct_leads_nowhere_else() {
    let (folder, base) = project();
    let (_scratch, tree) = direct(&base);
    let listed: Vec<_> = tree.readdir(ROOT).unwrap().into_iter().map(|entry| entry.name).collect();
    assert_eq!(listed, ["out", "src", "state", "up"], "what is excluded is not there");
    let state = tree.lookup(ROOT, name("state")).unwrap().ino;
    assert_eq!(tree.readdir(state).unwrap(), []);
    for hidden in
        [(ROOT, "key.secret"), (state, "mnt"), (ROOT, ".."), (ROOT, "."), (ROOT, "src/a"), (ROOT, "../outside")]
    {
        refused(tree.lookup(hidden.0, name(hidden.1)), libc::ENOENT);
    }
    // A link is a link, whatever lies behind it.
    let up = tree.lookup(ROOT, name("up")).unwrap();
    assert_eq!(up.kind, Kind::Symlink);
    refused(tree.lookup(up.ino, name("outside")), libc::ENOTDIR);
    let out = tree.lookup(ROOT, name("out")).unwrap().ino;
    refused(tree.read(out, 0, 10), libc::EINVAL);
    refused(tree.write(out, 0, b"x"), libc::EINVAL);
    refused(tree.setattr(out, AttrChange { perm: Some(0o777), ..AttrChange::default() }), libc::EOPNOTSUPP);
    let me = Time { sec: 1, nsec: 2 };
    tree.setattr(out, AttrChange { mtime: Some(TimeChange::At(me)), ..AttrChange::default() }).unwrap();
    assert_eq!(tree.getattr(out).unwrap().mtime, me);
    assert_ne!(folder.path().join("outside").metadata().unwrap().mtime(), 1, "the link's own time, not its target's");
    // A folder that is swapped for a link between two calls.
    let src = tree.lookup(ROOT, name("src")).unwrap().ino;
    let deep = tree.lookup(src, name("deep")).unwrap().ino;
    fs::rename(base.join("src/deep"), base.join("src/was")).unwrap();
    symlink("../..", base.join("src/deep")).unwrap();
    for (errno, answer) in [
        (libc::ESTALE, tree.lookup(deep, name("outside")).map(drop)),
        (libc::ESTALE, tree.create(deep, name("new"), node(Kind::File, 0o644)).map(drop)),
        (libc::ESTALE, tree.unlink(deep, name("outside"))),
        (libc::ESTALE, tree.readdir(deep).map(drop)),
    ] {
        refused(answer, errno);
    }
    assert_eq!(fs::read_to_string(folder.path().join("outside")).unwrap(), "outside");
    // What would not be seen is not made, and the mountpoint stays where it is.
    refused(tree.create(ROOT, name("my.secret"), node(Kind::File, 0o644)), libc::EPERM);
    refused(tree.rename((ROOT, name("state")), (ROOT, name("moved")), Rename::Replace), libc::EBUSY);
    refused(tree.rmdir(ROOT, name("state")), libc::EBUSY);
}

#[test]
fn direct_files_outlive_their_names_and_their_modes() {
    let (_folder, base) = project();
    let (_scratch, tree) = direct(&base);
    let attr = tree.create(ROOT, name("locked"), node(Kind::File, 0o000)).unwrap();
    tree.open(attr.ino).unwrap();
    tree.write(attr.ino, 0, b"kept").unwrap();
    tree.unlink(ROOT, name("locked")).unwrap();
    tree.write(attr.ino, 4, b" on").unwrap();
    assert_eq!(tree.read(attr.ino, 0, 100).unwrap(), b"kept on");
    assert_eq!(tree.getattr(attr.ino).unwrap().nlink, 0);
    tree.setattr(attr.ino, AttrChange { perm: Some(0o600), ..AttrChange::default() }).unwrap();
    tree.release(attr.ino);
    tree.forget(attr.ino, 1);
    refused(tree.getattr(attr.ino), libc::ESTALE);
}

#[test]
fn direct_read_only_changes_nothing() {
    let (_folder, base) = project();
    let mut options = options(Mode::Direct, Some(&base));
    options.read_only = true;
    let scratch = Scratch::with_options(options);
    let tree = scratch.tree();
    let src = tree.lookup(ROOT, name("src")).unwrap().ino;
    let a = tree.lookup(src, name("a")).unwrap().ino;
    refused(tree.write(a, 0, b"x"), libc::EROFS);
    refused(tree.unlink(src, name("a")), libc::EROFS);
    refused(tree.create(src, name("b"), node(Kind::File, 0o644)), libc::EROFS);
    refused(tree.setattr(a, AttrChange { perm: Some(0), ..AttrChange::default() }), libc::EROFS);
}

#[test]
fn direct_hides_no_files_of_a_database() {
    let (_folder, base) = project();
    let mut scratch = Scratch::with_options(options(Mode::Overlay, Some(&base)));
    scratch.close();
    scratch.options.mode = Mode::Direct;
    scratch.open();
    scratch.close();
    scratch.options.mode = Mode::Overlay;
    scratch.open();
    file(&*scratch.tree(), ROOT, "mine");
    scratch.close();
    scratch.options.mode = Mode::Direct;
    let refused = Database::open_or_create(&scratch.path(), &scratch.options);
    assert!(matches!(refused.err(), Some(Error::HoldsFiles { .. })));
}

#[test]
fn ephemeral_leaves_nothing_and_is_a_whole_file_system() {
    let (_folder, base) = project();
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("x.db");
    {
        let database = Database::open_or_create(&path, &options(Mode::Ephemeral, Some(&base))).unwrap();
        let tree = database.tree();
        let src = tree.lookup(ROOT, name("src")).unwrap().ino;
        let a = tree.lookup(src, name("a")).unwrap().ino;
        tree.write(a, 3, b" two").unwrap();
        // More than SQLite keeps in memory.
        let big = file(&*tree, ROOT, "big");
        let content = pattern(40 << 20, 1);
        for (index, piece) in content.chunks(1 << 20).enumerate() {
            tree.write(big, (index as u64) << 20, piece).unwrap();
        }
        tree.fsync(big).unwrap();
        refused(tree.create(ROOT, name("big"), node(Kind::File, 0o644)), libc::EEXIST);
        assert!(tree.read(big, 0, 40 << 20).unwrap() == content);
        assert_eq!(database.overlay().unwrap().changes().unwrap().len(), 2);
        database.kv().set("k", "1").unwrap();
        assert_eq!(place.path().read_dir().unwrap().count(), 0);
        database.close().unwrap();
    }
    assert_eq!(place.path().read_dir().unwrap().count(), 0);
    assert_eq!(fs::read_to_string(base.join("src/a")).unwrap(), "one");
}

#[test]
fn ephemeral_is_kept_whole_and_over_nothing() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("x.db");
    let database = Database::open_or_create(&path, &options(Mode::Ephemeral, None)).unwrap();
    let tree = database.tree();
    let ino = file(&*tree, ROOT, "a");
    tree.write(ino, 0, b"kept").unwrap();
    database.kv().set("k", "1").unwrap();
    database.keep().unwrap();
    tree.write(ino, 0, b"late").unwrap();
    let again = database.keep().unwrap_err();
    assert_eq!(again.errno(), libc::EEXIST);
    database.close().unwrap();
    let left: Vec<_> = place.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["x.db"]);
    let kept = Database::open_or_create(&path, &Options::default()).unwrap();
    let a = kept.files().lookup(ROOT, name("a")).unwrap();
    assert_eq!(kept.files().read(a.ino, 0, 10).unwrap(), b"kept");
    assert!(kept.kv().get("k").unwrap().is_some());
    // Upstream's overlay goes wrong where numbers come back.
    kept.files().unlink(ROOT, name("a")).unwrap();
    assert!(file(&*kept.files(), ROOT, "b") > a.ino);
}
