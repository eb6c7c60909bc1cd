//! What is run when something has happened.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Test, until};
use crate::syncing::answer;
use crate::syncing::common::Server;

fn project(url: &str, hooks: &str) -> Test {
    crate::support::owner();
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
    let log = answer(&ada, "sync log");
    let failed = &log["entries"][0];
    assert_eq!((&failed["did"], &failed["code"]), (&"hook".into(), &"nixbox::hook::failed".into()));
    assert!(failed["message"].as_str().unwrap().ends_with("exit status: 4: sorry"), "{failed}");
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
    let began = Instant::now();
    ada.run("stop").success();
    assert!(began.elapsed() < Duration::from_secs(4));
    assert!(answer(&ada, "sync log")["entries"][0]["message"].as_str().unwrap().contains("the owner ended"));
}
