use std::path::Path;

use nix::sys::signal::Signal;

use crate::support::{Test, owner};

#[test]
fn serve_becomes_the_owner_itself() {
    let test = Test::bare(&["a"]);
    let serve = test.spawn("serve");
    test.run("wait a").success();
    assert_eq!(test.pid("a"), serve.pid());
    let program = std::fs::read_link(format!("/proc/{}/exe", serve.pid())).unwrap();
    assert_eq!(program, owner().canonicalize().unwrap());

    let second = test.run("serve a").stdout("").stderr("nixbox::owner::held").code(4);
    assert!(second.stderr.contains(&serve.pid().to_string()), "{}", second.stderr);
    serve.signal(Signal::SIGINT);
    assert_eq!(serve.finish().code, Some(0));
}

#[test]
fn what_cannot_be_served_is_refused_before_anything_is_made() {
    let test = Test::new().config("[instances.a]\n[instances.off]\nenable = false\n[instances.z]\n");
    test.run("serve nobody").stderr("nixbox::instance::unknown").code(3);
    test.run("serve off").stderr("nixbox::instance::disabled").code(3);
    test.run("serve").stderr("nixbox::instance::none").stderr("name one").code(3);
    test.run("up off nobody").stderr("nixbox::instance::disabled").stderr("nixbox::instance::unknown").code(3);
    Test::new().config("").run("up").stderr("nixbox::instance::none").stderr("[instances.sandbox]").code(3);
    assert!(!test.path(".agentfs").exists() && !test.path("run").exists());
}

#[test]
fn init_creates_once_also_when_many_do_it_at_once() {
    let test = Test::bare(&["a", "b"]);
    let several: Vec<_> = (0..6).map(|_| test.spawn("init --json")).collect();
    for one in several {
        let done = one.finish();
        assert_eq!(done.code, Some(0), "{}", done.stderr);
    }
    assert!(test.path(".agentfs/a.db").is_file() && test.path(".agentfs/b.db").is_file());
    let again = test.run("init --json").success().json();
    assert!(again["instances"].as_array().unwrap().iter().all(|one| one["created"] == false), "{again}");
    // Beside a serving owner too, as process managers do it.
    test.run("up -d a").success();
    test.run("init").success();
}

/// Each wins some of the instances. Who comes second somewhere must not take down what it has won elsewhere.
#[test]
fn several_ups_at_once_all_end_with_everything_ready() {
    let names = ["a", "b", "c", "d"];
    let test = Test::bare(&names);
    for _ in 0..3 {
        let several: Vec<_> = (0..4).map(|_| test.spawn("up -d --timeout 80")).collect();
        for one in several {
            let done = one.finish();
            assert_eq!(done.code, Some(0), "{}", done.stderr);
        }
        for name in names {
            test.args(["ready", name]).success();
        }
        test.run("down").success();
    }
}

/// Flags reach the owner as absolute paths, wherever it runs.
#[test]
fn options_mean_the_same_to_the_owner() {
    let test = Test::bare(&["a"]);
    std::fs::create_dir(test.path("sub")).unwrap();
    let mut command = test.command(crate::support::helper());
    command.current_dir(test.path("sub")).args(["--data-dir", "../data", "--log-level", "debug", "up", "-d"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let database = test.record("a").unwrap()["database"].as_str().unwrap().to_owned();
    assert_eq!(Path::new(&database), test.path("data/a.db"));
    let words = std::fs::read(format!("/proc/{}/cmdline", test.pid("a"))).unwrap();
    let words: Vec<_> = words.split(|&b| b == 0).map(String::from_utf8_lossy).collect();
    assert!(words.windows(2).any(|pair| pair == ["--log-level", "debug"]), "{words:?}");
    test.run("--data-dir data down").stderr("a: stopped").success();
}
