use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::{HeldUp, Test, until};

#[test]
fn wait_begins_before_there_is_anybody() {
    let test = Test::bare(&["a", "b"]);
    let mut wait = test.spawn("wait --all --json --timeout 90");
    until("it listens", || test.path("run").is_dir());
    assert!(wait.is_running());
    let (a, b) = (test.spawn("serve a"), test.spawn("serve b"));
    let done = wait.finish();
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let ready = done.json()["ready"].as_array().unwrap().clone();
    assert_eq!(ready.len(), 2);
    // `serve` becomes the owner: whoever supervises the one supervises the other.
    assert_eq!(ready[0]["pid"], a.pid());
    for owner in [a, b] {
        owner.signal(Signal::SIGTERM);
        assert_eq!(owner.finish().code, Some(0));
    }
}

#[test]
fn wait_outlives_an_owner_that_dies() {
    let test = Test::bare(&["a"]);
    let first = test.spawn("serve a");
    until("the first is ready", || test.run("ready a --timeout 1").try_code() == Some(0));
    // Stopped before it can be asked, so that the listener is connected and has no answer when it dies.
    first.signal(Signal::SIGSTOP);
    let wait = test.spawn("wait a --timeout 90");
    std::thread::sleep(Duration::from_millis(50));
    drop(first);
    let second = test.spawn("serve a");
    assert_eq!(wait.finish().code, Some(0));
    second.signal(Signal::SIGTERM);
    assert_eq!(second.finish().code, Some(0));
}

#[test]
fn wait_gives_up_in_time_and_names_who_is_missing() {
    let test = Test::bare(&["a", "b", "c"]);
    test.run("up -d b").success();
    let begun = Instant::now();
    let done = test.run("wait a b c --timeout 0.3").stdout("").stderr("nixbox::owner::not-ready").code(6);
    assert!(begun.elapsed() >= Duration::from_millis(300));
    assert!(
        done.stderr.contains("`a`") && done.stderr.contains("`c`") && !done.stderr.contains("instance `b`"),
        "{}",
        done.stderr
    );
}

#[test]
fn a_probe_is_short_whatever_it_meets() {
    let test = Test::bare(&["a"]);
    test.run("ready").stderr("nixbox::owner::not-running").code(3);
    test.run("up -d").success();
    test.run("ready a --json").success();
    let pid = nix::unistd::Pid::from_raw(test.pid("a"));
    nix::sys::signal::kill(pid, Signal::SIGSTOP).unwrap();
    // More than a listener's queue holds: connecting itself would block.
    let queue: Vec<_> = (0..40).map(|_| test.spawn("ready a --timeout 0.2")).collect();
    for probe in queue {
        assert_eq!(probe.finish().code, Some(6));
    }
    let watch = HeldUp::watch();
    test.run("ready a --timeout 0.2").stderr(&format!("process {pid}")).code(6);
    watch.assert_within(Duration::from_secs(2), "the probe");
    nix::sys::signal::kill(pid, Signal::SIGCONT).unwrap();
    test.run("ready a").success();
}

#[test]
fn times_are_seconds() {
    let test = Test::bare(&["a"]);
    for bad in ["-1", "x", "NaN", "1e99", ""] {
        test.args(["wait", &format!("--timeout={bad}")]).stdout("").code(2);
    }
}
