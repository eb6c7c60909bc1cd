//! How much an instance may hold: refused before it is acknowledged, nothing torn, and room again as soon as something
//! goes.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;

use nixbox_engine::*;
use support::*;

const MIB: u64 = 1 << 20;

fn limited(size: Option<u64>, files: Option<u64>) -> Scratch {
    Scratch::with_options(Options { limits: Limits { size, files }, ..options() })
}

fn limited_over(base: &std::path::Path, size: Option<u64>, files: Option<u64>) -> Scratch {
    let base = Some(BaseOptions { path: base.to_owned(), ..BaseOptions::default() });
    Scratch::with_options(Options { limits: Limits { size, files }, base, ..options() })
}

fn content(tree: &dyn FileSystem, ino: Ino) -> Vec<u8> {
    tree.read(ino, 0, u32::MAX).unwrap()
}

fn free(tree: &dyn FileSystem) -> u64 {
    let s = tree.statfs().unwrap();
    s.blocks_free * u64::from(s.block_size)
}

fn resize(tree: &dyn FileSystem, ino: Ino, size: u64) -> Result<Attr> {
    tree.setattr(ino, AttrChange { size: Some(size), ..AttrChange::default() })
}

#[test]
fn a_write_that_does_not_fit_changes_nothing() {
    let mut scratch = limited(Some(MIB), None);
    let files = scratch.files();
    let ino = file(&*files, ROOT, "a");
    let most = pattern(MIB as usize - 10, 1);
    files.write(ino, 0, &most).unwrap();
    refused(files.write(ino, MIB - 20, &pattern(100, 2)), libc::ENOSPC);
    assert!(content(&*files, ino) == most);
    refused(resize(&*files, ino, MIB + 1), libc::ENOSPC);
    assert_eq!(files.getattr(ino).unwrap().size, MIB - 10);
    // In place, and up to the limit itself.
    files.write(ino, 0, &pattern(100, 3)).unwrap();
    files.write(ino, MIB - 10, &[7; 10]).unwrap();
    refused(files.write(ino, MIB, &[7]), libc::ENOSPC);
    assert_eq!(free(&*files), 0);
    // Names cost nothing of it.
    file(&*files, ROOT, "b");
    files.rename((ROOT, name("a")), (ROOT, name("c")), Rename::Replace).unwrap();
    drop(files);
    let files = scratch.reopen();
    assert_eq!(free(&*files), 0);
    refused(files.write(ino, MIB, &[7]), libc::ENOSPC);
}

#[test]
fn a_hole_counts_before_it_is_filled() {
    let mut scratch = limited(Some(20 * MIB), None);
    let files = scratch.files();
    let ino = file(&*files, ROOT, "a");
    files.open(ino).unwrap();
    resize(&*files, ino, 16 * MIB).unwrap();
    assert_eq!(free(&*files), 4 * MIB);
    refused(resize(&*files, ino, 21 * MIB), libc::ENOSPC);
    files.release(ino);
    drop(files);
    let files = scratch.reopen();
    assert_eq!(free(&*files), 4 * MIB);
    resize(&*files, ino, MIB).unwrap();
    assert_eq!(free(&*files), 19 * MIB);
}

#[test]
fn what_is_removed_gives_its_room_back_at_once() {
    let scratch = limited(Some(8 * MIB), Some(3));
    let files = scratch.files();
    for round in 0..5 {
        let ino = file(&*files, ROOT, "a");
        files.write(ino, 0, &pattern(8 * MIB as usize, round)).unwrap();
        assert_eq!(free(&*files), 0);
        files.unlink(ROOT, name("a")).unwrap();
        // As the kernel refers to it; until then it is there.
        assert_eq!(free(&*files), 0);
        refused(files.write(ino, 8 * MIB, &[1]), libc::ENOSPC);
        files.forget(ino, 1);
        assert_eq!(free(&*files), 8 * MIB);
    }
}

#[test]
fn replaced_by_a_rename_is_removed_too() {
    let scratch = limited(Some(MIB), Some(2));
    let files = scratch.files();
    for round in 0..5 {
        let new = file(&*files, ROOT, "new");
        files.write(new, 0, &pattern(MIB as usize / 2, round)).unwrap();
        files.rename((ROOT, name("new")), (ROOT, name("old")), Rename::Replace).unwrap();
        files.forget(new, 1);
    }
    assert_eq!(free(&*files), MIB / 2);
    assert_eq!(files.statfs().unwrap().files_free, 1);
}

#[test]
fn files_folders_and_links_are_counted_alike() {
    let mut scratch = limited(None, Some(3));
    let files = scratch.files();
    let a = file(&*files, ROOT, "a");
    folder(&*files, ROOT, "b");
    files.symlink(ROOT, name("c"), name("a"), ME).unwrap();
    for kind in [Kind::File, Kind::Directory, Kind::Fifo] {
        refused(files.create(ROOT, name("d"), node(kind, 0o644)), libc::EDQUOT);
    }
    refused(files.symlink(ROOT, name("d"), name("a"), ME), libc::EDQUOT);
    assert_eq!(names(&*files, ROOT), ["a", "b", "c"]);
    let s = files.statfs().unwrap();
    assert_eq!((s.files, s.files_free), (3, 0));
    // Another name for one is no other file.
    files.link(a, ROOT, name("d")).unwrap();
    files.rmdir(ROOT, name("b")).unwrap();
    drop(files);
    let files = scratch.reopen();
    file(&*files, ROOT, "e");
    refused(files.create(ROOT, name("f"), node(Kind::File, 0o644)), libc::EDQUOT);
}

#[test]
fn a_copy_up_that_does_not_fit_leaves_the_view_of_the_base() {
    let base = tempfile::tempdir().unwrap();
    let (small, large) = (pattern(MIB as usize, 1), pattern(9 * MIB as usize, 2));
    fs::write(base.path().join("small"), &small).unwrap();
    fs::write(base.path().join("large"), &large).unwrap();
    fs::create_dir(base.path().join("d")).unwrap();
    fs::write(base.path().join("d/x"), "x").unwrap();
    let mut scratch = limited_over(base.path(), Some(MIB / 2), None);
    let tree = scratch.tree();
    for (path, expected) in [("small", &small), ("large", &large)] {
        let ino = tree.lookup(ROOT, name(path)).unwrap().ino;
        refused(tree.write(ino, 0, b"x"), libc::ENOSPC);
        refused(tree.rename((ROOT, name(path)), (ROOT, name("y")), Rename::Replace), libc::ENOSPC);
        assert!(content(&*tree, ino) == *expected);
    }
    assert_eq!(scratch.overlay().changes().unwrap(), []);
    assert_eq!(free(&*tree), MIB / 2, "what was begun counts no more");
    // What takes away needs no room, and what is truncated as it comes needs as much as is left of it.
    let ino = tree.lookup(ROOT, name("large")).unwrap().ino;
    resize(&*tree, ino, 100).unwrap();
    assert!(content(&*tree, ino) == large[..100]);
    tree.unlink(ROOT, name("small")).unwrap();
    drop(tree);
    scratch.reopen();
    assert_eq!(scratch.overlay().changes().unwrap().len(), 2);
    assert_eq!(fs::read(base.path().join("small")).unwrap(), small);
}

#[test]
fn a_folder_that_does_not_fit_is_not_moved_and_nothing_of_it_is_copied() {
    let base = tempfile::tempdir().unwrap();
    fs::create_dir_all(base.path().join("d/e")).unwrap();
    for path in ["d/x", "d/e/y", "z"] {
        fs::write(base.path().join(path), pattern(MIB as usize / 3, 1)).unwrap();
    }
    for (size, files, errno) in [(Some(MIB / 2), None, libc::ENOSPC), (None, Some(3), libc::EDQUOT)] {
        let scratch = limited_over(base.path(), size, files);
        let tree = scratch.tree();
        refused(tree.rename((ROOT, name("d")), (ROOT, name("to")), Rename::Replace), errno);
        refused(tree.rename((ROOT, name("z")), (ROOT, name("d")), Rename::Exchange), errno);
        assert_eq!(names(&*tree, ROOT), ["d", "z"]);
        assert!(scratch.files().readdir(ROOT).unwrap().is_empty());
        // What is there already is not counted once more.
        let d = tree.lookup(ROOT, name("d")).unwrap().ino;
        tree.unlink(d, name("x")).unwrap();
        tree.rename((ROOT, name("d")), (ROOT, name("to")), Rename::Replace).unwrap();
        assert_eq!(names(&*tree, ROOT), ["to", "z"]);
    }
}

#[test]
fn names_of_the_base_go_at_the_limit_of_files_as_well() {
    let base = tempfile::tempdir().unwrap();
    fs::create_dir(base.path().join("d")).unwrap();
    fs::write(base.path().join("d/x"), "x").unwrap();
    fs::write(base.path().join("d/y"), "y").unwrap();
    let scratch = limited_over(base.path(), None, Some(1));
    let tree = scratch.tree();
    file(&*tree, ROOT, "mine");
    let d = tree.lookup(ROOT, name("d")).unwrap().ino;
    let y = tree.lookup(d, name("y")).unwrap().ino;
    refused(tree.write(y, 0, b"z"), libc::EDQUOT);
    tree.unlink(d, name("x")).unwrap();
    assert_eq!(names(&*tree, d), ["y"]);
}

#[test]
fn a_crash_leaves_the_count_right() {
    let mut scratch = limited(Some(MIB), Some(4));
    let files = scratch.files();
    let kept = file(&*files, ROOT, "kept");
    files.write(kept, 0, &pattern(1000, 1)).unwrap();
    let open = file(&*files, ROOT, "open");
    files.open(open).unwrap();
    files.write(open, 0, &pattern(300_000, 2)).unwrap();
    files.unlink(ROOT, name("open")).unwrap();
    files.fsync(open).unwrap();
    // The files as they lie on the disk at this moment.
    let copy = tempfile::tempdir().unwrap();
    for name in ["x.db", "x.db-wal"] {
        let status = std::process::Command::new("cp").arg(scratch.folder.path().join(name)).arg(copy.path()).status();
        assert!(status.unwrap().success());
    }
    drop(files);
    scratch.close();
    scratch.folder = copy;
    let files = scratch.open();
    let s = files.statfs().unwrap();
    assert_eq!((s.files, s.files_free), (4, 3));
    let taken = MIB - free(&*files);
    assert!((1000..1000 + u64::from(s.block_size)).contains(&taken), "{taken}");
    refused(files.write(kept, 0, &pattern(MIB as usize + 1, 3)), libc::ENOSPC);
    files.write(kept, 0, &pattern(MIB as usize, 3)).unwrap();
}
