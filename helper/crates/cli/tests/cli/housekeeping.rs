//! Names, labels, room and what is left over. Without a mount, but for instances that `run` makes.

use std::fs;

use nix::sys::signal::Signal;

use crate::support::{Test, fuse, until};

fn valid(test: &Test, verb: &str, answer: &serde_json::Value) {
    let schema = test.run(&format!("schema {verb}")).success().json();
    assert!(jsonschema::validator_for(&schema).unwrap().is_valid(answer), "{answer}");
}

#[test]
fn a_name_is_enough_of_it() {
    let test = Test::bare(&["sandbox", "sand", "other"]);
    test.run("init").success();
    test.run("fs write -i oth /f").stdin("x").success();
    test.run("fs cat -i other /f").stdout("x").success();
    // A whole name means itself, though another begins so.
    test.run("fs ls -i sand").success();
    let several = test.run("fs ls -i sa").code(3);
    assert!(several.stderr.contains("`sand` or `sandbox` [nixbox::instance::ambiguous]"), "{}", several.stderr);
    test.run("fs ls -i x").stderr("nixbox::instance::unknown").code(3);
    let rows = test.run("ps --json").success().json();
    let id = rows["instances"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!((rows["instances"][0]["instance"].as_str(), id.len()), (Some("other"), 8));
    // So little of it is no id: it may well be what another word begins with.
    test.args(["fs", "cat", "-i", &id[..3], "/f"]).stderr("nixbox::instance::unknown").code(3);
    for word in [id.as_str(), &id[..4], "othe"] {
        test.args(["fs", "cat", "-i", word, "/f"]).stdout("x").success();
        assert_eq!(test.args(["ps", word, "--format", "name"]).success().stdout, "other\n");
        assert_eq!(test.args(["inspect", word, "--json"]).success().json()["instance"]["instance"], "other");
    }
    test.run("up -d oth").success();
    test.run("wait othe").success();
    test.run("stop oth").success();
    test.run("down sa").stderr("nixbox::instance::ambiguous").code(3);
    test.run("logs sandbo").success();
}

#[test]
fn what_run_has_made_gets_labels_and_another_name() {
    let test = Test::bare(&["own"]);
    if !fuse() {
        return;
    }
    fs::create_dir(test.path("base")).unwrap();
    test.run("run --name try --base base --label a=1 -- touch made").success();
    let answer = test.run("label try b= a=2 --json").success().json();
    assert_eq!(answer["labels"], serde_json::json!({ "a": "2", "b": "" }));
    valid(&test, "label", &answer);
    test.run("label try b-").stdout("a=2\n").success();
    assert_eq!(test.run("ps --filter label=a=2 --format name").success().stdout, "try\n");
    test.run("label own").stdout("").success();
    test.run("label own a=1").stderr("nixbox::instance::declared").code(7);
    test.run("label try a").code(2);
    test.run("label try token=ghp_0123456789abcdefghijklmnopqrstuvwxyz").stderr("nixbox::config::secret").code(2);
    test.run("label try").stdout("a=2\n").success();

    test.run("rename own other").stderr("nixbox::instance::declared").code(7);
    test.run("rename try own").stderr("nixbox::instance::exists").code(5);
    test.run("rename try Wrong").stderr("nixbox::config::instance-name").code(2);
    test.run("kv set k 1 -i try").success();
    let answer = test.run("rename try experiment --json").success().json();
    valid(&test, "rename", &answer);
    test.run("ps try").code(3);
    test.run("label experiment").stdout("a=2\n").success();
    test.run("diff experiment --name-only").stdout("made\n").success();
    test.run("kv get k -i experiment").stdout("1\n").success();
    test.run("up -d experiment").success();
    test.run("rename experiment again").stderr("nixbox::owner::held").code(4);
    test.run("down").success();
    test.run("instance rm experiment --force").success();
    let left: Vec<_> = fs::read_dir(test.path(".agentfs")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name == ".units"), "{left:?}");
}

#[test]
fn pruning_shows_first_and_never_drops_work() {
    let test = Test::bare(&["own"]);
    if !fuse() {
        return;
    }
    fs::create_dir(test.path("base")).unwrap();
    test.run("prune").stderr("there is nothing to remove").success();
    test.run("run --name work --base base -- touch made").success();
    test.run("run --name kept --keep --base base -- true").success();
    test.run("run -d --name idle --base base -- true").success();
    test.run("wait --exit idle").success();
    test.run("run --name values --keep --base base -- true").success();
    test.run("kv set k 1 -i values").success();
    // Killed: its instance stays, with what an owner has.
    fs::write(test.path("base/loop.sh"), "echo begun; while :; do sleep 0.05; done").unwrap();
    let said = test.path("tmp/said");
    let running = test.spawn_into("run --name killed --base base -- sh loop.sh", &said);
    until("it begins", || fs::read_to_string(&said).is_ok_and(|text| text.contains("begun")));
    running.signal(Signal::SIGKILL);
    running.finish();
    until("its owner ends", || test.run("ps killed --json").success().json()["instances"][0]["state"] == "stopped");
    fs::write(test.path("run/own.log.1"), "put aside").unwrap();

    let shown = test.run("prune --json").success().json();
    valid(&test, "prune", &shown);
    let what = |answer: &serde_json::Value| {
        let items = answer["items"].as_array().unwrap().iter();
        let mut names: Vec<_> = items.map(|item| test.tidy(item["what"].as_str().unwrap())).collect();
        names.retain(|name| !name.contains(".run-") && !name.contains(".up-"));
        names.sort();
        names
    };
    assert_eq!(what(&shown), ["[DIR]/run/own.log.1", "idle", "killed"]);
    assert_eq!((&shown["removed"], &shown["kept"][0]["instance"]), (&false.into(), &"work".into()));
    assert!(test.path(".agentfs/idle.db").exists() && test.path("run/own.log.1").exists());
    assert_eq!(what(&test.run("prune --dry-run --json").success().json()), what(&shown));
    let done = test.run("prune --yes").stderr("work: stays, 1 added").success();
    assert!(done.stdout.contains("idle") && done.stderr.contains("removed"), "{}{}", done.stdout, done.stderr);
    let left = test.run("ps --format name").success().stdout;
    assert_eq!(left, "kept\nown\nvalues\nwork\n");
    assert!(!test.path(".agentfs/idle.db").exists() && !test.path("run/own.log.1").exists());
    test.run("prune").stderr("there is nothing to remove").success();
    test.run("prune --yes --dry-run").code(2);
}

#[test]
fn room_is_what_files_take() {
    let test = Test::bare(&["a", "b"]);
    test.run("init").success();
    test.run("fs write -i a /large").stdin(vec![7; 4 << 20]).success();
    let answer = test.run("df --json").success().json();
    valid(&test, "df", &answer);
    let (a, b) = (&answer["instances"][0], &answer["instances"][1]);
    let bytes = |row: &serde_json::Value, part: &str| row[part].as_u64().unwrap();
    assert!(bytes(a, "database_bytes") > 4 << 20 && bytes(b, "database_bytes") < 1 << 20, "{answer}");
    for row in [a, b] {
        let parts = ["database_bytes", "snapshots_bytes", "sync_bytes", "logs_bytes", "other_bytes"];
        assert_eq!(parts.iter().map(|part| bytes(row, part)).sum::<u64>(), bytes(row, "total_bytes"));
    }
    assert_eq!(bytes(&answer, "total_bytes"), bytes(a, "total_bytes") + bytes(b, "total_bytes"));
    test.run("df b").stdout_has("(all)").success();
    test.run("df nobody").code(3);
}
