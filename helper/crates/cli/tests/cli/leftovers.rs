//! What a killed owner leaves, owners whose project changed under them, and mounts that are not ours.

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
    // Nobody keeps it up: it would be started again.
    let serve = test.spawn("serve a");
    test.run("wait a").success();
    assert_eq!(test.run("ps --json").success().json()["instances"][0]["mounted"], true);
    serve.signal(Signal::SIGKILL);
    assert_eq!(serve.finish().code, None);
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
    assert!(!is_mounted(&test) && !test.path("m t").exists());
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

/// `git clean -fdx`, for example.
#[test]
fn down_ends_an_owner_whose_data_folder_was_deleted() {
    let test = Test::bare(&["a"]);
    test.run("up -d").success();
    let pid = test.pid("a");
    std::fs::remove_dir_all(test.path(".agentfs")).unwrap();
    test.run("ps").stderr("a.db was deleted while its owner runs").success();
    let doctor = test.run("doctor").code(3);
    assert!(doctor.stdout.contains("a.db was deleted while process"), "{}", doctor.stdout);
    test.run("down").stderr("a: stopped").success();
    assert!(!alive(pid));
    assert_eq!(test.runtime_files(), [""; 0]);
}

#[test]
fn an_owner_is_found_after_its_instance_was_renamed() {
    let test = Test::bare(&["old"]);
    // Whoever keeps it up would stop what is no longer declared.
    test.run("up -d --no-reload").success();
    let pid = test.pid("old");
    let test = test.config("[instances.new]\nmount.backend = \"none\"\n");
    let shown = test.run("ps --json").success().json();
    let rows = shown["instances"].as_array().unwrap();
    let row = rows.iter().find(|row| row["instance"] == "old").unwrap();
    assert_eq!((row["state"].as_str(), row["pid"].as_i64()), (Some("ready"), Some(i64::from(pid))));
    test.run("ps").stderr("nixbox-helper stop old").success();
    test.run("stop new").code(3);
    test.run("stop old").stderr("old: stopped").success();
    assert!(!alive(pid));
    test.run("stop old").stderr("nixbox::instance::unknown").code(3);
}

#[test]
fn down_ends_owners_that_are_not_declared_any_more_and_no_other_projects() {
    let test = Test::bare(&["old"]);
    // Whoever keeps it up would stop what is no longer declared.
    test.run("up -d --no-reload").success();
    let pid = test.pid("old");
    // Another project in the same runtime folder, first with an instance of that name.
    test.run("--data-dir elsewhere ready").stderr("nixbox::owner::not-running").code(3);
    test.run("--data-dir elsewhere wait --timeout 0.1").code(6);
    test.run("--data-dir elsewhere down").stderr("nothing was running").success();
    test.run("ready").success();
    let test = test.config("[instances.new]\nmount.backend = \"none\"\n");
    test.run("--data-dir elsewhere down").stderr("nothing was running").success();
    assert!(alive(pid));
    test.run("down").stderr("old: stopped").success();
    assert!(!alive(pid));
}

#[test]
fn an_owner_in_the_way_is_named_and_not_taken_for_a_dead_mount() {
    if !fuse() {
        return;
    }
    owner();
    let test = Test::new().config("[instances.a]\nmount.path = \"m\"\n");
    test.run("up -d").success();
    let pid = test.pid("a");
    // As after a change of `data_dir`, in an environment with a runtime folder of its own.
    let test =
        test.raw_config("version = 1\nruntime_dir = \"run2\"\ndata_dir = \"d2\"\n[instances.a]\nmount.path = \"m\"\n");
    assert_eq!(test.run("ps --json").success().json()["instances"][0]["state"], "occupied");
    test.run("up -d").stderr("nixbox::mount::busy").stderr(&format!("kill {pid}")).code(5);
    kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
    until("it is gone", || !alive(pid));
}

/// Several may clear up after a killed one at the same time, and none of them is an owner.
#[test]
fn who_clears_up_is_not_ended_for_an_owner() {
    let test = Test::bare(&["a"]);
    test.run("init").success();
    let path = test.path(".agentfs/a.d/owner.lock");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let lock = nixbox_state::Lock::acquire(&path, &nixbox_state::Holder::clearing(1).unwrap()).unwrap();
    let waits = test.spawn("down");
    std::thread::sleep(std::time::Duration::from_millis(300));
    drop(lock);
    // This very process would have been told to end.
    let done = waits.finish();
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(done.stderr.contains("nothing was running"), "{}", done.stderr);
}
