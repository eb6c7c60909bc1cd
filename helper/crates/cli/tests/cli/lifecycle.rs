use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{HeldUp, Test, alive, until};

#[test]
fn up_detached_down_and_again() {
    let test = Test::bare(&["a", "b"]);
    let up = test.run("up -d").stderr("a: ready").stderr("b: ready").success();
    assert_eq!(up.stdout.matches(" ready ").count(), 2, "{}", up.stdout);
    let pids = ["a", "b"].map(|name| test.pid(name));
    assert!(pids.iter().all(|&pid| alive(pid)));
    test.run("ready a").stdout("").success();

    // Once more changes nothing.
    test.run("up -d").stderr("a: already running").success();
    assert_eq!(["a", "b"].map(|name| test.pid(name)), pids);

    test.run("down").stderr("a: stopped").stderr("b: stopped").success();
    assert!(!pids.iter().any(|&pid| alive(pid)));
    assert_eq!(test.runtime_files(), [""; 0]);
    test.run("down").stdout("").stderr("nothing was running").success();
    test.run("stop a").stderr("nixbox::owner::not-running").code(3);
    let states = test.run("ps --json").success().json();
    assert!(states["instances"].as_array().unwrap().iter().all(|one| one["state"] == "stopped"));
}

/// Each signal that a terminal or a process manager sends: all owners go, exit 0, nothing is left.
#[test]
fn up_in_the_foreground_ends_cleanly_on_every_signal() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let test = Test::bare(&["a", "b"]);
        let up = test.spawn("up");
        test.run("wait --all").success();
        let pids = ["a", "b"].map(|name| test.pid(name));
        up.signal(signal);
        let done = up.finish();
        assert_eq!(done.code, Some(0), "{signal}: {}", done.stderr);
        assert!(done.stderr.contains("a: stopped") && done.stderr.contains("b | "), "{signal}: {}", done.stderr);
        assert!(!pids.iter().any(|&pid| alive(pid)), "{signal}");
        assert_eq!(test.runtime_files(), [""; 0], "{signal}");
    }
}

#[test]
fn an_owner_that_dies_is_reported_and_the_others_go_on() {
    let test = Test::bare(&["a", "b"]);
    let test = test.config(
        "[instances.a]\nmount.backend = \"none\"\nrestart.on = \"never\"\n[instances.b]\nmount.backend = \"none\"\n",
    );
    let mut up = test.spawn("up");
    test.run("wait --all").success();
    let (dies, lives) = (test.pid("a"), test.pid("b"));
    kill(Pid::from_raw(dies), Signal::SIGKILL).unwrap();
    until("up clears up after it", || test.runtime_files().iter().all(|name| !name.starts_with("a.")));
    assert!(up.is_running() && alive(lives));
    up.signal(Signal::SIGINT);
    let done = up.finish();
    assert_eq!(done.code, Some(1));
    assert!(
        done.stderr.contains("the owner of `a` ended with signal SIGKILL [nixbox::owner::exited]"),
        "{}",
        done.stderr
    );
    assert!(!alive(lives));
}

#[test]
fn owners_in_the_foreground_do_not_outlive_up_however_it_dies() {
    let test = Test::bare(&["a"]);
    let up = test.spawn("up");
    test.run("wait a").success();
    let owner = test.pid("a");
    up.signal(Signal::SIGKILL);
    drop(up);
    until("the owner ends by itself", || !alive(owner));
    until("and all that there was for it", || test.runtime_files().is_empty());
}

#[test]
fn up_leaves_alone_what_it_did_not_start() {
    let test = Test::bare(&["a", "b"]);
    let serve = test.spawn("serve a");
    test.run("wait a").success();
    let up = test.spawn("up");
    test.run("wait --all").success();
    up.signal(Signal::SIGTERM);
    let done = up.finish();
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(done.stderr.contains("a: already running") && done.stderr.contains("it is not ours"), "{}", done.stderr);
    assert!(alive(serve.pid()));
    // With nothing of its own to watch it does not stay.
    test.run("up a").success();
    test.run("down").stderr("a: stopped").success();
}

/// A stopped process answers nothing and takes no signal but the last.
#[test]
fn an_owner_that_hangs_is_killed_and_cleared_away() {
    let test = Test::bare(&["a"]);
    test.run("up -d").success();
    let owner = test.pid("a");
    kill(Pid::from_raw(owner), Signal::SIGSTOP).unwrap();
    test.run("ready a --timeout 0.3").stderr("nixbox::owner::silent").code(6);
    assert_eq!(test.run("ps --json").success().json()["instances"][0]["state"], "silent");
    test.run("up").stderr("nixbox::owner::silent").code(6);
    let done = test.run("down --timeout 0.5").stderr("did not stop in time and was killed").success();
    assert!(!alive(owner), "{}", done.stderr);
    assert_eq!(test.runtime_files(), [""; 0]);
    assert!(!test.path(".agentfs/a.d/owner.lock").exists());
    test.run("up -d").success();
}

#[test]
fn what_cannot_start_says_why_and_takes_the_others_back() {
    let test = Test::bare(&["a", "b"]);
    std::fs::create_dir_all(test.path(".agentfs")).unwrap();
    std::fs::write(test.path(".agentfs/b.db"), "this is no database, and it is long enough to be looked at twice")
        .unwrap();
    let done = test.run("up -d").stdout("").stderr("nixbox::database::foreign").code(7);
    assert!(done.stderr.contains("b.db"), "{}", done.stderr);
    assert_eq!(test.runtime_files(), [""; 0]);
    test.run("ready a").code(3);
}

#[test]
fn a_detached_owner_holds_nothing_of_its_starter() {
    let test = Test::bare(&["a"]);
    // Output is a pipe and read to its end: this returns only if the owner does not hold it.
    test.run("up -d").success();
    let pid = test.pid("a");
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let session = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(3).unwrap().to_owned();
    assert_eq!(session, pid.to_string());
    let log = test.path("run/a.log");
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(log.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let input = std::fs::read_link(format!("/proc/{pid}/fd/0")).unwrap();
    assert_eq!(input, std::path::Path::new("/dev/null"));
}

#[test]
fn an_owner_from_another_environment_is_found_by_its_lock() {
    let test = Test::new().raw_config("version = 1\n[instances.a]\nmount.backend = \"none\"\n");
    crate::support::owner();
    let (one, other) = (test.path("run"), test.path("run2"));
    for folder in [&one, &other] {
        std::fs::create_dir(folder).unwrap();
    }
    let (one, other) = (one.display().to_string(), other.display().to_string());
    test.run("up -d").env("XDG_RUNTIME_DIR", &one).success();
    test.run("ready a").env("XDG_RUNTIME_DIR", &other).success();
    test.run("wait a").env("XDG_RUNTIME_DIR", &other).success();
    test.run("up -d").env("XDG_RUNTIME_DIR", &other).stderr("already running").success();
    test.run("stop a").env("XDG_RUNTIME_DIR", &other).success();
    test.run("ready a").env("XDG_RUNTIME_DIR", &one).code(3);
}

#[test]
fn a_second_ctrl_c_does_not_wait() {
    let test = Test::bare(&["a", "b"]);
    let up = test.spawn("up");
    test.run("wait --all").success();
    let (hangs, polite) = (test.pid("a"), test.pid("b"));
    kill(Pid::from_raw(hangs), Signal::SIGSTOP).unwrap();
    up.signal(Signal::SIGINT);
    until("the polite one is gone", || !alive(polite));
    let watch = HeldUp::watch();
    // It has ended by itself where this machine has stood still for so long.
    let _ = kill(Pid::from_raw(up.pid()), Signal::SIGINT);
    let done = up.finish();
    watch.assert_within(std::time::Duration::from_secs(3), "the end");
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(!alive(hangs));
    assert_eq!(test.runtime_files(), [""; 0]);
}

/// Something that is no owner, or one of another age, listens at an instance's socket.
#[test]
fn one_that_talks_nonsense_does_not_hide_the_others() {
    let test = Test::bare(&["a", "b"]);
    test.run("up -d b").success();
    let socket = std::os::unix::net::UnixListener::bind(test.path("run/a.sock")).unwrap();
    let speaker = std::thread::spawn(move || {
        use std::io::{BufRead, BufReader, Write};
        for _ in 0..2 {
            let mut stream = BufReader::new(socket.accept().unwrap().0);
            // Closing with something unread would take back what was said.
            stream.read_line(&mut String::new()).unwrap();
            stream.get_mut().write_all(b"hello\n").unwrap();
        }
    });
    let rows = test.run("ps --json").success().json();
    assert_eq!(rows["instances"][0]["state"], "silent");
    assert_eq!(rows["instances"][1]["state"], "ready");
    test.run("ready a").stderr("speaks another protocol").code(6);
    speaker.join().unwrap();
}
