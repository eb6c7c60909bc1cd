//! The tool log.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{Test, helper};

#[test]
fn calls_are_recorded_and_shown() {
    let test = Test::bare(&["a"]);
    test.run("init").success();
    test.args([
        "tool",
        "record",
        "grep",
        "--params",
        "{\"path\":\"/src/a.rs\"}",
        "--result",
        "3",
        "--duration-ms",
        "1500",
    ])
    .stdout("1\n")
    .success();
    test.run("up -d").success();
    test.run("tool start build").stdout("2\n").success();
    test.args(["tool", "record", "fetch", "--error", "no route"]).stdout("3\n").success();
    let calls = |line: &str| {
        let answer = test.run(&format!("timeline --json {line}")).success().json();
        answer["calls"].as_array().unwrap().iter().map(|call| call["id"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(calls("").len(), 3);
    assert_eq!(calls("--status pending"), [2]);
    // The filter comes first, so the limit takes nothing away from it.
    assert_eq!(calls("--tool grep --limit 1"), [1]);
    assert_eq!(calls("--path /src"), [1]);
    assert_eq!(calls("--path src/a.rs --since 1h --until 2100-01-01T00:00:00Z"), [1]);
    assert_eq!(calls("--path /sr"), [0i64; 0]);
    assert_eq!(calls("--until 1h"), [0i64; 0]);
    let ndjson = test.run("timeline --format ndjson --tool grep").success().stdout;
    let call: Value = serde_json::from_str(&ndjson).unwrap();
    assert_eq!((&call["parameters"], &call["result"]), (&json!({"path": "/src/a.rs"}), &json!(3)));
    assert_eq!(call["duration_ms"], 1500.0);
    let table = test.run("timeline").success().stdout;
    assert!(table.starts_with("ID  TOOL   STATUS   DURATION  STARTED") && table.contains("no route"), "{table}");
    test.run("timeline --since yesterday").stderr("10m, 2h, 3d").code(2);
}

#[test]
fn a_call_ends_once() {
    let test = Test::bare(&["a"]);
    test.run("init").success();
    let id = test.run("tool start build").success().stdout;
    std::thread::sleep(std::time::Duration::from_millis(30));
    test.run(&format!("tool finish {id} --result {{\"ok\":true}}")).success();
    test.run(&format!("tool finish {id} --error late")).stderr("nixbox::tool::finished").code(5);
    test.run("tool finish 99").stderr("nixbox::tool::missing").code(3);
    test.run("tool record t --params {").stderr("nixbox::tool::value").code(2);
    let call = test.run("timeline --json").success().json()["calls"][0].clone();
    assert_eq!((&call["status"], &call["result"]), (&json!("success"), &json!({"ok": true})));
    // Whole seconds are all that the table's times have; the duration has more.
    assert!((30.0..20_000.0).contains(&call["duration_ms"].as_f64().unwrap()), "{call}");
}

#[test]
fn who_follows_is_told_as_it_happens() {
    let test = Test::bare(&["a"]);
    test.run("init").success();
    test.run("timeline --follow").stdout("").stderr("nixbox::owner::not-running").code(3);
    test.run("tool record before").success();
    test.run("up -d").success();
    let mut command = test.command(helper());
    command.args(["timeline", "--follow", "--format", "ndjson", "--limit", "5"]).stdout(Stdio::piped());
    let mut follower = command.spawn().unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    let mut next = || {
        let call: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        (call["name"].as_str().unwrap().to_owned(), call["status"].as_str().unwrap().to_owned())
    };
    assert_eq!(next().0, "before");
    test.run("tool start late").success();
    assert_eq!(next(), ("late".into(), "pending".into()));
    test.run("tool finish 2").success();
    assert_eq!(next(), ("late".into(), "success".into()));
    test.run("down").success();
    assert!(lines.next().is_none());
    assert!(follower.wait().unwrap().success());
}
