//! How a mount comes and goes: in use, from outside, under something else, after its owner died.

#![allow(clippy::unwrap_used)]
mod common;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use common::memory::Memory;
use common::slow_machine::{HeldUp, PATIENCE};
use common::{Mapped, Test, can_mount, is_mounted};
use nixbox_mount::{Error, Mountpoint, Unmounted};
use nixbox_mounts::{mount_at, source_of};

fn mounted() -> Test {
    Test::new(Arc::new(Memory::default()))
}

#[test]
fn mountinfo_names_the_database_whatever_it_is_called() {
    if !can_mount() {
        return;
    }
    let mut name = None;
    let test = Test::with(Arc::new(Memory::default()), |options| {
        options.database = options.database.with_file_name("a b,c\\d\té.db");
        name = Some(source_of(&options.database));
    });
    let entry = mount_at(&test.path()).unwrap().unwrap();
    assert_eq!(Some(entry.source.clone()), name);
    assert!(entry.database().is_some());
}

#[test]
fn a_mount_in_use_is_taken_away_and_its_users_are_named() {
    if !can_mount() {
        return;
    }
    let mut test = mounted();
    let path = test.path();
    let mut open = File::create(path.join("f")).unwrap();
    open.write_all(b"kept").unwrap();
    let watch = HeldUp::watch();
    let how = test.take().unmount(|| false).unwrap();
    watch.assert_within(Duration::from_millis(2500), "taken away in use");
    let me = std::process::id() as i32;
    assert!(matches!(&how, Unmounted::Forced(users) if users.iter().any(|user| user.pid == me)), "{how:?}");
    assert!(!is_mounted(&path));
    // Who still holds a file gets an error, and does not wait for an answer that never comes.
    assert!(open.write_all(b"lost").is_err() || open.sync_all().is_err());
    assert!(test.has_ended());
}

#[test]
fn whoever_leaves_in_time_is_not_thrown_out() {
    if !can_mount() {
        return;
    }
    // The time that it has may go by while the machine stands still.
    let left = (0..5).any(|_| {
        let mut test = mounted();
        let mut open = File::create(test.path().join("f")).unwrap();
        let (asked, is_asked) = std::sync::mpsc::channel();
        let leaves = std::thread::spawn(move || {
            is_asked.recv().unwrap();
            open.write_all(b"done")
        });
        let hurry = || {
            let _ = asked.send(());
            false
        };
        let how = test.take().unmount(hurry).unwrap();
        let written = leaves.join().unwrap();
        how == Unmounted::Cleanly && written.is_ok()
    });
    assert!(left);
}

#[test]
fn in_a_hurry_nobody_gets_time() {
    if !can_mount() {
        return;
    }
    let mut test = mounted();
    let _open = File::create(test.path().join("f")).unwrap();
    let watch = HeldUp::watch();
    assert!(matches!(test.take().unmount(|| true).unwrap(), Unmounted::Forced(_)));
    watch.assert_within(Duration::from_millis(900), "in a hurry");
}

#[test]
fn what_was_mapped_is_written_back_before_the_mount_goes() {
    if !can_mount() {
        return;
    }
    let tree = Arc::new(Memory::default());
    let mut test = Test::new(tree.clone());
    let file = File::options().read(true).write(true).create_new(true).open(test.path().join("f")).unwrap();
    file.set_len(4096).unwrap();
    drop(file);
    let mut mapped = Mapped::new(&test.path().join("f"));
    mapped.write(0, b'!');
    let how = test.take().unmount(|| true).unwrap();
    assert!(matches!(&how, Unmounted::Forced(users) if !users.is_empty()), "{how:?}");
    use nixbox_engine::{FileSystem, ROOT};
    let attr = tree.lookup(ROOT, "f".as_ref()).unwrap();
    assert_eq!(tree.read(attr.ino, 0, 1).unwrap(), b"!");
}

#[test]
fn an_unmount_from_outside_is_noticed_and_nothing_is_unmounted_twice() {
    if !can_mount() {
        return;
    }
    let mut test = mounted();
    let path = test.path();
    assert!(Command::new("umount").arg(&path).status().unwrap().success());
    assert!(test.has_ended());
    let other = Test::with(Arc::new(Memory::default()), |_| {});
    bind(&other.path(), &path);
    assert_eq!(test.take().unmount(|| false).unwrap(), Unmounted::Already);
    assert!(is_mounted(&path), "what somebody else mounted there since must stay");
    assert!(Command::new("umount").arg(&path).status().unwrap().success());
}

/// The kernel lets go of such a mount and leaves it in the tree, where it answers nobody.
#[test]
fn a_mount_whose_connection_was_aborted_is_taken_away_too() {
    if !can_mount() || !nix::unistd::geteuid().is_root() {
        return;
    }
    let mut test = mounted();
    let path = test.path();
    let open = File::create(path.join("f")).unwrap();
    let aborted = nix::mount::umount2(&path, nix::mount::MntFlags::MNT_FORCE);
    assert_eq!(aborted, Err(nix::errno::Errno::EBUSY));
    assert!(test.has_ended());
    drop(open);
    assert!(is_mounted(&path));
    assert_eq!(test.take().unmount(|| false).unwrap(), Unmounted::Cleanly);
    assert!(!is_mounted(&path));
}

fn bind(from: &Path, to: &Path) {
    assert!(Command::new("mount").arg("--bind").arg(from).arg(to).status().unwrap().success());
}

/// A process that mounts and is killed, so that a mount without an owner stays behind.
fn leave_dead_mount(dir: &Path, database: &str) {
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "helper_mounts_and_dies"])
        .env("NIXBOX_TEST_DEAD_MOUNT", dir)
        .env("NIXBOX_TEST_DATABASE", database)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(!status.success());
    assert!(is_mounted(dir));
    assert_eq!(fs::read_dir(dir).unwrap_err().raw_os_error(), Some(libc::ENOTCONN));
}

#[test]
#[ignore = "run by the tests of dead mounts, in a process of its own"]
fn helper_mounts_and_dies() {
    let Some(dir) = std::env::var_os("NIXBOX_TEST_DEAD_MOUNT") else { return };
    let database = std::env::var_os("NIXBOX_TEST_DATABASE").unwrap().into();
    let options =
        nixbox_mount::Options { database, read_only: false, access: Default::default(), uid: None, gid: None };
    let mounted = nixbox_mount::mount(Arc::new(Memory::default()), Path::new(&dir), &options, |_| {}).unwrap();
    mounted.prove(PATIENCE).unwrap();
    // SAFETY: ends this process only.
    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
}

#[test]
fn dead_mounts_are_cleared_also_stacked_ones_and_those_of_other_databases() {
    if !can_mount() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let point = dir.path().canonicalize().unwrap();
    leave_dead_mount(&point, "/held.db");
    let prepared = Mountpoint::prepare(&point, false, Path::new("/held.db")).unwrap();
    assert_eq!(prepared.path, point);
    assert!(!is_mounted(&point));
    leave_dead_mount(&point, "/another.db");
    Mountpoint::prepare(&point, false, Path::new("/held.db")).unwrap();
    assert!(!is_mounted(&point));
}

#[test]
fn a_living_mount_of_another_database_is_left_alone() {
    if !can_mount() {
        return;
    }
    let test = mounted();
    fs::write(test.path().join("f"), b"x").unwrap();
    let error = Mountpoint::prepare(&test.path(), false, Path::new("/held.db")).unwrap_err();
    assert!(matches!(error, Error::Busy { ref source_name, .. } if source_name.to_string_lossy().ends_with("a.db")));
    let mut text = String::new();
    File::open(test.path().join("f")).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "x");
}
