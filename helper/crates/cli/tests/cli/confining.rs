//! What jobs and commands may take of the machine: declared, on the command line, changed while they run.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::keeping_up::supervisors;
use crate::support::{Done, Test, fuse, owner, until};

/// One instance, with what commands in it may take, and these jobs.
fn with_limits(limits: &str, jobs: &str) -> Option<Test> {
    owner();
    if !fuse() {
        return None;
    }
    let instance = "[instances.box]\nbase = \".\"\nexclude = [\"run\", \"tmp\"]\nmount.path = \"mnt\"\n";
    Some(Test::new().config(&format!("{instance}{limits}\n{jobs}")))
}

/// Control groups of this project that are there.
fn groups(test: &Test) -> Vec<String> {
    let files = std::fs::read_dir(test.path("run")).into_iter().flatten().flatten();
    let names = files.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mark = names.filter_map(|name| Some(name.strip_prefix(".up-")?.split('.').next()?.to_owned())).next();
    let family = format!("nixbox-{}.", mark.unwrap());
    let (mut found, mut next) = (Vec::new(), vec![std::path::PathBuf::from("/sys/fs/cgroup")]);
    while let Some(folder) = next.pop() {
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            let name = entry.file_name().to_string_lossy().into_owned();
            found.extend(name.starts_with(&family).then_some(name));
            next.push(entry.path());
        }
    }
    found
}

fn row(done: &Done, name: &str) -> serde_json::Value {
    let rows = done.json()["units"].as_array().unwrap().clone();
    rows.into_iter().find(|row| row["name"] == name).unwrap_or_default()
}

#[test]
fn a_command_that_needs_more_memory_than_it_may_take_is_killed_and_says_so() {
    let Some(test) = with_limits("limits.memory = \"48MiB\"", "") else { return };
    test.run("up -d").success();
    // Without a newline `tail` keeps all of it.
    let greedy = ["sh", "-c", "head -c 300000000 /dev/zero | tail > /dev/null; exit 3"];
    let done = test.args(["exec", "--"].into_iter().chain(greedy)).code(3);
    if done.stderr.contains("does not hold") {
        return println!("skipped: {}", done.stderr);
    }
    assert!(["nixbox::exec::out-of-memory", "48MiB"].iter().all(|word| done.stderr.contains(word)), "{}", done.stderr);
    let done = test.args(["exec", "--json", "--"].into_iter().chain(greedy)).code(3);
    assert_eq!((&done.json()["out_of_memory"], &done.json()["timed_out"]), (&true.into(), &false.into()));
    test.run("timeline --tool exec").stdout_has("it needed more memory than it may take").success();
    // The command line speaks before the configuration.
    let modest = "head -c 100000000 /dev/zero | tail > /dev/null";
    test.args(["exec", "--memory", "1GiB", "--", "sh", "-c", modest]).success();
    let many = "sleep 9 & sleep 9 & sleep 9 & sleep 9 & wait";
    test.args(["exec", "--pids", "3", "--", "sh", "-c", many]).stderr("fork").code(2);
    assert_eq!(groups(&test), [""; 0]);
    test.run("down").success();
}

#[test]
fn a_job_that_takes_too_long_or_too_much_says_so() {
    let jobs = "[jobs.slow]\nexec = [\"sleep\", \"1000\"]\nlimits.timeout = \"300ms\"\nrestart.on = \"never\"\n\
                [jobs.big]\nexec = [\"sh\", \"-c\", \"head -c 300000000 /dev/zero | tail; exit 4\"]\n\
                limits.memory = \"48MiB\"\nrestart.on = \"never\"\n";
    let Some(test) = with_limits("limits.timeout = \"1h\"", jobs) else { return };
    test.run("up -d box").success();
    test.run("start slow").try_codes(&[0, 1]);
    test.run("wait --exit slow").code(125);
    test.run("logs slow").stdout_has("nixbox::exec::timed-out").stdout_has("0.3 s").success();
    test.run("start big").try_codes(&[0, 1]);
    test.run("wait --exit big").code(4);
    let log = test.run("logs big").success();
    if !log.stdout.contains("does not hold") {
        test.run("logs big").stdout_has("nixbox::exec::out-of-memory").success();
        test.run("inspect big").stdout_has("nixbox::exec::out-of-memory").success();
    }
    until("no group is left", || groups(&test).is_empty());
    test.run("down").success();
}

#[test]
fn what_a_job_may_take_is_changed_while_it_runs_and_stays_so_when_it_comes_again() {
    let jobs = "[jobs.a]\nexec = [\"sleep\", \"1000\"]\nlimits = { cpu = 0.5, memory = \"64MiB\", pids = 20 }\n\
                [jobs.b]\nexec = [\"sleep\", \"1000\"]\n";
    let Some(test) = with_limits("", jobs) else { return };
    test.run("up -d").success();
    let told = |name: &str| row(&test.run("stats --no-stream --json").success(), name);
    let limits = |name: &str| told(name)["limits"].clone();
    if limits("a").is_null() {
        return println!("skipped: nothing is bounded here");
    }
    assert_eq!(limits("a"), serde_json::json!({ "cpu": 0.5, "memory_bytes": 64 << 20, "pids": 20 }));
    assert_eq!(limits("b"), serde_json::Value::Null);
    assert!(groups(&test).iter().any(|name| name.ends_with(".b")));

    let done = test.run("update a --memory 128MiB --json").success();
    assert_eq!(done.json()["changed"], serde_json::json!(["a"]));
    test.run("update a b --cpu 2").stderr("a: changed").stderr("b: changed").success();
    let wanted = serde_json::json!({ "cpu": 2.0, "memory_bytes": 128 << 20, "pids": 20 });
    assert_eq!(limits("a"), wanted);
    assert_eq!(limits("b"), serde_json::json!({ "cpu": 2.0 }));
    test.run("restart a").success();
    until("it is held to the same", || limits("a") == wanted);
    // An `up` of the same changes nothing, and one of something else is what is written.
    test.run("up -d").success();
    assert_eq!(limits("a"), wanted);
    let text = std::fs::read_to_string(test.path("nixbox.toml")).unwrap();
    std::fs::write(test.path("nixbox.toml"), text.replace("pids = 20", "pids = 30")).unwrap();
    test.run("up -d").stderr("a: has changed").success();
    let written = serde_json::json!({ "cpu": 0.5, "memory_bytes": 64 << 20, "pids": 30 });
    until("it is held to what is written", || limits("a") == written);

    test.run("update box --cpu 1").stderr("nixbox::unit::limits").code(7);
    test.run("update nobody --cpu 1").stderr("nixbox::instance::unknown").code(3);
    test.run("update a").stderr("nixbox::usage").code(2);
    test.run("update a --cpu 0").code(2);
    test.run("down").success();
    assert_eq!(test.runtime_files(), [""; 0]);
}

#[test]
fn a_killed_supervisor_leaves_no_group() {
    let Some(test) = with_limits("", "[jobs.a]\nexec = [\"sleep\", \"1000\"]\n") else { return };
    test.run("up -d").success();
    // Whoever runs the command makes it, a moment after it was started.
    let is_made = || {
        (0..2000).any(|_| {
            !groups(&test).is_empty() || {
                std::thread::sleep(Duration::from_millis(10));
                false
            }
        })
    };
    if !is_made() {
        return println!("skipped: no group can be made here");
    }
    // None of them can take it away any more: that is for the next one.
    let job = crate::keeping_up::pid(&test, "a");
    for pid in [&supervisors(&test)[..], &[job]].concat().into_iter().rev() {
        kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    }
    test.run("down").success();
    assert_eq!(groups(&test), [""; 0]);
}

#[test]
fn what_is_asked_of_files_is_counted() {
    let Some(test) = with_limits("", "") else { return };
    test.run("up -d").success();
    let files = || row(&test.run("stats --no-stream --json").success(), "box")["files"].clone();
    let before = files();
    std::fs::write(test.path("mnt/big"), vec![b'x'; 3 << 20]).unwrap();
    let after = files();
    let grown = |name: &str| after[name].as_u64().unwrap() - before[name].as_u64().unwrap();
    assert_eq!(grown("written_bytes"), 3 << 20);
    assert!(grown("writes") > 0 && grown("operations") > grown("writes"), "{before} {after}");
    let size =
        |files: &serde_json::Value| files["database_bytes"].as_u64().unwrap() + files["log_bytes"].as_u64().unwrap();
    assert!(size(&after) >= size(&before) + (3 << 20), "{before} {after}");
    let rows = test.run("top --no-stream --sort memory").success().stdout;
    assert!(rows.contains("OPERATIONS/S") && rows.lines().nth(1).is_some_and(|line| line.starts_with("box")), "{rows}");
    test.run("down").success();
}
