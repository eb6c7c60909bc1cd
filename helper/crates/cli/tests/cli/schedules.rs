//! What is run at certain times, by whoever keeps them, and what becomes of it.

use std::time::{Duration, Instant};

use jiff::{Timestamp, ToSpan};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::{HeldUp, Test, fuse, owner, until};

/// One instance over the project folder, and these schedules.
fn with(schedules: &str) -> Option<Test> {
    owner();
    if !fuse() {
        return None;
    }
    let base = "[instances.box]\nbase = \".\"\nexclude = [\"run\", \"tmp\"]\nmount.path = \"mnt\"\n";
    Some(Test::new().config(&format!("{base}{schedules}")))
}

/// One without a mount, for what needs none.
fn bare(schedules: &str) -> Test {
    owner();
    Test::new().config(&format!("[instances.a]\nmount.backend = \"none\"\n{schedules}"))
}

fn row(test: &Test, name: &str) -> Value {
    let rows = test.run("schedule ls --json").success().json()["schedules"].as_array().unwrap().clone();
    rows.into_iter().find(|row| row["schedule"] == name).unwrap()
}

fn text(test: &Test, path: &str) -> String {
    std::fs::read_to_string(test.path(path)).unwrap_or_default()
}

fn lines(test: &Test, path: &str) -> usize {
    text(test, path).lines().count()
}

#[test]
fn it_runs_each_time_until_it_is_paused_and_goes_on_after() {
    let tick = "[schedules.tick]\ncron = \"* * * * * *\"\nexec = [\"sh\", \"-c\", \"echo tick | tee -a ticks\"]\n";
    let Some(test) = with(tick) else { return };
    test.run("up -d").success();
    until("it has run three times", || lines(&test, "mnt/ticks") >= 3);
    assert_eq!(lines(&test, "ticks"), 0, "the real folder stays as it is");
    let now = row(&test, "tick");
    assert_eq!(
        (&now["paused"], &now["enabled"], &now["last"]["by_hand"]),
        (&false.into(), &true.into(), &false.into())
    );
    assert!(now["next"].as_str().unwrap() > now["last"]["started"].as_str().unwrap(), "{now}");
    assert_eq!(test.run("schedule ls --json").success().json()["kept"], true);
    test.run("logs tick").stdout_has("tick").success();
    test.run("events tick").stdout_has("completed").success();
    test.run("timeline --tool exec").stdout_has("success").success();

    test.run("schedule pause tick").stderr("tick: paused").success();
    until("the last has ended", || row(&test, "tick")["running"] == false);
    let before = lines(&test, "mnt/ticks");
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(lines(&test, "mnt/ticks"), before);
    assert_eq!((row(&test, "tick")["paused"].clone(), row(&test, "tick")["next"].clone()), (true.into(), Value::Null));
    test.run("schedule run tick").stdout("tick\n").success();
    let resumed = Instant::now();
    test.run("schedule resume tick").stderr("tick: goes on").success();
    // What has come meanwhile is not caught up with.
    until("it goes on", || lines(&test, "mnt/ticks") > before + 1);
    let since = lines(&test, "mnt/ticks") - before - 1;
    assert!(since as u64 <= resumed.elapsed().as_secs() + 1, "{since} since {:?}", resumed.elapsed());

    let watch = HeldUp::watch();
    test.run("down").success();
    watch.assert_within(Duration::from_secs(6), "the end");
    assert_eq!(test.run("schedule ls --json").success().json()["kept"], false);
    assert_eq!(test.runtime_files(), [""; 0]);
}

#[test]
fn while_it_still_runs_it_is_left_out_or_waits_or_runs_beside() {
    let schedule = |name: &str| {
        let exec = format!("echo + >> {name}; until [ -e go ]; do sleep 0.05; done; echo - >> {name}");
        format!(
            "[schedules.{name}]\ncron = \"* * * * * *\"\noverlap = \"{name}\"\nexec = [\"sh\", \"-c\", \"{exec}\"]\n"
        )
    };
    let all: String = ["skip", "queue", "allow"].map(schedule).concat();
    let Some(test) = with(&all) else { return };
    test.run("up -d").success();
    until("more than one runs beside", || lines(&test, "mnt/allow") >= 2);
    until("it is left out", || row(&test, "skip")["left_out"].as_u64().is_some_and(|count| count >= 2));
    std::fs::write(test.path("mnt/go"), "").unwrap();
    until("each has run twice", || ["skip", "queue"].iter().all(|name| lines(&test, &format!("mnt/{name}")) >= 4));
    let seen = |name: &str| text(&test, &format!("mnt/{name}")).replace('\n', "");
    for name in ["skip", "queue"] {
        assert!(seen(name).starts_with("+-+-"), "{name}: {}", seen(name));
    }
    assert!(seen("allow").starts_with("++"), "{}", seen("allow"));
    assert_eq!(row(&test, "queue")["left_out"], 0);
    // One that runs can be stopped as a job can; the next comes at its time.
    std::fs::remove_file(test.path("mnt/go")).unwrap();
    until("it runs", || row(&test, "queue")["running"] == true);
    test.run("stop queue").success();
    test.run("down").success();
    let after = seen("allow").len();
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(seen("allow").len(), after);
}

#[test]
fn what_was_missed_while_nothing_kept_it_is_caught_up_with_once_where_that_is_wanted() {
    let schedule = |name: &str, due: Timestamp, more: &str| {
        let cron = due.strftime("%-S %-M %-H %-d %-m *").to_string();
        let run = format!("run = [\"kv\", \"set\", \"{name}\", \"1\"]");
        format!("[schedules.{name}]\ncron = \"{cron}\"\ntimezone = \"UTC\"\n{run}\n{more}\n")
    };
    // It is down before its time, on a slow machine where that is later.
    let early = [6, 20, 60].into_iter().find_map(|seconds| {
        let due = Timestamp::now() + seconds.seconds();
        let test = bare(&(schedule("late", due, "catch_up = true") + &schedule("never", due, "")));
        test.run("up -d").success();
        test.run("down").success();
        (Timestamp::now() < due).then_some((test, due))
    });
    let (test, due) = early.unwrap();
    until("its time is over", || Timestamp::now() > due + 1.second());
    test.run("up -d").success();
    until("it is caught up with", || row(&test, "late")["last"]["exit_code"] == 0);
    assert_eq!(row(&test, "late")["missed"], Value::Null);
    let never = row(&test, "never");
    assert!(never["last"].is_null() && never["missed"].is_string(), "{never}");
    let once = row(&test, "late")["last"]["started"].clone();
    test.run("down").success();
    test.run("up -d").success();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(row(&test, "late")["last"]["started"], once);
    test.run("kv get late").stdout("1\n").success();
    test.run("kv get never").code(3);
}

#[test]
fn one_can_be_run_by_hand_and_ends_as_its_command_does() {
    let Some(test) = with(
        "[schedules.bad]\ncron = \"@yearly\"\nexec = [\"sh\", \"-c\", \"echo out; echo err >&2; exit 7\"]\n\
         [schedules.long]\ncron = \"@yearly\"\nexec = [\"sh\", \"-c\", \"touch began; exec sleep 1000\"]\n\
         [schedules.list]\nat = \"2020-01-01T00:00:00Z\"\nrun = [\"kv\", \"list\"]\n",
    ) else {
        return;
    };
    test.run("init").success();
    // Nobody keeps anything.
    test.run("schedule run list").success();
    assert_eq!(
        (&row(&test, "list")["last"]["exit_code"], &row(&test, "list")["last"]["by_hand"]),
        (&0.into(), &true.into())
    );
    assert_eq!(row(&test, "list")["next"], Value::Null);
    test.run("schedule run bad").stderr("not running").code(125);
    test.run("up -d").success();
    test.run("schedule run bad").stdout("out\n").stderr("err").code(7);
    let answer = test.run("schedule run bad --json").code(7).json();
    assert_eq!(
        (&answer["exit_code"], &answer["stdout"], &answer["stderr"]),
        (&7.into(), &"out\n".into(), &"err\n".into())
    );
    assert_eq!(row(&test, "bad")["last"]["exit_code"], 7);
    test.run("schedule ls").stdout_has("(7)").success();

    let running = test.spawn("schedule run long");
    until("it runs", || test.path("mnt/began").exists());
    assert_eq!(row(&test, "long")["running"], true);
    test.run("schedule run long").stderr("nixbox::schedule::running").code(4);
    test.run("schedule run --due long").stderr("still runs").success();
    assert_eq!(row(&test, "long")["left_out"], 1);
    running.signal(Signal::SIGTERM);
    assert_eq!(running.finish().code, Some(143));
    assert_eq!(
        (row(&test, "long")["running"].clone(), row(&test, "long")["last"]["exit_code"].clone()),
        (false.into(), 143.into())
    );

    test.run("schedule pause list").success();
    test.run("schedule run --due list").stderr("paused").success();
    test.run("schedule run nothing").stderr("nixbox::schedule::unknown").code(3);
    test.run("schedule pause nothing").code(3);
}

#[test]
fn what_is_no_verb_or_is_never_due_is_refused_with_its_line() {
    let test = bare("[schedules.s]\ncron = \"@daily\"\nrun = [\"fly\", \"away\"]\n");
    for verb in ["config check", "up -d", "schedule ls"] {
        test.run(verb).stderr("nixbox.toml:7").stderr("schedules.s.run").stderr("nixbox::config::schedule").code(2);
    }
    let test = bare("[schedules.s]\ncron = \"0 0 31 2 *\"\nrun = [\"status\"]\n");
    test.run("config check").stderr("nixbox.toml:6").stderr("no day of any year").code(2);
}

#[test]
fn one_process_keeps_them_where_up_does_not() {
    let Some(test) =
        with("[schedules.tick]\ncron = \"* * * * * *\"\nexec = [\"sh\", \"-c\", \"echo tick >> ticks; sleep 1000\"]\n")
    else {
        return;
    };
    let owner = test.spawn("serve box");
    test.run("wait box").success();
    let keeper = test.spawn("schedule keep");
    until("it has run", || lines(&test, "mnt/ticks") == 1);
    test.run("schedule keep").stderr("nixbox::schedule::held").code(4);
    // An `up` leaves them to it, and `stop` stops the instance and not those.
    test.run("ps --json").success();
    keeper.signal(Signal::SIGTERM);
    assert_eq!(keeper.finish().code, Some(0));
    until("its end is known", || row(&test, "tick")["running"] == false);
    owner.signal(Signal::SIGTERM);
    assert_eq!(owner.finish().code, Some(0));
    let nothing = bare("");
    nothing.run("schedule keep").stderr("nixbox::schedule::unknown").code(3);
}

#[test]
fn who_keeps_them_follows_the_configuration() {
    let run = "run = [\"kv\", \"list\"]\n";
    let test = bare(&format!("[schedules.tick]\ncron = \"@yearly\"\n{run}"));
    test.run("up -d").success();
    let file = test.path("nixbox.toml");
    let change = |from: &str, to: &str| {
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(from));
        std::fs::write(&file, text.replace(from, to)).unwrap();
    };
    change("@yearly", "* * * * * *");
    until("it runs now", || row(&test, "tick")["last"]["exit_code"] == 0);
    // What is no verb is refused, and all goes on as before.
    change("\"kv\", \"list\"", "\"fly\"");
    std::thread::sleep(Duration::from_millis(1500));
    change("\"fly\"", "\"kv\", \"list\"");
    change("[schedules.tick]", "[schedules.tock]");
    until("the other one runs", || row(&test, "tock")["last"]["exit_code"] == 0);
    test.run("down").success();
}
