//! Two projects and the real server between them.

#[path = "../../../remote/tests/common/mod.rs"]
pub mod common;

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use nixbox_remote::Lease;
use serde_json::Value;

use self::common::{Fate, Network, Server, claim};
use crate::support::{Test, owner};

/// What answers in JSON, and is looked at here.
pub const ANSWERS: [&str; 13] = [
    "snapshot ls",
    "snapshot restore",
    "sync checkpoint",
    "sync conflicts",
    "sync disable",
    "sync enable",
    "sync log",
    "sync pull",
    "sync push",
    "sync release",
    "sync resolve",
    "sync status",
    "sync take",
];

pub fn project(url: &str, more: &str) -> Test {
    owner();
    let test = Test::new().config(&format!(
        "[remotes.team]\nurl = \"{url}\"\n{more}[instances.a]\nmount.backend = \"none\"\nsync.remote = \"team\"\n"
    ));
    test.run("init").success();
    test
}

pub fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|change| change["name"].as_str().unwrap()).collect()
}

/// As its published schema says.
pub fn answer(test: &Test, call: &str) -> Value {
    let verb = call.split(' ').take(2).collect::<Vec<_>>().join(" ");
    let schema = test.args(["schema", &verb]).success().json();
    let answer = test.run(&format!("{call} --json")).success().json();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<_> = validator.iter_errors(&answer).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{call}: {errors:?}\n{answer:#}");
    answer
}

#[test]
fn what_one_has_the_other_gets_whoever_serves_it() {
    let Some(server) = Server::start() else { return };
    let (ada, bob) = (project(&server.url(), ""), project(&server.url(), ""));
    ada.args(["fs", "write", "letter.txt"]).stdin("from ada\n").success();
    ada.run("kv set plan 1").success();
    let status = answer(&ada, "sync status");
    assert_eq!((names(&status["to_push"]), &status["lease"]), (vec!["/letter.txt", "kv:plan"], &Value::Null));
    ada.run("sync status").stdout("To push:\n  A /letter.txt\n  A kv:plan\n").stderr("2 to push, 0 to pull").success();
    ada.run("sync push").stdout("").stderr("nothing to pull, 2 pushed").success();
    bob.run("up -d").success();
    assert_eq!(answer(&bob, "sync pull")["pulled"], 2);
    bob.run("fs cat letter.txt").stdout("from ada\n").success();
    bob.args(["fs", "write", "reply.txt"]).stdin("from bob\n").success();
    assert_eq!(answer(&bob, "sync push")["pushed"], 1);
    ada.run("sync pull").stderr("1 pulled").success();
    ada.run("fs cat reply.txt").stdout("from bob\n").success();
    ada.run("sync status").stdout("").stderr("Both sides are the same").success();
    // What is kept of it lies with the instance, for its user alone.
    let folder = ada.path(".agentfs/a.d/sync/team");
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files, ["holder", "mirror.db", "turn", "wrote-last"]);
    // Who did nothing has nothing on record.
    assert_eq!(answer(&ada, "sync log")["entries"].as_array().unwrap().len(), 2);
}

#[test]
fn a_conflict_is_told_and_settled() {
    let Some(server) = Server::start() else { return };
    let (ada, bob) = (project(&server.url(), ""), project(&server.url(), ""));
    ada.args(["fs", "write", "x"]).stdin("0").success();
    ada.run("sync push").success();
    bob.run("sync pull").success();
    ada.args(["fs", "write", "x"]).stdin("from ada").success();
    ada.run("sync push").success();
    bob.args(["fs", "write", "x"]).stdin("from bob!").success();
    bob.args(["fs", "write", "y"]).stdin("1").success();
    for verb in ["sync pull", "sync push"] {
        bob.run(verb).stdout("").stderr("nixbox::sync::conflict").stderr("/x").code(5);
    }
    let conflicts = answer(&bob, "sync conflicts");
    assert_eq!(names(&conflicts["conflicts"]), ["/x"]);
    assert_eq!(conflicts["conflicts"][0]["ours"]["size"], 9);
    bob.run("sync conflicts").stdout_has("/x").success();
    bob.run("sync resolve y --ours").stderr("nixbox::sync::no-conflict").code(3);
    bob.run("sync resolve x").code(2);
    assert_eq!(answer(&bob, "sync resolve x --ours")["take"], "ours");
    // Either side is another one now, so it is asked about again.
    bob.args(["fs", "write", "x"]).stdin("from bob once more").success();
    bob.run("sync push").code(5);
    bob.run("sync resolve /x --theirs").success();
    bob.run("sync push").success();
    bob.run("fs cat x").stdout("from ada").success();
    ada.run("sync pull").success();
    ada.run("fs cat y").stdout("1").success();
}

#[test]
fn who_writes_there_is_named_and_waited_for() {
    let Some(server) = Server::start() else { return };
    let ada = project(&server.url(), "");
    let other = claim("other", Duration::from_secs(60));
    let Lease::Ours(held) = other.take(&server.remote(), false).unwrap() else { panic!("it is taken") };
    ada.args(["fs", "write", "x"]).stdin("0").success();
    ada.run("sync push").stderr("nixbox::sync::lease").stderr("ada on host-of-other").code(4);
    ada.run("sync pull").success();
    let lease = &answer(&ada, "sync status")["lease"];
    assert_eq!(
        (&lease["held"], &lease["ours"], &lease["host"]),
        (&true.into(), &false.into(), &"host-of-other".into())
    );
    other.release(&server.remote(), held).unwrap();
    ada.run("sync push").success();
}

#[test]
fn what_goes_wrong_has_a_name_and_leaves_everything_as_it_was() {
    const CANARY: &str = "canary-41d0";
    let network = Network::before(None);
    let test = project(&network.url(), "token_file = \"token\"\n");
    test.args(["fs", "write", "x"]).stdin("0").success();
    test.run("sync push").stderr("nixbox::sync::token").stderr("token").code(7);
    std::fs::write(test.path("token"), CANARY).unwrap();
    std::fs::set_permissions(test.path("token"), PermissionsExt::from_mode(0o644)).unwrap();
    test.run("sync push").stderr("nixbox::sync::token").stderr("0644").code(7);
    std::fs::set_permissions(test.path("token"), PermissionsExt::from_mode(0o600)).unwrap();
    let mut said = String::new();
    for (fate, code, exit) in [
        (Fate::Says(401, "no"), "nixbox::sync::not-allowed", 7),
        (Fate::Says(404, "no"), "nixbox::sync::refused", 8),
        (Fate::Says(400, "no"), "nixbox::sync::refused", 8),
        (Fate::Redirects("https://elsewhere.example/"), "nixbox::sync::refused", 8),
        (Fate::Junk("<html>"), "nixbox::sync::refused", 8),
        (Fate::Dropped, "nixbox::sync::unreachable", 8),
    ] {
        network.fates([fate.clone()]);
        let done = test.run("sync push").stderr(code).stderr("help: ").code(exit);
        said += &format!("{fate:?}: {}{}", done.stdout, done.stderr);
    }
    assert!(network.last().contains(CANARY));
    said += &test.run("config show --origin").success().stdout;
    for entry in std::fs::read_dir(test.path(".agentfs/a.d/sync/team")).unwrap() {
        said += &String::from_utf8_lossy(&std::fs::read(entry.unwrap().path()).unwrap());
    }
    assert!(!said.contains(CANARY), "{said}");
    test.run("fs cat x").stdout("0").success();
    let plain = Test::bare(&["a"]);
    plain.run("init").success();
    plain.run("sync push").stderr("nixbox::sync::not-declared").code(3);
}
