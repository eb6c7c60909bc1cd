//! Many changes as one.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::Instant;

use serde_json::{Value, json};

use crate::support::{Test, fuse, helper};

fn lines(operations: &[Value]) -> String {
    operations.iter().map(|operation| format!("{operation}\n")).collect()
}

/// Everything there is, as `fs ls` tells it, and what is in it.
fn seen(test: &Test) -> String {
    let listed = test.run("fs ls -R --json").success().json();
    let files = listed["entries"].as_array().unwrap().iter().filter(|entry| entry["kind"] == "file");
    let paths = files.map(|entry| entry["path"].as_str().unwrap().to_owned());
    let contents: String = paths.map(|path| test.args(["fs", "cat", &path]).success().stdout).collect();
    listed.to_string() + &contents
}

fn every_operation() -> String {
    lines(&[
        json!({"op": "mkdir", "path": "/src/deep", "parents": true, "mode": "0750"}),
        json!({"op": "write", "path": "/src/a.txt", "text": "one\n", "mode": "600"}),
        json!({"op": "append", "path": "/src/a.txt", "text": "two\n"}),
        json!({"op": "write", "path": "/bin/b", "base64": "AP8KAA==", "parents": true}),
        json!({"op": "cp", "from": "/src/a.txt", "to": "/src/deep"}),
        json!({"op": "cp", "from": "src", "to": "/copy", "recursive": true}),
        json!({"op": "mv", "from": "/copy/a.txt", "to": "/copy/c.txt"}),
        json!({"op": "rm", "path": "/copy/deep", "recursive": true}),
        json!({"op": "rm", "path": "/none", "force": true}),
        json!({"op": "symlink", "path": "/link", "target": "src/a.txt"}),
        json!({"op": "link", "path": "/twin", "to": "/bin/b"}),
        json!({"op": "chmod", "path": "/link", "mode": "0640"}),
        json!({"op": "truncate", "path": "/copy/c.txt", "size": 3}),
        json!({"op": "chown", "path": "/bin/b", "gid": 0}),
    ]) + "\n  \n"
}

fn expect_all(test: &Test) {
    test.run("fs ls -R")
        .stdout("bin\nbin/b\ncopy\ncopy/c.txt\nlink\nsrc\nsrc/a.txt\nsrc/deep\nsrc/deep/a.txt\ntwin\n")
        .success();
    test.run("fs cat /link").stdout("one\ntwo\n").success();
    test.run("fs cat /copy/c.txt").stdout("one").success();
    let mode = |path: &str| test.run(&format!("fs stat {path} --json")).success().json()["mode"].clone();
    assert_eq!((mode("/src/a.txt"), mode("/src/deep"), mode("/bin/b")), ("0640".into(), "0750".into(), "0644".into()));
    assert_eq!(test.run("fs stat /twin --json").success().json()["links"], 2);
}

#[test]
fn every_operation_does_its_work_whoever_answers() {
    for served in [false, true] {
        let test = Test::bare(&["a"]);
        test.run("init").success();
        if served {
            test.run("up -d").success();
        }
        let tried = test.run("fs apply --dry-run --json").stdin(every_operation()).success().json();
        assert_eq!((&tried["dry_run"], &tried["operations"]), (&json!(true), &json!(14)));
        test.run("fs ls").stdout("").success();
        let done = test.run("fs apply --json").stdin(every_operation()).success().json();
        let validator = jsonschema::validator_for(&test.run("schema fs apply").success().json()).unwrap();
        assert!(validator.is_valid(&done) && validator.is_valid(&tried), "{done}");
        assert_eq!(
            (&done["bytes"], &done["by_name"]["write"], &done["by_name"]["rm"]),
            (&json!(12), &json!(2), &json!(2))
        );
        expect_all(&test);
        // All of it is one call.
        let calls = test.run("timeline --tool fs.apply --path /copy --json").success().json();
        let calls = calls["calls"].as_array().unwrap();
        assert_eq!(calls.len(), 2, "{calls:?}");
        assert_eq!((&calls[0]["result"]["operations"], &calls[1]["parameters"]["dry_run"]), (&json!(14), &json!(true)));
        assert_eq!(test.run("timeline --tool fs.write --json").success().json()["calls"], json!([]));
        test.run("fs apply").stdin("").stderr("Applied: nothing").success();
    }
}

#[test]
fn one_that_is_not_possible_undoes_all_and_is_named() {
    let test = Test::bare(&["a"]);
    test.run("init").success();
    test.run("fs apply").stdin(every_operation()).success();
    let before = seen(&test);
    let validator = jsonschema::validator_for(&test.run("schema fs apply --input").success().json()).unwrap();
    for line in every_operation().lines().filter(|line| !line.trim().is_empty()) {
        assert!(validator.is_valid(&serde_json::from_str(line).unwrap()), "{line}");
    }
    // What is not even an operation, for the schema neither.
    for (bad, said) in [
        (r#"{"op":"fly","path":"/a"}"#, "unknown variant `fly`"),
        (r#"{"op":"rm","path":"/a","recursiv":true}"#, "unknown field `recursiv`"),
        (r#"{"op":"chmod","path":"/a","mode":"rwx"}"#, "`rwx` is no mode"),
        (r#"["rm","/a"]"#, "line 3 is no operation"),
        ("rm /a", "line 3 is no operation"),
    ] {
        let asked = format!("{}\n\n{bad}\n", json!({"op": "rm", "path": "/bin", "recursive": true}));
        test.run("fs apply").stdin(asked).stderr("nixbox::file::operation").stderr("line 3").stderr(said).code(2);
        assert!(!serde_json::from_str(bad).is_ok_and(|bad: Value| validator.is_valid(&bad)), "{bad}");
    }
    for bad in [json!({"op": "write", "path": "/a"}), json!({"op": "append", "path": "/a", "text": "", "base64": ""})] {
        test.run("fs apply").stdin(lines(&[bad])).stderr("either in `text` or in `base64`").code(2);
    }
    // What cannot be done there.
    for (bad, code, said, exit) in [
        (json!({"op": "rm", "path": "/none"}), "missing", "line 4, `rm`: /none is not in the instance", 3),
        (json!({"op": "rm", "path": "/src"}), "kind", "/src is a folder", 2),
        (json!({"op": "mkdir", "path": "/src"}), "exists", "/src is there already", 5),
        (json!({"op": "mv", "from": "/src", "to": "/src/deep"}), "name", "`mv`: /src/deep", 2),
        (json!({"op": "cp", "from": "/none", "to": "/x"}), "missing", "/none is not", 3),
        (json!({"op": "cp", "from": "/src", "to": "/x"}), "kind", "/src is a folder", 2),
        (json!({"op": "write", "path": "/none/x", "text": ""}), "missing", "/none/x is not", 3),
        (json!({"op": "link", "path": "/x", "to": "/src"}), "kind", "is a folder", 2),
        (json!({"op": "truncate", "path": "/src", "size": 0}), "kind", "/src is a folder", 2),
        (json!({"op": "chmod", "path": "/gone", "mode": "0600"}), "missing", "/gone is not", 3),
        (json!({"op": "symlink", "path": "/src", "target": "x"}), "exists", "/src is there", 5),
        (json!({"op": "write", "path": "n".repeat(256), "text": ""}), "name", "too long", 2),
    ] {
        let asked = lines(&[
            json!({"op": "rm", "path": "/bin", "recursive": true}),
            json!({"op": "write", "path": "/new/x", "text": "new", "parents": true}),
            json!({"op": "mv", "from": "/copy", "to": "/gone-away"}),
            bad,
            json!({"op": "rm", "path": "/link"}),
        ]);
        for verb in ["fs apply", "fs apply --dry-run"] {
            let code = format!("nixbox::file::{code}");
            let call = test.run(verb).stdin(asked.clone());
            call.stderr(&code).stderr(said).stderr("nothing of the whole was done").code(exit);
        }
    }
    assert_eq!(seen(&test), before);
    let failed = test.run("timeline --tool fs.apply --status error --limit 1 --json").success().json();
    assert!(failed["calls"][0]["error"].as_str().unwrap().starts_with("line 4, "), "{failed}");
}

#[test]
fn a_mount_shows_all_of_it_at_once() {
    if !fuse() {
        return;
    }
    let test = Test::new().config("[instances.a]\nmount.path = \"mnt\"\n");
    test.run("up -d").success();
    let mnt = test.path("mnt");
    assert!(!mnt.join("src").exists() && !mnt.join("link").exists());
    test.run("fs apply --dry-run").stdin(every_operation()).success();
    assert_eq!(std::fs::read_dir(&mnt).unwrap().count(), 0);
    test.run("fs apply").stdin(every_operation()).success();
    assert_eq!(std::fs::read(mnt.join("link")).unwrap(), b"one\ntwo\n");
    assert_eq!(mnt.join("src/a.txt").metadata().unwrap().permissions().mode() & 0o777, 0o640);
    let asked = lines(&[
        json!({"op": "write", "path": "/src/a.txt", "text": "anew"}),
        json!({"op": "rm", "path": "/copy", "recursive": true}),
        json!({"op": "mv", "from": "/bin", "to": "/lib"}),
    ]);
    test.run("fs apply").stdin(asked).success();
    assert_eq!(std::fs::read(mnt.join("link")).unwrap(), b"anew");
    assert!(!mnt.join("copy").exists() && !mnt.join("bin").exists());
    assert_eq!(std::fs::read(mnt.join("lib/b")).unwrap(), [0, 0xff, b'\n', 0]);
    // A program that goes on meanwhile finds everything as it was where it failed.
    let bad = lines(&[json!({"op": "rm", "path": "/lib", "recursive": true}), json!({"op": "rm", "path": "/none"})]);
    test.run("fs apply").stdin(bad).code(3);
    assert_eq!(std::fs::read(mnt.join("lib/b")).unwrap(), [0, 0xff, b'\n', 0]);
    std::fs::write(mnt.join("lib/b"), "still written").unwrap();
    test.run("fs cat /lib/b").stdout("still written").success();
}

/// However far the owner has come, there is all of it or nothing.
#[test]
fn an_owner_that_is_killed_leaves_all_or_nothing() {
    const FILES: usize = 1500;
    let test = Test::bare(&["a"]);
    test.run("init").success();
    test.run("fs apply").stdin(lines(&[json!({"op": "write", "path": "/old", "text": "old"})])).success();
    let mut operations = vec![json!({"op": "rm", "path": "/old"})];
    operations.extend(
        (0..FILES).map(
            |n| json!({"op": "write", "path": format!("/d{}/{n}", n % 7), "text": "x".repeat(500), "parents": true}),
        ),
    );
    let asked = lines(&operations);
    let back = || {
        let all: Vec<_> = (0..7).map(|n| json!({"op": "rm", "path": format!("/d{n}"), "recursive": true})).collect();
        test.run("fs apply").stdin(lines(&all)).success();
        test.run("fs write /old").stdin("old").success();
    };
    // Nobody starts it anew but the test.
    let serve = || {
        let owner = test.spawn("serve a");
        test.run("wait a").success();
        owner
    };
    // How long it takes on this machine.
    let owner = serve();
    let began = Instant::now();
    test.run("fs apply").stdin(asked.clone()).success();
    let whole = began.elapsed();
    back();
    drop(owner);
    let (mut none, mut all) = (0, 0);
    for round in 0..60 {
        if round >= 10 && none > 0 {
            break;
        }
        let owner = serve();
        let mut command = test.command(helper());
        command.args(["fs", "apply"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(asked.as_bytes()).unwrap();
        // From before it has begun to after it is done.
        std::thread::sleep(whole * (round % 12) / 10);
        drop(owner);
        child.wait().unwrap();
        let there = test.run("fs ls -R").success().stdout.lines().count();
        match there {
            1 => none += 1,
            n if n == FILES + 7 => {
                all += 1;
                back();
            }
            other => panic!("{other} of {FILES} files in round {round}"),
        }
        test.run("fs cat /old").stdout("old").success();
    }
    println!("nothing {none} times, all {all} times");
    assert!(none > 0, "no kill came before the end");
    test.run("fsck").success();
}

#[test]
fn a_real_folder_is_not_changed_as_one() {
    let test = Test::bare(&["a"]).config("[instances.a]\nmount.backend = \"none\"\nbase = \"b\"\nmode = \"direct\"\n");
    std::fs::create_dir(test.path("b")).unwrap();
    test.run("init").success();
    test.run("fs apply").stdin(every_operation()).stderr("nixbox::file::in-place").code(2);
    assert_eq!(std::fs::read_dir(test.path("b")).unwrap().count(), 0);
}

#[test]
fn there_are_no_more_at_once_than_memory_is_meant_for() {
    let test = Test::bare(&["a"]);
    test.run("init").success();
    let many = "{\"op\":\"mkdir\",\"path\":\"/a\",\"parents\":true}\n".repeat(100_001);
    test.run("fs apply").stdin(many).stderr("nixbox::control::body-too-long").stderr("more than 100000").code(2);
    let large = format!("{{\"op\":\"write\",\"path\":\"/a\",\"text\":\"{}\"}}\n", "x".repeat(65 << 20));
    test.run("fs apply").stdin(large).stderr("nixbox::control::body-too-long").stderr("64 MiB").code(2);
    test.run("fs ls").stdout("").success();
}

/// Whatever a path says, it is one of the instance.
#[test]
fn no_operation_leads_out_of_the_instance() {
    let test = Test::bare(&["a"]).config("[instances.a]\nmount.backend = \"none\"\nbase = \"b\"\n");
    std::fs::create_dir(test.path("b")).unwrap();
    std::fs::write(test.path("secret"), "secret").unwrap();
    for (name, target) in [("up", ".."), ("file", "../secret"), ("root", "/proc/self/root"), ("abs", "/")] {
        std::os::unix::fs::symlink(target, test.path("b").join(name)).unwrap();
    }
    test.run("init").success();
    let outside = test.path("secret").display().to_string();
    let root = test.root().display().to_string();
    for path in ["/../secret", "../../secret", "/up/secret", "/file", "/root/etc/x", "/abs/x", &outside] {
        let asked = lines(&[json!({"op": "write", "path": path, "text": "written", "parents": true})]);
        test.run("fs apply").stdin(asked).try_codes(&[0, 2, 3, 5]);
        let asked = lines(&[json!({"op": "cp", "from": path, "to": "/got", "recursive": true})]);
        test.run("fs apply").stdin(asked).try_codes(&[0, 2, 3]);
        for op in ["rm", "truncate", "chmod"] {
            let mut operation = json!({"op": op, "path": path});
            match op {
                "rm" => operation["recursive"] = true.into(),
                "truncate" => operation["size"] = 0.into(),
                _ => operation["mode"] = "0777".into(),
            }
            test.run("fs apply").stdin(lines(&[operation])).try_codes(&[0, 2, 3]);
        }
    }
    let asked = lines(&[json!({"op": "link", "path": "/stolen", "to": format!("/abs{root}/secret")})]);
    test.run("fs apply").stdin(asked).code(3);
    assert_eq!(std::fs::read(test.path("secret")).unwrap(), b"secret");
    assert_eq!(test.path("secret").metadata().unwrap().permissions().mode() & 0o777, 0o644);
    let mut left: Vec<_> = std::fs::read_dir(test.path("b")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["abs", "file", "root", "up"]);
    assert!(!test.run("fs ls -R --json").success().stdout.contains("secret\\n"));
    assert!(!std::path::Path::new("/etc/x").exists() && !std::path::Path::new("/x").exists());
}
