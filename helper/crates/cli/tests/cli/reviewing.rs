//! `status` and `diff` as people and scripts see them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::support::{Test, fuse, helper, owner};

const WITHOUT_MOUNT: &str = "mount.backend = \"none\"\n";

/// An instance `a` over the folder `b`, and some work in it.
fn with_work() -> Test {
    owner();
    let test = Test::new().config(&format!("[instances.a]\nbase = \"b\"\n{WITHOUT_MOUNT}"));
    for (path, content) in [
        ("main.rs", "fn main() {}\n"),
        ("old.txt", "moved along\n"),
        ("gone/x", "1\n"),
        ("gone/y", "22\n"),
        ("run", ""),
    ] {
        let path = test.path("b").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    test.run("init").success();
    test.run("fs write main.rs").stdin("fn main() {\n    work();\n}\n").success();
    test.run("fs mv old.txt new.txt").success();
    test.run("fs rm -r gone").success();
    test.run("fs mkdir -p build/deep").success();
    test.run("fs write build/deep/out").stdin("0".repeat(2000)).success();
    test.args(["fs", "write", "build/with blank"]).stdin("b\n").success();
    test
}

#[test]
fn status_shows_what_a_reviewer_wants_to_know() {
    let test = with_work();
    let expected =
        "A  build/  2 files, 2.0 KiB\nD  gone/  2 files, 5 B\nM  main.rs  13 B → 26 B\nR  old.txt → new.txt\n";
    let summary = "4 added, 1 modified, 3 deleted, 1 renamed against [DIR]/b, 30 B → 2.0 KiB";
    test.run("status").stdout(expected).stderr(summary).success();
    test.run("status a").stdout(expected).success();
    test.run("status --all a build")
        .stdout("A  build/\nA  build/deep/\nA  build/deep/out  2.0 KiB\nA  build/with blank  2 B\n")
        .success();
    test.run("status --porcelain").stdout(
        "A---\t-\t0\tbuild/\nA---\t-\t0\tbuild/deep/\nA---\t-\t2000\tbuild/deep/out\nA---\t-\t2\tbuild/with blank\n\
         D---\t0\t-\tgone/\nD---\t2\t-\tgone/x\nD---\t3\t-\tgone/y\nMc--\t13\t26\tmain.rs\nR---\t12\t12\tnew.txt\told.txt\n",
    ).success();
    test.run("status -z new.txt").stdout("R---\t12\t12\tnew.txt\0old.txt\0").success();
    test.run("status --exit-code -q").code(1);
    let json = test.run("status --json").success().json();
    assert_eq!(json["totals"]["added"], 4);
    assert_eq!(json["base"], "[DIR]/b");
    let renamed =
        json["changes"].as_array().unwrap().iter().find(|change| change["kind"] == "renamed").unwrap().clone();
    assert_eq!((&renamed["from"], &renamed["before"]["size"]), (&"old.txt".into(), &12.into()));

    // Undone, it is no work.
    for undo in ["fs rm -r build", "fs mv new.txt old.txt"] {
        test.run(undo).success();
    }
    test.run("fs write main.rs").stdin("fn main() {}\n").success();
    test.run("status").stdout("D  gone/  2 files, 5 B\n").success();
    test.run("fs mkdir gone").success();
    test.run("fs write gone/x").stdin("1\n").success();
    test.run("fs write gone/y").stdin("22\n").success();
    test.run("status --exit-code").stdout("").stderr("Nothing differs from [DIR]/b").success();
}

#[test]
fn the_patch_does_to_the_base_what_was_done_here() {
    let test = with_work();
    let check = |applies: &[&str]| {
        let done = Command::new("git")
            .args(["apply"])
            .args(applies)
            .arg("../work.patch")
            .current_dir(test.path("b"))
            .env("GIT_CEILING_DIRECTORIES", test.root())
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    let patch = test.run("diff").success().stdout;
    assert!(!patch.contains('\u{1b}'), "no colour but on a terminal");
    fs::write(test.path("work.patch"), &patch).unwrap();
    check(&["--check"]);
    assert_eq!(
        test.run("diff --color always").success().stdout.matches("\u{1b}[32m+").count(),
        patch.matches("\n+").count() - patch.matches("\n+++").count()
    );
    test.run("diff --stat main.rs new.txt").stdout("M  main.rs  +3 -1\nR  old.txt → new.txt  no lines\n").success();
    test.run("diff --name-only")
        .stdout("build/deep/out\nbuild/with blank\ngone/x\ngone/y\nmain.rs\nnew.txt\n")
        .success();
    let json = test.run("diff --json main.rs").success().json();
    let change = &json["changes"][0];
    assert_eq!((&change["added"], &change["removed"], &change["binary"]), (&3.into(), &1.into(), &false.into()));
    assert!(
        change["patch"]
            .as_str()
            .unwrap()
            .starts_with("diff --git a/main.rs b/main.rs\n--- a/main.rs\n+++ b/main.rs\n@@ ")
    );
    test.run("diff --exit-code --stat").code(1);

    // What it was made for: the real files follow, and nothing is left to review.
    check(&[]);
    assert_eq!(fs::read_to_string(test.path("b/new.txt")).unwrap(), "moved along\n");
    // Git knows no empty folder, and takes away those that become so; what is left is what both have.
    let left = test.run("status --porcelain").success().stdout;
    assert!(left.is_empty(), "{left}");
}

#[test]
fn paths_are_named_as_they_are_seen() {
    let test = with_work();
    fs::create_dir(test.path("b/build")).unwrap();
    let base = test.path("b").display().to_string();
    for (here, path) in [("", format!("{base}/main.rs")), ("b", "main.rs".into()), ("b/build", "../main.rs".into())] {
        let mut command = test.command(helper());
        command
            .current_dir(test.path(here))
            .args(["diff", "--name-only", "--config"])
            .arg(test.path("nixbox.toml"))
            .arg(&path);
        let done = command.output().unwrap();
        assert_eq!(String::from_utf8_lossy(&done.stdout), "main.rs\n", "{path} in {here:?}");
    }
    test.args(["diff", "--name-only", "*t"]).stdout("build/deep/out\nnew.txt\n").success();
    test.args(["diff", "--name-only", "b*/*"]).stdout("build/deep/out\nbuild/with blank\n").success();
    test.run("diff --name-only nothing/here").stdout("").success();
    test.run("status nothing/here").stderr("in these paths").success();
    test.args(["diff", "a["]).stderr("nixbox::file::pattern").code(2);
    test.run("diff -i nobody").stderr("nixbox::instance::unknown").code(3);
}

#[test]
fn without_a_base_everything_was_added() {
    let test = Test::bare(&["a"]);
    test.run("init").success();
    test.run("status").stdout("").stderr("no base to compare with").success();
    test.run("fs write f").stdin("text\n").success();
    test.run("status").stdout("A  f  5 B\n").stderr("without a base").success();
    test.run("diff")
        .stdout("diff --git a/f b/f\nnew file mode 100644\n--- /dev/null\n+++ b/f\n@@ -0,0 +1 @@\n+text\n")
        .success();
}

#[test]
fn while_it_is_mounted_all_that_programs_wrote_is_shown() {
    if !fuse() {
        return;
    }
    let test = with_work().config("[instances.a]\nbase = \"b\"\nmount.path = \"mnt\"\n");
    test.run("up -d").success();
    fs::set_permissions(test.path("mnt/run"), fs::Permissions::from_mode(0o755)).unwrap();
    test.run("status run").stdout("M  run  mode 0644 → 0755\n").success();
    test.args(["diff", &test.path("mnt/run").display().to_string()])
        .stdout("diff --git a/run b/run\nold mode 100644\nnew mode 100755\n")
        .success();
    // Through a mapping, which stays: nothing has told the owner of it.
    let script = "import mmap, sys\nf = open('mnt/main.rs', 'r+b')\nm = mmap.mmap(f.fileno(), 0)\nf.close()\n\
                  m[0:2] = b'FN'\nprint('mapped', flush=True)\nsys.stdin.read()\n";
    let mut python = test.command("python3");
    python.args(["-c", script]).stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut python = python.spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(python.stdout.as_mut().unwrap()), &mut line).unwrap();
    assert_eq!(line, "mapped\n");
    assert!(test.run("diff main.rs").success().stdout.contains("\n+FN main() {\n"));
    assert!(test.run("fs cat main.rs").success().stdout.starts_with("FN"));
    drop(python.stdin.take());
    assert!(python.wait().unwrap().success());
    // Somebody works on the real file meanwhile.
    fs::write(test.path("mnt/run"), "mine\n").unwrap();
    fs::write(test.path("b/run"), "theirs, too\n").unwrap();
    test.run("status run").stdout("M! run  12 B → 5 B, mode 0644 → 0755, changed in the base, too\n").success();
}
