//! What a killed owner leaves, and mounts that are not ours. All of it needs FUSE.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Test, alive, fuse, mounted, owner, until};

/// An instance whose owner was killed while mounted.
fn killed() -> Option<Test> {
    owner();
    if !fuse() {
        return None;
    }
    let test = Test::new().config("[instances.a]\nmount.path = \"m t\"\n");
    test.run("up -d").success();
    assert_eq!(test.run("ps --json").success().json()["instances"][0]["mounted"], true);
    let pid = test.pid("a");
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    until("it is gone", || !alive(pid));
    Some(test)
}

fn is_mounted(test: &Test) -> bool {
    mounted(&test.path("m\\040t"))
}

#[test]
fn down_repairs_what_a_killed_owner_left() {
    let Some(test) = killed() else { return };
    assert!(is_mounted(&test));
    assert_eq!(test.run("ps --json").success().json()["instances"][0]["state"], "stale");
    let doctor = test.run("doctor").success();
    assert!(doctor.stdout.contains("a dead mount is at [DIR]/m t"), "{}", doctor.stdout);
    test.run("down").stderr("a: removed the dead mount").success();
    assert!(!is_mounted(&test));
    assert_eq!(test.runtime_files(), [""; 0]);
    assert!(!test.path(".agentfs/a.d/owner.lock").exists());
}

#[test]
fn the_next_start_repairs_it_too() {
    let Some(test) = killed() else { return };
    test.run("up -d").success();
    std::fs::write(test.path("m t/f"), "x").unwrap();
    test.run("down").success();
    assert!(!is_mounted(&test));
}

#[test]
fn unmount_takes_dead_mounts_and_no_living_ones() {
    let Some(test) = killed() else { return };
    let answer = test.args(["unmount", "a", "--json"]).success().json();
    assert!(answer["path"].as_str().unwrap().ends_with("/m t"));
    assert!(!is_mounted(&test));
    let schema = test.run("schema unmount").success().json();
    assert!(jsonschema::validator_for(&schema).unwrap().is_valid(&answer));
    test.run("unmount a").stderr("nixbox::mount::not-mounted").code(3);

    test.run("up -d").success();
    for lazy in [&["unmount", "a"][..], &["unmount", "--lazy", "./m t"][..]] {
        let done = test.args(lazy).stderr("nixbox::owner::held").stderr("nixbox-helper stop a").code(4);
        assert!(done.stderr.contains(&test.pid("a").to_string()), "{}", done.stderr);
    }
    assert!(is_mounted(&test));
}

#[test]
fn other_peoples_mounts_are_not_touched() {
    let test = Test::new().config("[instances.a]\n");
    test.run("unmount /proc").stderr("not of AgentFS").code(3);
    assert!(mounted(std::path::Path::new("/proc")));
    test.run("unmount /").code(3);
}
