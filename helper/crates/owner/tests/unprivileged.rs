//! Users other than root, who mount through fusermount3. Each owner runs in a mount namespace of its own, in which
//! the device and the helper are as the test wants them.

#![allow(clippy::unwrap_used)]
mod common;

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;

use common::{OWNER, Owner, Test, can_mount};
use nix::sys::signal::Signal;

const NOBODY: u32 = 65534;

/// As that user, after `prepare` has been run by root in the namespace. `$dir` is the test's folder.
fn owner(test: &Test, prepare: &str) -> Owner {
    fs::set_permissions(&test.root, Permissions::from_mode(0o755)).unwrap();
    chown(&test.root, Some(NOBODY), Some(NOBODY)).unwrap();
    // The build folder may be closed to that user.
    let program = test.path("nixbox-owner");
    if !program.exists() && fs::hard_link(OWNER, &program).is_err() {
        // By another process: a copy of our own would be open for writing while some other test forks, and then busy.
        assert!(Command::new("cp").arg(OWNER).arg(&program).status().unwrap().success());
    }
    let script = format!(
        "set -e; dir=$1; {prepare}\n\
         exec setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups \"$dir/nixbox-owner\" serve sandbox"
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", &script, "sh"]).arg(&test.root);
    test.at_home(&mut command);
    Owner::spawn(&mut command)
}

/// Open to all, as udev makes it where there is udev.
const DEVICE: &str = "mknod $dir/fuse c 10 229; chmod 666 $dir/fuse; mount --bind $dir/fuse /dev/fuse; rm $dir/fuse;";

const NO_HELPER: &str = "for f in /run/wrappers/bin/fusermount3 /usr/bin/fusermount3 /bin/fusermount3; do \
    if [ -f $f ]; then mount --bind /dev/null $f; fi; done;";

fn mounts_of(owner: &Owner) -> String {
    fs::read_to_string(format!("/proc/{}/mountinfo", owner.pid())).unwrap()
}

#[test]
fn mounting_and_unmounting_through_the_helper() {
    if !can_mount() {
        return;
    }
    let test = Test::new();
    // A comma would end fusermount3's option, a blank would end mountinfo's field.
    let text = fs::read_to_string(test.path("nixbox.toml")).unwrap().replace("\"data\"", "\"da ta,x\"");
    fs::write(test.path("nixbox.toml"), text).unwrap();
    for signal in [Signal::SIGTERM, Signal::SIGHUP] {
        let owner = owner(&test, DEVICE);
        test.await_ready();
        let source = format!("agentfs:{}/da\\040ta,x/sandbox.db", test.root.display());
        let mounts = mounts_of(&owner);
        let line = mounts.lines().find(|line| line.contains(&source)).unwrap_or_else(|| panic!("{mounts}"));
        assert!(line.contains("nosuid,nodev") && line.contains(&format!("user_id={NOBODY}")), "{line}");
        owner.signal(signal);
        owner.end().assert_clean();
        assert!(!test.mnt().exists(), "the folder that was made is left: the mount was not taken away");
    }
    test.assert_nothing_left();
}

#[test]
fn without_the_helper_it_says_so() {
    if !can_mount() {
        return;
    }
    let test = Test::new();
    owner(&test, &format!("{DEVICE}{NO_HELPER}")).end().assert_failed(8, "nixbox::mount::no-fusermount");
    test.assert_nothing_left();
}

#[test]
fn a_device_that_may_not_be_opened_is_named() {
    if !can_mount() {
        return;
    }
    let test = Test::new();
    let ended = owner(&test, "mount --bind /dev/fuse /dev/fuse; mount -o remount,bind,nodev /dev/fuse;").end();
    ended.assert_failed(8, "nixbox::mount::no-fuse");
    assert!(ended.stderr.contains("/dev/fuse") && ended.stderr.contains("by NFS"), "{}", ended.stderr);
    test.assert_nothing_left();
}

const ANOTHER: u32 = 1000;

/// Whether that user succeeds with it, in the owner's namespace.
fn does(owner: &Owner, user: u32, script: &str) -> bool {
    let user = user.to_string();
    let mut command = Command::new("nsenter");
    command.args(["--target", &owner.pid().to_string(), "--mount", "--wd", "setpriv"]);
    command.args(["--reuid", &user, "--regid", &user, "--clear-groups", "sh", "-c", script]);
    command.output().unwrap().status.success()
}

#[test]
fn nobody_else_is_let_in_unasked_not_even_root() {
    if !can_mount() {
        return;
    }
    let test = Test::new();
    let owner = owner(&test, DEVICE);
    test.await_ready();
    assert!(does(&owner, NOBODY, "echo x > mnt/file && chmod 666 mnt/file && cat mnt/file"));
    for user in [0, ANOTHER] {
        for look in ["cat mnt/file", "ls mnt", "stat mnt/file", "echo y > mnt/new"] {
            assert!(!does(&owner, user, look), "{user}: {look}");
        }
    }
    owner.stop();
    test.assert_nothing_left();
}

#[test]
fn others_are_let_in_only_where_the_system_allows_it() {
    if !can_mount() {
        return;
    }
    for option in ["allow_other", "allow_root"] {
        let test = Test::with(&format!("mount.path = \"mnt\"\nmount.{option} = true"));
        let conf = |line: &str| format!("{DEVICE} echo '{line}' > $dir/conf; mount --bind $dir/conf /etc/fuse.conf;");
        let refused = owner(&test, &conf("#user_allow_other")).end();
        refused.assert_failed(7, "nixbox::mount::allow-other");
        test.assert_nothing_left();
        let allowed = owner(&test, &conf("user_allow_other"));
        test.await_ready();
        assert!(mounts_of(&allowed).lines().any(|line| line.contains("agentfs:") && line.contains("allow_other")));
        assert!(does(&allowed, NOBODY, "echo x > mnt/file && cat mnt/file && ls mnt"));
        assert!(does(&allowed, 0, "cat mnt/file && ls mnt"), "{option} lets root in");
        // Though the kernel has learnt by now that the file is there.
        for look in ["cat mnt/file", "ls mnt", "stat mnt/file"] {
            assert_eq!(does(&allowed, ANOTHER, look), option == "allow_other", "{option}: {look}");
        }
        assert!(!does(&allowed, ANOTHER, "echo y > mnt/file"), "the mode says who may write");
        allowed.stop();
        test.assert_nothing_left();
    }
}
