//! The front end over the simplest tree: what the kernel counts must come out even.

#![allow(clippy::unwrap_used)]
mod common;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use common::memory::Memory;
use common::{Test, can_mount, workload};
use nixbox_mount::Unmounted;

#[test]
fn programs_find_what_posix_promises() {
    if !can_mount() {
        return;
    }
    let tree = Arc::new(Memory::default());
    let mut test = Test::new(tree.clone());
    workload::run_all(&test.path());
    assert_eq!(test.take().unmount(|| false).unwrap(), Unmounted::Cleanly);
    assert!(test.has_ended());
    assert_eq!(tree.opens(), 0);
}

#[test]
fn every_reference_is_given_back() {
    if !can_mount() {
        return;
    }
    let tree = Arc::new(Memory::default());
    let mut test = Test::new(tree.clone());
    let mount = test.path();
    for round in 0..50 {
        let dir = mount.join(format!("{round}"));
        fs::create_dir(&dir).unwrap();
        for file in 0..20 {
            fs::write(dir.join(format!("{file}")), b"x").unwrap();
        }
        // Both ways of listing: with attributes, and without.
        assert_eq!(fs::read_dir(&dir).unwrap().filter(|entry| entry.as_ref().unwrap().metadata().is_ok()).count(), 20);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 20);
        fs::remove_dir_all(&dir).unwrap();
    }
    fs::write(mount.join("kept"), b"").unwrap();
    // Gives the kernel's memory of names back, which it otherwise does when it wants to.
    let _ = fs::write("/proc/sys/vm/drop_caches", "2");
    test.take().unmount(|| false).unwrap();
    let (inodes, _) = tree.counts();
    assert_eq!(inodes, 2, "the root and the file that was kept");
}

#[test]
fn files_are_shown_as_the_configured_users() {
    if !can_mount() {
        return;
    }
    let test = Test::with(Arc::new(Memory::default()), |options| (options.uid, options.gid) = (Some(1234), Some(4321)));
    fs::write(test.path().join("f"), b"").unwrap();
    for path in [test.path(), test.path().join("f")] {
        let meta = fs::metadata(path).unwrap();
        assert_eq!((meta.uid(), meta.gid()), (1234, 4321));
    }
}

#[test]
fn a_read_only_mount_refuses_to_write() {
    if !can_mount() {
        return;
    }
    let test = Test::with(Arc::new(Memory::default()), |options| options.read_only = true);
    let error = fs::write(test.path().join("f"), b"").unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EROFS));
    assert_eq!(fs::read_dir(test.path()).unwrap().count(), 0);
}
