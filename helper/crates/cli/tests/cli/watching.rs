//! Jobs that are started anew when files change: here, in the mount, by editors, many at once, and in the middle of it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Done, Test, alive, fuse, helper, owner, until};

/// An instance over the project folder, with `src/main.rs` in it, and one job.
fn with_job(job: &str) -> Option<Test> {
    owner();
    if !fuse() {
        return None;
    }
    let box_ = "[instances.box]\nbase = \".\"\nexclude = [\"run\", \"tmp\"]\nmount.path = \"mnt\"\n[jobs.web]\n";
    let test = Test::new().config(&(box_.to_owned() + job));
    fs::create_dir(test.path("src")).unwrap();
    fs::write(test.path("src/main.rs"), "0").unwrap();
    Some(test)
}

const SHOWS: &str = "exec = [\"sh\", \"-c\", \"echo begun $(cat src/main.rs); exec sleep 1000\"]\n";
const WATCH: &str = "watch = { paths = [\"./src\"], ignore = [\"*.log\"], debounce = \"300ms\" }\n";

fn said(test: &Test) -> Vec<String> {
    let log = fs::read_to_string(test.path("run/web.log")).unwrap_or_default();
    log.lines().map(|line| line.split_once("Z ").unwrap().1.to_owned()).collect()
}

fn begun(test: &Test) -> Vec<String> {
    said(test).into_iter().filter_map(|line| Some(line.strip_prefix("begun ")?.to_owned())).collect()
}

fn begins(test: &Test, times: usize) {
    until("it is started anew", || begun(test).len() >= times);
    // Once, and not for each of what was done.
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(begun(test).len(), times, "{:#?}", said(test));
}

fn web(done: &Done) -> serde_json::Value {
    done.json()["jobs"][0].clone()
}

/// As editors do it.
fn save(path: &Path, text: &str) {
    let beside = path.with_file_name(".main.rs.new");
    fs::write(&beside, text).unwrap();
    fs::rename(beside, path).unwrap();
}

#[test]
fn a_job_is_started_anew_when_something_of_its_instance_changes() {
    let Some(test) = with_job(&format!("{SHOWS}{WATCH}")) else { return };
    test.run("up -d").success();
    begins(&test, 1);
    let pid = web(&test.run("ps --json").success())["pid"].clone();
    // The real folder, which the instance shows.
    save(&test.path("src/main.rs"), "1");
    begins(&test, 2);
    assert!(said(&test).iter().any(|line| line == "web: src/main.rs changed"), "{:#?}", said(&test));
    // Through the mount, and by a command in the instance.
    fs::write(test.path("mnt/src/main.rs"), "2").unwrap();
    begins(&test, 3);
    test.args(["exec", "--", "sh", "-c", "mkdir -p src/new/er && echo 3 > src/new/er/file && echo 4 > src/main.rs"])
        .success();
    begins(&test, 4);
    for number in 0..40 {
        fs::write(test.path(&format!("src/{number}.rs")), "x").unwrap();
    }
    begins(&test, 5);
    // A folder that came later is followed as well.
    fs::write(test.path("mnt/src/new/er/file"), "5").unwrap();
    begins(&test, 6);
    // By a verb and by an agent, which go past the mount.
    test.run("fs write src/main.rs").stdin("6").success();
    begins(&test, 7);
    test.run("fs cat src/main.rs").success();
    test.run("fs write top").stdin("6").success();
    for (file, text) in [("src/a.log", "x"), ("top.rs", "x"), ("mnt/src/b.log", "x"), ("src/.main.rs.swp", "x")] {
        fs::write(test.path(file), text).unwrap();
    }
    fs::create_dir(test.path("src/.git")).unwrap();
    fs::read(test.path("mnt/src/main.rs")).unwrap();
    begins(&test, 7);
    assert_eq!(begun(&test), ["0", "1", "2", "4", "4", "4", "6"]);
    let now = web(&test.run("ps --json").success());
    assert_eq!((&now["pid"], &now["restarts"], &now["state"]), (&pid, &0.into(), &"ready".into()));
    test.run("events web").stdout_has("starting").stdout_has("src/main.rs changed").success();
    test.run("timeline --tool exec --json").stdout_has("sleep 1000").success();
    test.run("down").stderr("box: stopped").success();
    assert_eq!(test.runtime_files(), [""; 0]);
}

#[test]
fn a_change_while_it_is_started_anew_is_not_lost() {
    // It takes its time to end, and to look.
    let job = "exec = [\"sh\", \"-c\", \"echo begun $(cat src/main.rs); trap 'sleep 0.2; exit' TERM; while :; do sleep 0.05; done\"]\n";
    let Some(test) = with_job(&format!("{job}watch = {{ paths = [\"src\"], debounce = \"50ms\" }}\n")) else { return };
    test.run("up -d").success();
    for number in 1..=25 {
        save(&test.path("src/main.rs"), &number.to_string());
        std::thread::sleep(Duration::from_millis(40 * (number % 7)));
    }
    until("it has seen the last", || begun(&test).last().is_some_and(|last| last == "25"));
    let now = web(&test.run("ps --json").success());
    assert_eq!(now["restarts"], 0);
    test.run("down").success();
}

#[test]
fn what_has_ended_by_itself_waits_for_the_next_change() {
    let job = "exec = [\"sh\", \"-c\", \"echo begun $(cat src/main.rs); test $(cat src/main.rs) = 0 && exit 3; sleep 1000\"]\n";
    let Some(test) = with_job(&format!("{job}{WATCH}")) else { return };
    test.run("up -d").success();
    until("it rests", || web(&test.run("ps --json").success())["state"] == "resting");
    let now = web(&test.run("ps --json").success());
    assert_eq!(
        (&now["restarts"], &now["why"]),
        (&0.into(), &"it ended with exit code 3 and waits for a change".into())
    );
    save(&test.path("src/main.rs"), "1");
    until("it runs again", || web(&test.run("ps --json").success())["state"] == "ready");
    begins(&test, 2);
    save(&test.path("src/main.rs"), "0");
    until("it rests again", || web(&test.run("ps --json").success())["state"] == "resting");
    test.run("stop web").stderr("web: stopped").success();
    test.run("down").success();
}

#[test]
fn always_is_always() {
    let job = "exec = [\"sh\", \"-c\", \"echo begun $(cat src/main.rs); exit 3\"]\n\
               restart = { on = \"always\", max = 2, backoff = { min = \"10ms\", max = \"10ms\" } }\n";
    let Some(test) = with_job(&format!("{job}{WATCH}")) else { return };
    test.run("up -d").try_codes(&[0, 1]);
    until("it is given up", || web(&test.run("ps --json").success())["state"] == "failed");
    assert_eq!(begun(&test).len(), 3);
    test.run("down").success();
}

/// As another process manager runs it.
#[test]
fn alone_it_follows_changes_and_obeys_signals() {
    let job = "exec = [\"sh\", \"-c\", \"echo begun $(cat src/main.rs) > mark; test $(cat src/main.rs) = 2 && exit; sleep 1000\"]\n";
    let Some(test) = with_job(&format!("{job}{WATCH}")) else { return };
    test.run("up -d box").success();
    let mark = |wanted: &str| fs::read_to_string(test.path("mnt/mark")).is_ok_and(|text| text.trim() == wanted);
    for state in ["1", "2"] {
        fs::write(test.path("src/main.rs"), "0").unwrap();
        let _ = fs::remove_file(test.path("mnt/mark"));
        let running = test.spawn("job web");
        until("it has begun", || mark("begun 0"));
        save(&test.path("src/main.rs"), state);
        until("it was started anew", || mark(&format!("begun {state}")));
        let tree = nixbox_supervisor::tree_of(running.pid());
        if state == "2" {
            until("it rests", || nixbox_supervisor::tree_of(running.pid()).len() == 1);
            std::thread::sleep(Duration::from_millis(200));
        }
        running.signal(Signal::SIGTERM);
        let done = running.finish();
        assert_eq!(done.code, Some(143), "{}", done.stderr);
        assert!(done.stderr.contains("web: src/main.rs changed"), "{}", done.stderr);
        assert!(!tree.iter().any(|process| process.is_alive()));
    }
    test.run("down").success();
}

/// In a user namespace of its own the number of watches is one's own to set.
#[test]
fn too_few_watches_are_told_once_and_it_runs_all_the_same() {
    let Some(test) = with_job(&format!("{SHOWS}{WATCH}")) else { return };
    let script = format!("echo 1 > /proc/sys/user/max_inotify_watches && exec {} job web", helper().display());
    let mut command = test.command("unshare");
    command.args(["--user", "--map-root-user", "sh", "-c", &script]);
    if !test
        .command("unshare")
        .args(["--user", "--map-root-user", "true"])
        .status()
        .is_ok_and(|status| status.success())
    {
        println!("skipped: no user namespace can be had here");
        return;
    }
    test.run("up -d box").success();
    let out = test.path("tmp/out");
    let file = fs::File::create(&out).unwrap();
    let mut child = command.stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
    until("it runs", || fs::read_to_string(&out).unwrap().contains("begun 0"));
    let text = fs::read_to_string(&out).unwrap();
    kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(text.matches("nixbox::unit::watch").count(), 1, "{text}");
    assert!(text.contains("max_user_watches") && status.code() == Some(143), "{text} {status}");
    test.run("down").success();
}

#[test]
fn nothing_of_it_is_left_when_it_is_killed() {
    let Some(test) = with_job(&format!("{SHOWS}{WATCH}")) else { return };
    test.run("up -d").success();
    begins(&test, 1);
    let pid = web(&test.run("ps --json").success())["pid"].as_i64().unwrap() as i32;
    let tree = nixbox_supervisor::tree_of(pid);
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    until("it is there again", || web(&test.run("ps --json").success())["restarts"] == 1);
    begins(&test, 2);
    until("nothing is left", || !tree.iter().any(|process| alive(process.pid)));
    save(&test.path("src/main.rs"), "1");
    begins(&test, 3);
    test.run("down").success();
}
