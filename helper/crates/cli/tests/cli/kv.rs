//! Values, while an owner serves the instance and while none does.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::support::{Test, until};

#[test]
fn a_value_goes_in_and_comes_out_whoever_answers() {
    let test = Test::bare(&["a"]);
    test.run("kv get plan").stdout("").stderr("nixbox::database::missing").stderr("nixbox-helper init a").code(3);
    test.run("init").success();
    test.args(["kv", "set", "plan", "{\"n\": 12345678901234567890}"]).stdout("").success();
    test.run("up -d").success();
    test.run("kv get plan").stdout("{\"n\": 12345678901234567890}\n").success();
    test.args(["kv", "set", "greeting", "--string", "Hello \"there\"\n"]).success();
    test.args(["kv", "set", "from/stdin", "-"]).stdin(" [1,\n2] \n").success();
    test.run("down").success();
    test.run("kv get greeting").stdout("\"Hello \\\"there\\\"\\n\"\n").success();
    test.run("kv get greeting --raw").stdout("Hello \"there\"\n").success();
    test.run("kv get from/stdin").stdout("[1,\n2]\n").success();
    test.run("kv list").stdout("from/stdin\ngreeting\nplan\n").success();
    test.run("kv list from/").stdout("from/stdin\n").success();
    let entries = test.run("kv list --json").success().json();
    assert_eq!(entries["entries"][0]["value"], json!([1, 2]));
    test.run("kv delete greeting plan").success();
    test.run("kv delete plan").stderr("nixbox::kv::missing").code(3);
    let missing = test.run("kv get plan --json").stdout("").code(3);
    assert!(missing.stderr.contains("\"code\":\"nixbox::kv::missing\""), "{}", missing.stderr);
    // Nothing is left beside the database by the owners that answered one request each.
    let mut names: Vec<_> =
        std::fs::read_dir(test.path(".agentfs")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, [".units", "a.d", "a.db"]);
}

#[test]
fn what_is_no_value_is_refused_and_changes_nothing() {
    let test = Test::bare(&["a"]);
    test.run("init").success();
    test.run("kv set k 1").success();
    test.run("kv set k oops").stderr("nixbox::kv::value").stderr("--string").code(2);
    test.args(["kv", "set", "k", "-"]).stdin([b'"', 0xff, b'"']).stderr("nixbox::kv::value").code(2);
    test.args(["kv", "set", "k", ""]).stderr("nixbox::kv::value").code(2);
    let long = format!("\"{}\"", "x".repeat(17 << 20));
    test.args(["kv", "set", "k", "-"]).stdin(long).stderr("nixbox::control::body-too-long").code(2);
    test.args(["kv", "get", &"k".repeat(70_000)]).stderr("nixbox::control::line-too-long").code(2);
    test.run("kv get k").stdout("1\n").success();
    let large = format!("\"{}\"", "x".repeat(15 << 20));
    test.args(["kv", "set", "large", "-"]).stdin(large.as_str()).success();
    test.run("kv get large").stdout(&(large + "\n")).success();
}

#[test]
fn many_at_once_all_get_through() {
    let test = Test::bare(&["a"]);
    test.run("init").success();
    for round in ["alone", "served"] {
        if round == "served" {
            test.run("up -d").success();
        }
        let all: Vec<_> = (0..20).map(|n| test.spawn(&format!("kv set {round}{n} {n}"))).collect();
        for one in all {
            let done = one.finish();
            assert_eq!(done.code, Some(0), "{}", done.stderr);
        }
        let listed = test.run(&format!("kv list {round}")).success().stdout;
        assert_eq!(listed.lines().count(), 20, "{listed}");
    }
}

/// Owners come and go while verbs are asked: each verb is answered by one or the other.
#[test]
fn verbs_outlast_the_coming_and_going_of_owners() {
    let test = Test::bare(&["a"]);
    test.run("init").success();
    std::thread::scope(|scope| {
        let goes = scope.spawn(|| {
            for _ in 0..6 {
                test.run("up -d").success();
                test.run("down").success();
            }
        });
        let mut set = 0;
        while !goes.is_finished() {
            test.run(&format!("kv set k{set} {set}")).success();
            set += 1;
        }
        goes.join().unwrap();
        assert_eq!(test.run("kv list k").success().stdout.lines().count(), set);
    });
}

#[test]
fn an_owner_that_hangs_is_not_waited_for() {
    let test = Test::bare(&["a"]);
    test.run("up -d").success();
    let owner = test.pid("a");
    kill(Pid::from_raw(owner), Signal::SIGSTOP).unwrap();
    test.run("kv get k").stderr("nixbox::owner::silent").code(6);
    kill(Pid::from_raw(owner), Signal::SIGCONT).unwrap();
    test.run("kv set k 1").success();
}

#[test]
fn a_value_is_never_logged() {
    let test = Test::bare(&["a"]);
    test.run("--log-level trace up -d").success();
    test.args(["kv", "set", "token", "--string", "hunter2-canary"]).success();
    test.args(["tool", "record", "t", "--params", "{\"key\":\"hunter2-canary\"}"]).success();
    test.run("kv get token").success();
    let log = std::fs::read_to_string(test.path("run/a.log")).unwrap();
    assert!(log.contains("ready") && !log.contains("hunter2"), "{log}");
    let record = std::fs::read_to_string(test.path("run/a.json")).unwrap();
    assert!(!record.contains("hunter2"));
    test.run("down").success();
    until("it is gone", || test.record("a").is_none());
    let done = test.args(["--log-level", "trace", "kv", "get", "token"]).success();
    assert!(!done.stderr.contains("hunter2"), "{}", done.stderr);
}
