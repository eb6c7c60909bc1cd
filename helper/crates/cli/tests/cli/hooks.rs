//! What is run when something has happened.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::support::{HeldUp, Test, fuse, owner, until};
use crate::syncing::answer;
use crate::syncing::common::Server;

fn project(url: &str, hooks: &str) -> Test {
    owner();
    let test = Test::new().config(&format!(
        "[remotes.team]\nurl = \"{url}\"\n[instances.a]\nmount.backend = \"none\"\nsync.remote = \"team\"\n{hooks}"
    ));
    test.run("init").success();
    test
}

fn heard(test: &Test) -> Vec<Value> {
    let text = std::fs::read_to_string(test.path("heard")).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[test]
fn commands_hear_of_syncs_and_conflicts_and_keep_nobody() {
    let Some(server) = Server::start() else { return };
    let hooks = "[instances.a.hooks]\nsync = [[\"sh\", \"-c\", \"echo sorry >&2; exit 4\"], [\"sh\", \"-c\", \"cat >> heard\"]]\n\
                 conflict = [[\"sh\", \"-c\", \"cat >> heard\"]]\n";
    let (ada, bob) = (project(&server.url(), hooks), project(&server.url(), hooks));
    ada.args(["fs", "write", "x"]).stdin("1").success();
    ada.run("sync push").success();
    // Who alone asked waits for them.
    let [told] = heard(&ada).try_into().unwrap();
    assert_eq!((&told["event"], &told["instance"], &told["did"]), (&"sync".into(), &"a".into(), &"push".into()));
    assert_eq!((&told["schema"], &told["pushed"], &told["remote"]), (&1.into(), &1.into(), &"team".into()));
    let failed = &answer(&ada, "hooks")["failures"][0];
    assert_eq!((&failed["event"], &failed["code"]), (&"sync".into(), &"nixbox::hook::failed".into()));
    assert_eq!(failed["why"], "exit status: 4: sorry");
    // Nothing happened, so nobody hears of it.
    ada.run("sync push").success();
    assert_eq!(heard(&ada).len(), 1);
    bob.run("up -d").success();
    bob.args(["fs", "write", "x"]).stdin("two").success();
    for _ in 0..2 {
        bob.run("sync push").code(5);
    }
    until("it hears of the conflict", || heard(&bob).len() == 1);
    let told = &heard(&bob)[0];
    assert_eq!((&told["event"], &told["conflicts"][0]), (&"conflict".into(), &"/x".into()));
}

#[test]
fn one_that_hangs_does_not_keep_the_owner_from_ending() {
    let Some(server) = Server::start() else { return };
    let ada = project(&server.url(), "hooks.sync = [[\"sleep\", \"1000\"]]\n");
    ada.run("up -d").success();
    ada.args(["fs", "write", "x"]).stdin("1").success();
    ada.run("sync push").success();
    ada.args(["fs", "write", "y"]).stdin("1").success();
    ada.run("sync push").success();
    let watch = HeldUp::watch();
    ada.run("stop").success();
    watch.assert_within(Duration::from_secs(4), "the end");
    let failed = answer(&ada, "hooks");
    assert!(failed["failures"][0]["why"].as_str().unwrap().starts_with("there was no time left"), "{failed}");
}

/// An instance that has one command for all of these events.
fn listening(events: &[&str], more: &str) -> Option<Test> {
    owner();
    if !fuse() {
        return None;
    }
    let hooks: String =
        events.iter().map(|event| format!("hooks.{event} = [[\"sh\", \"-c\", \"cat >> heard\"]]\n")).collect();
    let quick = "restart.backoff = { min = \"10ms\", max = \"50ms\" }\n";
    Some(Test::new().config(&format!("[instances.a]\nmount.path = \"mnt\"\n{quick}{hooks}{more}")))
}

fn events(test: &Test) -> Vec<String> {
    heard(test).iter().map(|told| told["event"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_owner_tells_of_its_life_and_of_commands() {
    let all = ["created", "ready", "stopped", "exec", "restarted"];
    let Some(test) = listening(&all, "") else { return };
    test.run("up -d").success();
    until("it hears of the start", || events(&test) == ["created", "ready"]);
    let ready = &heard(&test)[1];
    assert_eq!((&ready["instance"], &ready["schema"], &ready["pid"]), (&"a".into(), &1.into(), &test.pid("a").into()));
    assert_eq!(ready["mount"], test.path("mnt").display().to_string());
    assert!(ready["ready_after_ms"].is_u64() && ready["http"].is_null(), "{ready}");

    test.args(["exec", "--", "sh", "-c", "exit 3"]).code(3);
    test.run("tool record fetch").success();
    until("it hears of the command", || events(&test).len() == 3);
    let exec = &heard(&test)[2];
    assert_eq!(
        (&exec["event"], &exec["status"], &exec["error"], &exec["exit_code"]),
        (&"exec".into(), &"error".into(), &"exit code 3".into(), &3.into())
    );
    assert_eq!((&exec["command"][2], &exec["call"]), (&"exit 3".into(), &1.into()));

    // One that is killed has no say; what keeps it up has.
    kill(Pid::from_raw(test.pid("a")), Signal::SIGKILL).unwrap();
    until("it hears of the restart", || events(&test).len() == 5);
    let mut later = events(&test).split_off(3);
    later.sort();
    assert_eq!(later, ["ready", "restarted"]);
    let told = heard(&test).into_iter().find(|told| told["event"] == "restarted").unwrap();
    assert_eq!((&told["restarts"], &told["signal"], &told["exit_code"]), (&1.into(), &9.into(), &Value::Null));

    test.run("down").success();
    let told = heard(&test).pop().unwrap();
    assert_eq!((&told["event"], &told["reason"]), (&"stopped".into(), &"signal".into()));
    assert!(answer(&test, "hooks")["failures"].as_array().unwrap().is_empty());
    // What is there is not made again.
    test.run("up -d").success();
    until("it hears of the next start", || events(&test).last().is_some_and(|event| event == "ready"));
    assert_eq!(events(&test).iter().filter(|event| *event == "created").count(), 1);
}

#[test]
fn one_that_is_not_well_is_told_once() {
    let health =
        "restart.on = \"never\"\nhealth = { exec = [\"test\", \"-e\", \"well\"], interval = \"100ms\", retries = 2 }\n";
    let Some(test) = listening(&["unhealthy", "restarted"], health) else { return };
    std::fs::write(test.path("well"), "").unwrap();
    test.run("up -d").success();
    std::fs::remove_file(test.path("well")).unwrap();
    until("it hears that it is not well", || events(&test) == ["unhealthy"]);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(events(&test), ["unhealthy"]);
    test.run("down").success();
}

#[test]
fn what_is_run_at_the_end_sees_nothing_held_and_keeps_the_end_only_so_long() {
    let more = "hooks.stopped = [[\"sh\", \"-c\", \"ls mnt > left; \\\"$HELPER\\\" kv set k 1 && cat >> heard\"], [\"sleep\", \"1000\"]]\n";
    let Some(test) = listening(&[], more) else { return };
    let test = test.env("HELPER", &crate::support::helper().display().to_string());
    test.run("up -d").success();
    let watch = HeldUp::watch();
    test.run("down").success();
    watch.assert_within(Duration::from_millis(4800), "the end");
    assert_eq!(events(&test), ["stopped"]);
    test.run("kv get k").stdout("1\n").success();
    let failed = answer(&test, "hooks");
    assert_eq!(failed["failures"][0]["command"][0], "sleep");
    assert_eq!(failed["failures"].as_array().unwrap().len(), 1);
    assert_eq!(test.runtime_files(), [""; 0]);
}
