//! Jobs and instances that are kept up: order, restarts, ends, and whoever keeps them up being killed.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use nixbox_supervisor::tree_of;

use crate::support::{Done, Test, alive, fuse, owner, until};

/// One instance over the project folder, and these jobs in it.
fn with_jobs(jobs: &str) -> Option<Test> {
    owner();
    if !fuse() {
        return None;
    }
    let quick = "restart.backoff = { min = \"10ms\", max = \"50ms\" }";
    let box_ = format!("[instances.box]\nbase = \".\"\nexclude = [\"run\", \"tmp\"]\nmount.path = \"mnt\"\n{quick}\n");
    Some(Test::new().config(&(box_ + &jobs.replace("QUICK", quick))))
}

fn job(done: &Done, name: &str) -> serde_json::Value {
    let rows = done.json()["jobs"].as_array().unwrap().clone();
    rows.into_iter().find(|row| row["job"] == name).unwrap()
}

pub fn pid(test: &Test, name: &str) -> i32 {
    job(&test.run("ps --json").success(), name)["pid"].as_i64().unwrap() as i32
}

#[test]
fn a_killed_owner_comes_again_and_what_lives_in_it_too() {
    let Some(test) = with_jobs("[jobs.web]\nexec = [\"sleep\", \"1000\"]\n") else { return };
    test.run("up -d").stderr("box: ready").stderr("web: ready").success();
    let (box_, web) = (test.pid("box"), pid(&test, "web"));
    kill(Pid::from_raw(box_), Signal::SIGKILL).unwrap();
    until("both are there again", || {
        let now = test.run("ps --json").success();
        let row = &now.json()["instances"][0];
        row["restarts"] == 1 && row["ready"] == true && job(&now, "web")["state"] == "ready"
    });
    assert!(!alive(box_) && !alive(web));
    assert_ne!((test.pid("box"), pid(&test, "web")), (box_, web));
    test.run("down").stderr("web: stopped").stderr("box: stopped").success();
    assert_eq!(test.runtime_files(), [""; 0]);
}

#[test]
fn jobs_run_in_order_and_see_the_instance_in_the_place_of_the_folder() {
    let jobs = "[jobs.seed]\nexec = [\"sh\", \"-c\", \"pwd > where; cat > seeded\"]\nstdin = \"in\"\nenv.A = \"b c\"\n\
                [jobs.web]\nexec = [\"sh\", \"-c\", \"cat ../seeded; echo $A $AGENTFS_ID; exec sleep 1000\"]\ncwd = \"sub\"\n\
                env.A = \"d\"\ndepends_on.seed = \"completed\"\n";
    let Some(test) = with_jobs(jobs) else { return };
    std::fs::create_dir(test.path("sub")).unwrap();
    std::fs::write(test.path("in"), "from a file\n").unwrap();
    test.run("up -d web").stderr("seed: completed").success();
    assert!(!test.path("seeded").exists(), "the real folder stays as it is");
    let there = std::fs::read_to_string(test.path("mnt/where")).unwrap();
    assert_eq!(there.trim(), test.root().display().to_string());
    let log = test.path("run/web.log");
    until("it has said it", || std::fs::read_to_string(&log).is_ok_and(|log| log.lines().count() >= 2));
    let log = std::fs::read_to_string(&log).unwrap();
    let said: Vec<_> = log.lines().map(|line| line.split_once("Z ").unwrap().1).collect();
    assert_eq!(said, ["from a file", "d box"]);
    let now = test.run("ps --json").success();
    assert_eq!(
        (job(&now, "seed")["state"].as_str(), job(&now, "seed")["exit_code"].as_i64()),
        (Some("completed"), Some(0))
    );
    test.run("timeline --tool exec").stdout_has("success").success();
    test.run("down").success();
    // What became of each is known afterwards.
    let after = test.run("ps --json").success();
    assert_eq!(job(&after, "seed")["state"], "completed");
    assert_eq!(job(&after, "web")["state"], "stopped");
}

#[test]
fn a_crash_loop_is_bounded_and_says_what_it_saw_last() {
    let Some(test) = with_jobs(
        "[jobs.bad]\nexec = [\"sh\", \"-c\", \"echo no luck; exit 9\"]\nQUICK\n\
                [jobs.after]\nexec = [\"true\"]\ndepends_on.bad = \"completed\"\n",
    ) else {
        return;
    };
    // What waits for it fails with it, and the instance was begun for nothing.
    let done = test.run("up -d").stdout("").stderr("nixbox::unit::failed").stderr("no luck").code(1);
    assert!(done.stderr.contains("job `after` needs `bad`, which does not run"), "{}", done.stderr);
    assert!(done.stderr.contains("ended with exit code 9, and so did each of 5 restarts"), "{}", done.stderr);
    let log = std::fs::read_to_string(test.path("run/bad.log")).unwrap();
    assert_eq!(log.matches("no luck").count(), 6);
    assert_eq!(test.runtime_files(), [""; 0]);
    let row = job(&test.run("ps --json").success(), "bad");
    assert_eq!(
        (row["state"].as_str(), row["restarts"].as_i64(), row["exit_code"].as_i64()),
        (Some("failed"), Some(5), Some(9))
    );
    // Who waits for its end is told it, also afterwards.
    test.run("wait --exit bad").code(9);
}

/// It ignores TERM, and so do a child in a session of its own and one that has lost its parent.
#[test]
fn nothing_of_a_job_outlives_down() {
    let script = "trap '' TERM; setsid sh -c 'trap : TERM; while :; do sleep 1; done' & (sh -c 'trap : TERM; while :; do sleep 1; done' &) ; echo up; while :; do sleep 1; done";
    let Some(test) = with_jobs(&format!("[jobs.wild]\nexec = [\"sh\", \"-c\", \"{script}\"]\n")) else { return };
    test.run("up -d").success();
    let log = test.path("run/wild.log");
    // Until then it has not said yet that it hears no TERM.
    let is_up = |times| std::fs::read_to_string(&log).is_ok_and(|log| log.matches("up").count() == times);
    until("it is up", || is_up(1));
    let tree = tree_of(pid(&test, "wild"));
    assert!(tree.len() >= 4, "{tree:?}");
    test.run("stop wild --timeout 0.5").stderr("wild: did not stop in time and was killed").success();
    assert!(!tree.iter().any(|process| process.is_alive()));
    test.run("up -d wild").success();
    until("it is up again", || is_up(2));
    let tree = tree_of(pid(&test, "wild"));
    test.run("down --timeout 0.5").stderr("wild: did not stop in time and was killed").success();
    assert!(!tree.iter().any(|process| process.is_alive()));
}

#[test]
fn what_a_job_has_left_behind_ends_with_it() {
    let Some(test) =
        with_jobs("[jobs.once]\nexec = [\"sh\", \"-c\", \"setsid sleep 4242 & (sleep 4242 &) ; echo $$\"]\n")
    else {
        return;
    };
    test.run("up -d").success();
    until("it has ended", || job(&test.run("ps --json").success(), "once")["state"] == "completed");
    let mark = test.root().display().to_string();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let read = |name: &str| std::fs::read(entry.path().join(name)).unwrap_or_default();
        let is_ours = String::from_utf8_lossy(&read("environ")).contains(&mark);
        assert!(!(is_ours && read("cmdline").starts_with(b"sleep\x004242")), "{}", entry.path().display());
    }
}

/// Whoever keeps the project up, and the process that looks after it.
pub fn supervisors(test: &Test) -> Vec<i32> {
    let state: serde_json::Value =
        serde_json::from_slice(&std::fs::read(test.path(".agentfs/.units/state.json")).unwrap()).unwrap();
    state["processes"].as_array().unwrap().iter().map(|process| process["pid"].as_i64().unwrap() as i32).collect()
}

#[test]
fn nothing_is_left_of_a_supervisor_that_was_killed() {
    let Some(test) = with_jobs("[jobs.web]\nexec = [\"sh\", \"-c\", \"trap : TERM; while :; do sleep 1; done\"]\n")
    else {
        return;
    };
    test.run("up -d").success();
    let (box_, web) = (test.pid("box"), tree_of(pid(&test, "web")));
    let [supervisor, guardian] = supervisors(&test)[..] else { panic!() };
    kill(Pid::from_raw(supervisor), Signal::SIGKILL).unwrap();
    until("all of it is gone", || !alive(guardian));
    assert!(!alive(box_) && !web.iter().any(|process| process.is_alive()));
    assert_eq!(test.runtime_files(), [""; 0]);
    test.run("up -d").success();

    // Both at once: the next one finds what was left.
    let (box_, web) = (test.pid("box"), tree_of(pid(&test, "web")));
    let [supervisor, guardian] = supervisors(&test)[..] else { panic!() };
    for pid in [guardian, supervisor] {
        kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    }
    until("the owner ends by itself", || !alive(box_));
    test.run("up -d").success();
    assert!(!web.iter().any(|process| process.is_alive()));
    test.run("down").success();
    assert_eq!(test.runtime_files(), [""; 0]);
}

#[test]
fn one_can_be_stopped_started_restarted_and_signalled() {
    let jobs = "[jobs.a]\nexec = [\"sh\", \"-c\", \"trap 'echo hup' HUP; echo up; while :; do sleep 0.1; done\"]\n[jobs.b]\nexec = [\"sleep\", \"1000\"]\n";
    let Some(test) = with_jobs(jobs) else { return };
    test.run("restart a").stderr("nixbox::supervisor::not-running").code(3);
    test.run("up -d").success();
    let (a, b, box_) = (pid(&test, "a"), pid(&test, "b"), test.pid("box"));
    let log = test.path("run/a.log");
    let is_up = |times| std::fs::read_to_string(&log).is_ok_and(|log| log.matches("up").count() == times);
    // Stopped before, it would never say it.
    until("it is up", || is_up(1));
    test.run("stop a").stderr("a: stopped").success();
    assert!(!alive(a) && alive(b));
    test.run("stop a").stderr("nixbox::unit::not-running").code(3);
    test.run("start a").stderr("a: ready").success();
    until("it is up", || is_up(2));
    test.run("restart b").stderr("b: ready").success();
    assert!(!alive(b));
    test.run("kill -s HUP a").success();
    until("it has got it", || std::fs::read_to_string(&log).is_ok_and(|log| log.contains("hup")));
    test.run("kill -s NOSUCH a").code(2);
    test.run("kill nobody").stderr("nixbox::instance::unknown").code(3);
    // The instance takes with it what lives in it.
    test.run("restart box").success();
    assert!(!alive(box_));
    assert_ne!(pid(&test, "a"), a);
    test.run("down a b").stderr("a: stopped").stderr("b: stopped").success();
    test.run("ready box").success();
}

#[test]
fn up_again_restarts_what_has_changed_and_nothing_else() {
    let jobs = "[jobs.a]\nexec = [\"sleep\", \"1000\"]\n[jobs.b]\nexec = [\"sleep\", \"1000\"]\n[jobs.c]\nexec = [\"sleep\", \"1000\"]\n";
    let Some(test) = with_jobs(jobs) else { return };
    test.run("up -d --no-reload").success();
    let (a, b, c) = (pid(&test, "a"), pid(&test, "b"), pid(&test, "c"));
    test.run("up -d").stderr("a: already running").success();
    assert_eq!((pid(&test, "a"), pid(&test, "b")), (a, b));
    let text = std::fs::read_to_string(test.path("nixbox.toml")).unwrap();
    let text = text.replace("[jobs.b]\n", "[jobs.b]\nenv.X = \"y\"\n").replace("[jobs.c]\n", "[jobs.d]\n");
    std::fs::write(test.path("nixbox.toml"), text).unwrap();
    test.run("up -d")
        .stderr("b: has changed, and is restarted")
        .stderr("c: is no longer declared, and stops")
        .stderr("d: ready")
        .success();
    assert_eq!(pid(&test, "a"), a);
    assert!(!alive(b));
    until("what is no longer declared is gone", || !alive(c));
    test.run("down").success();
}

#[test]
fn a_health_check_says_when_a_job_is_ready_and_restarts_it() {
    let jobs = "[jobs.a]\nexec = [\"sh\", \"-c\", \"sleep 0.3; touch well; exec sleep 1000\"]\nQUICK\n\
                health = { exec = [\"test\", \"-e\", \"well\"], interval = \"100ms\", retries = 2, start_period = \"30s\" }\n";
    let Some(test) = with_jobs(jobs) else { return };
    test.run("up -d").stderr("a: ready").success();
    let first = pid(&test, "a");
    assert_eq!(job(&test.run("ps --json").success(), "a")["health"], "healthy");
    test.run("job --probe a").success();
    std::fs::remove_file(test.path("mnt/well")).unwrap();
    until("it was restarted", || job(&test.run("ps --json").success(), "a")["restarts"] == 1);
    assert!(!alive(first));
    test.run("down").success();
}

/// What follows from it is for `restart` to say; here nothing does.
#[test]
fn the_health_of_an_instance_and_of_a_job_is_shown_and_told() {
    let health =
        "health = { exec = [\"test\", \"-e\", \"well\"], interval = \"100ms\", retries = 1 }\nrestart.on = \"never\"\n";
    owner();
    if !fuse() {
        return;
    }
    let test = Test::new().config(&format!(
        "[instances.box]\nbase = \".\"\nexclude = [\"run\", \"tmp\"]\nmount.path = \"mnt\"\n{health}[jobs.a]\nexec = [\"sleep\", \"1000\"]\n{health}"
    ));
    std::fs::write(test.path("well"), "").unwrap();
    test.run("up -d").success();
    let healths = || {
        let told = test.run("ps --format {{.Name}}={{.Health}}").success().stdout;
        told.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    until("both are well", || healths() == ["box=healthy", "a=healthy"]);
    test.run("ps").stdout_has("HEALTH").success();
    std::fs::remove_file(test.path("well")).unwrap();
    until("neither is well", || healths() == ["box=unhealthy", "a=unhealthy"]);
    assert_eq!(test.run("ps --filter health=healthy --format name").success().stdout, "");
    std::fs::write(test.path("well"), "").unwrap();
    until("both are well again", || healths() == ["box=healthy", "a=healthy"]);
    for name in ["box", "a"] {
        let events = test.run(&format!("events {name}")).success().stdout;
        let told: Vec<_> =
            events.lines().filter_map(|line| line.rsplit_once("), ")).map(|(_, health)| health).collect();
        assert_eq!(told, ["healthy", "unhealthy", "healthy"], "{events}");
    }
    test.run("down").success();
}

#[test]
fn what_was_said_and_what_became_of_all_can_be_read() {
    let jobs = "[jobs.a]\nexec = [\"sh\", \"-c\", \"for i in $(seq 300); do echo line $i; done; exec sleep 1000\"]\n\
                log = { max_size = \"4KiB\", keep = 9 }\n\
                [jobs.b]\nexec = [\"sh\", \"-c\", \"until [ -e end ]; do sleep 0.01; done; echo b says; exit 4\"]\n\
                restart.on = \"never\"\n";
    let Some(test) = with_jobs(jobs) else { return };
    test.run("logs").stderr("nixbox::unit::not-logged").code(3);
    test.run("up -d").success();
    std::fs::write(test.path("end"), "").unwrap();
    test.run("wait --exit b").stderr("b: exit code 4").code(4);
    until("it has said all", || test.run("logs a --tail 1").success().stdout.contains("line 300"));
    // Also what was put aside.
    assert!(test.path("run/a.log.1").exists());
    let all = test.run("logs a").success().stdout;
    let wanted: Vec<_> = (1..=300).map(|number| format!("a | line {number}")).collect();
    assert_eq!(all.lines().collect::<Vec<_>>(), wanted);
    test.run("logs a b --tail 1").stdout_has("a | line 300\n").stdout_has("b | b says\n").success();
    assert_eq!(test.run("logs a --since 2199-01-01T00:00:00Z").success().stdout, "");
    let one: serde_json::Value = serde_json::from_str(&test.run("logs b --json").success().stdout).unwrap();
    assert_eq!((one["name"].as_str(), one["line"].as_str()), (Some("b"), Some("b says")));
    test.run("logs nobody").stderr("nixbox::instance::unknown").code(3);

    let into = test.path("followed");
    let follow = test.spawn_into("logs -f a", &into);
    let events = test.run("events b").success().stdout;
    let words: Vec<_> = events.lines().map(|line| line.split(' ').nth(2).unwrap().to_owned()).collect();
    assert_eq!(words, ["waiting", "ready", "failed:"], "{events}");
    test.run("restart a").success();
    let first: serde_json::Value =
        serde_json::from_str(test.run("events --json --tail 1 a").success().stdout.trim()).unwrap();
    assert_eq!((first["unit"]["name"].as_str(), first["unit"]["state"].as_str()), (Some("a"), Some("ready")));
    let followed = || std::fs::read_to_string(&into).unwrap();
    until("it was said again", || followed().matches("line 300\n").count() == 2);
    drop(follow);
    let twice = [&wanted[..], &wanted[..]].concat();
    assert_eq!(followed().lines().collect::<Vec<_>>(), twice, "each line as often as it was said");
    test.run("down").success();
}

#[test]
fn what_is_paused_stands_still_with_all_that_it_has_started() {
    let jobs = "[jobs.a]\nexec = [\"sh\", \"-c\", \"(while :; do echo tick; sleep 0.02; done) & wait\"]\n";
    let Some(test) = with_jobs(jobs) else { return };
    test.run("up -d").success();
    let length = || std::fs::metadata(test.path("run/a.log")).map_or(0, |meta| meta.len());
    let grows = || {
        let before = length();
        std::thread::sleep(std::time::Duration::from_millis(300));
        length() > before
    };
    until("it runs", grows);
    test.run("pause a").stderr("a: paused").success();
    // What was said before is still to be written down.
    until("it stands still", || !grows());
    assert!(!grows());
    assert_eq!(job(&test.run("ps --json").success(), "a")["paused"], true);
    test.run("ps").stdout_has("paused").success();
    assert_eq!(test.run("pause a --json").success().json()["changed"], serde_json::json!([]));
    test.run("unpause a").stderr("a: goes on").success();
    until("it goes on", grows);
    let stats = test.run("stats --no-stream --json").success().json();
    let row = stats["units"].as_array().unwrap().iter().find(|row| row["name"] == "a").unwrap().clone();
    assert!(row["processes"].as_i64() >= Some(3) && row["memory_bytes"].as_i64() > Some(1 << 14), "{row}");
    // Stopped while it stands still it ends as any other.
    test.run("pause a").success();
    test.run("stop a").stderr("a: stopped").success();
    test.run("pause a").stderr("nixbox::unit::not-running").code(3);
    test.run("down").success();
}
