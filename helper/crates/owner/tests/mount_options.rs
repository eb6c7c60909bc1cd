//! Mount options do what they say, over a real mount.

#![allow(clippy::unwrap_used)]
mod common;

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

use common::{Test, can_mount};
use nix::sys::statvfs::{FsFlags, statvfs};

fn does(test: &Test, user: u32, script: &str) -> bool {
    let user = user.to_string();
    let as_user = ["--reuid", &user, "--regid", &user, "--clear-groups", "sh", "-c", script];
    Command::new("setpriv").args(as_user).current_dir(&test.root).output().unwrap().status.success()
}

#[test]
fn files_are_shown_as_whose_they_are_said_to_be_and_are_theirs() {
    if !can_mount() {
        return;
    }
    let test = Test::with("mount = { path = \"mnt\", uid = 4321, gid = 1234, allow_other = true }");
    fs::set_permissions(&test.root, Permissions::from_mode(0o755)).unwrap();
    let owner = test.ready();
    let file = test.mnt().join("file");
    fs::write(&file, "x").unwrap();
    for path in [&file, &test.mnt()] {
        let shown = fs::metadata(path).unwrap();
        assert_eq!((shown.uid(), shown.gid()), (4321, 1234), "{}", path.display());
    }
    assert!(does(&test, 4321, "echo y >> mnt/file && mkdir mnt/own && chmod 700 mnt/own && touch mnt/own/a"));
    assert_eq!(fs::metadata(test.mnt().join("own/a")).unwrap().uid(), 4321);
    assert!(does(&test, 1000, "cat mnt/file"));
    for change in ["echo y >> mnt/file", "rm mnt/file", "ls mnt/own", "touch mnt/new"] {
        assert!(!does(&test, 1000, change), "{change}");
    }
    owner.stop();
    test.assert_nothing_left();

    // What is stored is whose it was: the option only shows.
    test.config("mount.path = \"mnt\"");
    let owner = test.ready();
    let stored = |name: &str| fs::metadata(test.mnt().join(name)).map(|meta| (meta.uid(), meta.gid())).unwrap();
    assert_eq!(stored("file"), (0, 0));
    assert_eq!(stored("own"), (4321, 4321));
    owner.stop();
}

#[test]
fn a_read_only_mount_refuses_every_change() {
    if !can_mount() {
        return;
    }
    let test = Test::new();
    let owner = test.ready();
    fs::write(test.mnt().join("file"), "x").unwrap();
    owner.stop();
    test.config("mount = { path = \"mnt\", read_only = true }");
    let owner = test.ready();
    let mnt = test.mnt();
    assert_eq!(fs::read(mnt.join("file")).unwrap(), b"x");
    assert!(statvfs(&mnt).unwrap().flags().contains(FsFlags::ST_RDONLY));
    let file = mnt.join("file");
    for refused in [
        fs::write(&file, "y"),
        fs::create_dir(mnt.join("new")),
        fs::remove_file(&file),
        fs::rename(&file, mnt.join("moved")),
        fs::set_permissions(&file, Permissions::from_mode(0o600)),
        std::os::unix::fs::symlink("a", mnt.join("link")),
    ] {
        assert_eq!(refused.unwrap_err().raw_os_error(), Some(libc::EROFS));
    }
    assert!(test.status().mount.unwrap().read_only);
    owner.stop();
    test.assert_nothing_left();
}

#[test]
fn a_mount_by_nfs_says_what_it_lacks() {
    if nixbox_mounts::can_mount_nfs().is_ok() {
        let test = Test::with("mount = { path = \"mnt\", backend = \"nfs\" }");
        let owner = test.ready();
        fs::write(test.mnt().join("file"), "x").unwrap();
        assert_eq!(test.status().mount.unwrap().backend, "nfs");
        owner.stop();
        test.assert_nothing_left();
        return;
    }
    let test = Test::with("mount = { path = \"mnt\", backend = \"nfs\" }");
    let ended = test.start().end();
    ended.assert_failed(8, "nixbox::mount::no-nfs");
    assert!(ended.stderr.contains("mount.backend"), "{}", ended.stderr);
    test.assert_nothing_left();
}
