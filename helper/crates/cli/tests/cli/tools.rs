//! The tool log.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::broken::sql;
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

/// By itself and with the others, in each form: what is left out of one is in its counterpart.
#[test]
fn every_filter_holds() {
    let test = Test::bare(&["a"]);
    test.run("init").success();
    let record = |words: &[&str]| test.args(["tool", "record"].iter().chain(words)).success();
    record(&["grep", "--params", "{\"path\":\"/src/a.rs\"}"]);
    record(&["grep", "--params", "{\"paths\":[\"/docs\",\"/src\"]}", "--error", "no match"]);
    record(&["build", "--params", "{\"path\":\"/srcs\"}"]);
    test.run("tool start build").success();
    // As other programs record: whole seconds, fractions of them, and long ago.
    for (id, started) in [(11, "1000000000"), (12, "1000000000.75"), (13, "1000000001")] {
        sql(
            &test.path(".agentfs/a.db"),
            &format!(
                "INSERT INTO tool_calls (id, name, status, started_at, completed_at, duration_ms) \
                 VALUES ({id}, 'old', 'success', {started}, {started}, 12.5)"
            ),
        );
    }
    let calls = |line: &str| {
        let json = test.run(&format!("timeline --json {line}")).success().json();
        let ids: Vec<_> = json["calls"].as_array().unwrap().iter().map(|call| call["id"].as_i64().unwrap()).collect();
        // Every form tells the same, in the same order.
        let ndjson = test.run(&format!("timeline --format ndjson {line}")).success().stdout;
        let lines = ndjson.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].as_i64().unwrap());
        assert_eq!(lines.collect::<Vec<_>>(), ids, "{line}");
        let table = test.run(&format!("timeline --format table {line}")).success().stdout;
        let rows = table.lines().skip(1).map(|row| row.split_whitespace().next().unwrap().parse::<i64>().unwrap());
        assert_eq!(rows.collect::<Vec<_>>(), ids, "{line}\n{table}");
        assert_eq!(test.run(&format!("timeline --format json {line}")).success().json(), json);
        ids
    };
    assert_eq!(calls(""), [4, 3, 2, 1, 13, 12, 11]);
    assert_eq!(calls("--limit 2"), [4, 3]);
    assert_eq!(calls("-n 0"), [0i64; 0]);
    assert_eq!(calls("--tool build"), [4, 3]);
    assert_eq!(calls("--tool buil"), [0i64; 0]);
    assert_eq!((calls("--status pending"), calls("--status error")), (vec![4], vec![2]));
    assert_eq!(calls("--status success"), [3, 1, 13, 12, 11]);
    assert_eq!(calls("--path /src"), [2, 1]);
    assert_eq!(calls("--since 1h"), [4, 3, 2, 1]);
    assert_eq!(calls("--until 1h"), [13, 12, 11]);
    // From that moment on, and before that moment.
    assert_eq!(calls("--until 2001-09-09T01:46:41Z"), [12, 11]);
    assert_eq!(calls("--since 2001-09-09T01:46:40.5Z --until 1h"), [13, 12]);
    assert_eq!(calls("--since 2001-09-09T01:46:40Z --until 2001-09-09T01:46:40.5Z"), [11]);
    assert_eq!(calls("--tool grep --status error --path docs --since 1h --limit 1"), [2]);
    assert_eq!(calls("--tool grep --status error --path docs --until 1h"), [0i64; 0]);
    let old = test.run("timeline --json --tool old --limit 2").success().json();
    assert_eq!(
        (&old["calls"][0]["started_at"], &old["calls"][1]["duration_ms"]),
        (&json!("2001-09-09T01:46:41Z"), &json!(12.5))
    );
    assert!(old["calls"][1]["started_at"].as_str().unwrap().starts_with("2001-09-09T01:46:40.75"), "{old}");
    for wrong in ["--status done", "--format yaml", "--limit many", "--until soon"] {
        test.run(&format!("timeline {wrong}")).code(2);
    }
}

#[test]
fn who_follows_is_told_only_what_is_asked_for() {
    let test = Test::bare(&["a"]);
    test.run("up -d").success();
    for name in ["wanted", "other", "wanted", "wanted"] {
        test.args(["tool", "record", name, "--params", "{\"path\":\"/a/b\"}", "--error", "no"]).success();
    }
    let mut command = test.command(helper());
    let asked = "timeline --follow --format ndjson -n 2 --tool wanted --status error --path /a --since 1h";
    let mut follower = command.args(asked.split(' ')).stdout(Stdio::piped()).spawn().unwrap();
    let mut table = test.command(helper());
    let mut table =
        table.args(["timeline", "-f", "-n", "1", "--tool", "wanted"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    let mut rows = BufReader::new(table.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap()["id"].as_i64().unwrap();
    let mut row = || rows.next().unwrap().unwrap().split_whitespace().next().unwrap().to_owned();
    // Of the past the newest two, oldest first.
    assert_eq!((next(), next()), (3, 4));
    assert_eq!((row(), row()), ("ID".into(), "4".into()));
    for (name, path, failed) in
        [("wanted", "/b", true), ("other", "/a", true), ("wanted", "/a", false), ("wanted", "/a/c", true)]
    {
        let params = format!("{{\"path\":\"{path}\"}}");
        let outcome = if failed { ["--error", "no"] } else { ["--result", "1"] };
        test.args(["tool", "record", name, "--params", &params].iter().chain(&outcome)).success();
    }
    assert_eq!(next(), 8);
    assert_eq!((row(), row(), row()), ("5".into(), "7".into(), "8".into()));
    test.run("down").success();
    assert!(follower.wait().unwrap().success() && table.wait().unwrap().success());
}

#[test]
fn a_call_ends_once() {
    let test = Test::bare(&["a"]);
    test.run("init").success();
    let begun = std::time::Instant::now();
    let id = test.run("tool start build").success().stdout;
    std::thread::sleep(std::time::Duration::from_millis(30));
    test.run(&format!("tool finish {id} --result {{\"ok\":true}}")).success();
    let most = begun.elapsed().as_secs_f64() * 1000.0 + 50.0;
    test.run(&format!("tool finish {id} --error late")).stderr("nixbox::tool::finished").code(5);
    test.run("tool finish 99").stderr("nixbox::tool::missing").code(3);
    test.run("tool record t --params {").stderr("nixbox::tool::value").code(2);
    let call = test.run("timeline --json").success().json()["calls"][0].clone();
    assert_eq!((&call["status"], &call["result"]), (&json!("success"), &json!({"ok": true})));
    // Whole seconds are all that the table's times have; the duration has more.
    assert!((30.0..most).contains(&call["duration_ms"].as_f64().unwrap()), "{call}");
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
