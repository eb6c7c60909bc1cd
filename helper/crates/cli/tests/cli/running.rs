//! Commands in instances that are made for them: what becomes of the command, of the instance and of the folder.

use std::fs;

use nix::sys::signal::Signal;

use crate::support::{Test, alive, fuse, mounted, owner, until};

/// A folder with a file in it, and no configuration. None where there can be no mount.
fn folder() -> Option<Test> {
    owner();
    if !fuse() {
        return None;
    }
    let test = Test::new();
    fs::write(test.path("file"), "real\n").unwrap();
    let runtime = test.path("tmp");
    Some(test.env("XDG_RUNTIME_DIR", runtime.to_str().unwrap()))
}

/// A project of its own, with one declared instance.
fn declared() -> Option<Test> {
    let test = folder()?.config("[instances.own]\nbase = \".\"\n");
    Some(test)
}

/// All that is in the folder, but for the tests' own.
fn entries(test: &Test) -> Vec<String> {
    let entries = fs::read_dir(test.root()).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| name != "tmp" && name != "run");
    names.sort();
    names
}

fn only_instance(test: &Test) -> String {
    let answer = test.run("ps --json").success().json();
    let all = answer["instances"].as_array().unwrap();
    assert_eq!(all.len(), 1, "{answer}");
    all[0]["instance"].as_str().unwrap().to_owned()
}

#[test]
fn what_changes_nothing_leaves_nothing() {
    let Some(test) = folder() else { return };
    test.run("run -- cat file").stdout("real\n").success();
    test.args(["run", "--", "sh", "-c", "exit 7"]).code(7);
    test.run("run -- no-such-program").stderr("nixbox::exec::missing").code(127);
    test.run("run -- ./file").code(126);
    assert_eq!(entries(&test), ["file"]);
}

#[test]
fn what_is_changed_stays_until_it_is_removed() {
    let Some(test) = folder() else { return };
    let done = test.args(["run", "--", "sh", "-c", "echo more >>file; pwd"]).success();
    assert_eq!(done.stdout, "[DIR]\n");
    let name = only_instance(&test);
    assert!(name.starts_with("run-") && done.stderr.contains(&format!("{name}: kept, 1 modified")), "{}", done.stderr);
    assert_eq!(fs::read_to_string(test.path("file")).unwrap(), "real\n");
    test.args(["diff", &name, "--name-only"]).stdout("file\n").success();
    test.args(["status", &name, "--porcelain"]).stdout_has("file").success();
    test.args(["fs", "cat", "-i", &name, "/file"]).stdout("real\nmore\n").success();
    test.args(["timeline", "-i", &name]).stdout_has("exec").success();
    test.args(["instance", "rm", &name]).stderr("nixbox::instance::changed").code(5);
    let answer = test.args(["instance", "rm", &name, "--force", "--json"]).success().json();
    assert_eq!(answer["removed"], serde_json::json!([name]));
    let schema = test.run("schema instance rm").success().json();
    assert!(jsonschema::validator_for(&schema).unwrap().is_valid(&answer), "{answer}");
    assert_eq!(entries(&test), ["file"]);
}

#[test]
fn one_that_stayed_is_used_again() {
    let Some(test) = folder() else { return };
    test.args(["run", "--name", "try", "--keep", "--label", "team=a", "--", "true"]).success();
    test.args(["run", "--name", "try", "--", "sh", "-c", "echo x >new"]).success();
    test.args(["run", "--name", "try", "--", "cat", "new"]).stdout("x\n").success();
    test.args(["run", "--name", "try", "--base", "tmp", "--", "true"]).stderr("nixbox::instance::exists").code(125);
    let shown = test.run("ps --filter label=team=a --json").success().json();
    assert_eq!(shown["instances"][0]["instance"], "try");
    // Brought up like any other.
    test.run("up -d try").success();
    test.run("exec try -- cat new").stdout("x\n").success();
    test.run("run --name try -- true").stderr("it is running").code(125);
    test.run("instance rm try --force").stderr("nixbox::owner::held").code(4);
    test.run("down").success();
    // Refused is a failure, but the command's own code says more.
    test.args(["run", "--rm", "--name", "try", "--", "true"]).stderr("nixbox::instance::changed").code(125);
    test.args(["run", "--rm", "--name", "try", "--", "sh", "-c", "exit 3"]).stderr("nixbox::instance::changed").code(3);
    test.args(["run", "--rm", "--force", "--name", "try", "--", "cat", "new"]).stdout("x\n").success();
    test.run("ps try").code(3);
}

#[test]
fn beside_declared_ones_it_changes_nothing_for_them() {
    let Some(test) = declared() else { return };
    test.args(["run", "--name", "try", "--keep", "--", "true"]).success();
    let answer = test.run("config show --json").success().json();
    assert!(answer.to_string().contains("own") && !answer.to_string().contains("\"try\""), "{answer}");
    // The default one is still the only declared one, and `up` means what is declared.
    test.run("exec -- true").stderr("nixbox::owner::not-running").code(125);
    assert!(!test.run("url").try_codes(&[0, 3]).stdout.contains("try"));
    test.run("up -d").success();
    let rows = test.run("ps --json").success().json();
    let states: Vec<_> =
        rows["instances"].as_array().unwrap().iter().map(|row| (&row["instance"], &row["state"])).collect();
    assert_eq!(format!("{states:?}"), r#"[(String("own"), String("ready")), (String("try"), String("stopped"))]"#);
    test.run("run --name own -- true").stderr("declares it").code(125);
    test.run("instance rm own").stderr("nixbox::instance::declared").code(7);
    // What is declared afterwards takes over what was made.
    fs::write(
        test.path("nixbox.toml"),
        "version = 1\nruntime_dir = \"run\"\n[instances.own]\n[instances.try]\nbase = \".\"\n",
    )
    .unwrap();
    test.run("instance rm try").stderr("nixbox::instance::declared").code(7);
}

#[test]
fn signals_go_to_the_command_and_all_is_cleared_up() {
    let Some(test) = folder() else { return };
    let script =
        "trap 'exit 5' TERM; touch tmp/../begun 2>/dev/null; echo $$ >/proc/self/fd/1; while :; do sleep 0.05; done";
    let file = test.path("tmp/said");
    fs::write(test.path("loop.sh"), script).unwrap();
    let running = test.spawn_into("run --rm --force -- sh loop.sh", &file);
    until("it begins", || fs::read_to_string(&file).is_ok_and(|text| text.contains('\n')));
    running.signal(Signal::SIGTERM);
    assert_eq!(running.finish().code, Some(5));
    assert_eq!(entries(&test), ["file", "loop.sh"]);
    // Killed: what it had started ends by itself, and what it has made is known.
    let running = test.spawn_into("run --name try -- sh loop.sh", &file);
    until("it begins", || fs::read_to_string(&file).is_ok_and(|text| text.contains('\n')));
    let command: i32 = fs::read_to_string(&file).unwrap().trim().parse().unwrap();
    running.signal(Signal::SIGKILL);
    assert_eq!(running.finish().code, None);
    until("the command ends", || !alive(command));
    until("the mount goes", || !mounted(&test.path(".agentfs/mnt/try")));
    until("the owner ends", || test.run("instance rm try --force").try_code() == Some(0));
    assert_eq!(entries(&test), ["file", "loop.sh"]);
}

#[test]
fn an_owner_that_ends_takes_the_command_along() {
    let Some(test) = folder() else { return };
    let file = test.path("tmp/said");
    fs::write(test.path("loop.sh"), "echo begun; while :; do sleep 0.05; done").unwrap();
    let running = test.spawn_into("run --name try --keep -- sh loop.sh", &file);
    until("it begins", || fs::read_to_string(&file).is_ok_and(|text| text.contains("begun")));
    test.run("stop try").success();
    assert_eq!(running.finish().code, Some(128 + 15));
    assert_eq!(test.run("ps try --json").success().json()["instances"][0]["state"], "stopped");
}

#[test]
fn a_failure_goes_back_to_what_was_before() {
    let Some(test) = folder() else { return };
    test.args(["run", "--name", "try", "--keep", "--", "sh", "-c", "echo good >made"]).success();
    let again = |script: &str, code| {
        test.args(["run", "--name", "try", "--on-failure", "restore", "--json", "--", "sh", "-c", script])
            .code(code)
            .json()
    };
    let answer = again("echo bad >made; rm file; exit 9", 9);
    assert_eq!((&answer["restored"], &answer["kept"], &answer["changes"]), (&true.into(), &true.into(), &1.into()));
    let schema = test.run("schema run").success().json();
    assert!(jsonschema::validator_for(&schema).unwrap().is_valid(&answer), "{answer}");
    test.run("fs cat -i try /made").stdout("good\n").success();
    let answer = again("echo better >made", 0);
    assert_eq!(answer["restored"], false);
    test.run("fs cat -i try /made").stdout("better\n").success();
    // Of one that was made for it nothing is left then.
    test.args(["run", "--on-failure", "restore", "--", "sh", "-c", "echo x >y; exit 1"]).code(1);
    assert_eq!(only_instance(&test), "try");
}

#[test]
fn folders_of_the_machine_are_seen_where_they_are_put() {
    let Some(test) = folder() else { return };
    for dir in ["data", "tmp/outside"] {
        fs::create_dir(test.path(dir)).unwrap();
    }
    fs::write(test.path("tmp/outside/f"), "outside\n").unwrap();
    let root = test.root();
    let run = |volume: String, script: &str| {
        let args = ["run", "--rm", "-v", &volume, "--", "sh", "-c", script].map(str::to_owned);
        test.args(args)
    };
    let done = run("tmp/outside:data".into(), "cat data/f; echo more >data/g");
    done.stdout("outside\n").success();
    assert_eq!(fs::read_to_string(test.path("tmp/outside/g")).unwrap(), "more\n");
    run("tmp/outside:data:ro".into(), "cat data/g; echo x >data/h || exit 4").stdout("more\n").code(4);
    // A folder of the base itself: as it really is, though the view is above it.
    run(format!("{0}/file:{0}/file", root.display()), "echo written >file").success();
    assert_eq!(fs::read_to_string(test.path("file")).unwrap(), "written\n");
    run("tmp/outside:/nowhere".into(), "true").stderr("nixbox::run::bind").code(125);
    run("tmp/outside:file".into(), "true").stderr("finds no folder").code(125);
    run("/no/such:data".into(), "true").stderr("nixbox::run::bind").code(125);
    assert_eq!(entries(&test), ["data", "file"]);
}

#[test]
fn what_a_folder_is_put_at_is_made_in_the_instance_and_nowhere_else() {
    let Some(test) = folder() else { return };
    for dir in ["data", "tmp/outside"] {
        fs::create_dir(test.path(dir)).unwrap();
    }
    fs::write(test.path("tmp/outside/f"), "outside\n").unwrap();
    std::os::unix::fs::symlink(test.path("tmp/outside"), test.path("data/out")).unwrap();
    let run = |at: &str, script: &str| {
        let volume = format!("tmp/outside:{at}");
        test.args(
            ["run", "--name", "try", "--keep", "-v", &volume, "-v", "file:new/copy:ro", "--", "sh", "-c", script]
                .map(str::to_owned),
        )
    };
    let done =
        run("new/folder", "cat new/folder/f; cmp file new/copy; echo more >new/folder/g").stdout("outside\n").success();
    assert_eq!(done.stderr.matches("made in try").count(), 2, "{}", done.stderr);
    assert_eq!(fs::read_to_string(test.path("tmp/outside/g")).unwrap(), "more\n");
    assert!(!test.path("new").exists());
    // Changes like any other; what was put there is none.
    test.run("fs ls -i try -R /new").stdout("copy\nfolder\n").success();
    let again = run("new/folder", "true").success();
    assert!(!again.stderr.contains("made in"), "{}", again.stderr);
    for at in ["data/out/made", "data/../../made"] {
        run(at, "true").stderr("nixbox::run::bind").stderr("can be made there").code(125);
    }
    assert!(!test.path("tmp/outside/made").exists() && !test.root().parent().unwrap().join("made").exists());
    // What is made in a real folder stays there.
    let straight =
        format!("version = 1\nkeep = true\n[instance]\nmode = \"direct\"\nbase = \"{}\"\n", test.root().display());
    fs::write(test.path(".agentfs/.instances/straight.toml"), straight).unwrap();
    let words = ["run", "--name", "straight", "-v", "tmp/outside:other", "--", "true"];
    test.args(words).stderr("nixbox::run::bind").stderr("the real folder").code(125);
    assert!(!test.path("other").exists());
}

#[test]
fn a_port_has_to_be_free_and_is_told() {
    let Some(test) = folder() else { return };
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port().to_string();
    test.args(["run", "-p", &port, "--", "true"]).stderr("nixbox::run::port").code(125);
    drop(held);
    test.args(["run", "-p", &port, "--", "sh", "-c", "echo $PORT"]).stdout(&format!("{port}\n")).success();
    test.args(["run", "-e", "A=b c", "-e", "HOME", "--", "sh", "-c", "echo $A $HOME"]).stdout("b c [DIR]\n").success();
}

#[test]
fn it_is_kept_up_when_it_is_left_alone() {
    let Some(test) = folder() else { return };
    fs::write(test.path("serve.sh"), "echo new >made; echo on $PORT; while :; do sleep 0.05; done").unwrap();
    test.args(["run", "-d", "--name", "web", "-p", "0", "--", "sh", "serve.sh"]).stdout("web\n").success();
    until("it is logged", || test.run("logs web").success().stdout.contains("on "));
    test.run("exec web -- cat made").stdout("new\n").success();
    // Who brings up what is declared, which here is nothing, does not end it.
    let other = test.args(["run", "-d", "--name", "brief", "--", "true"]).success();
    assert_eq!(other.stdout, "brief\n");
    test.run("stop web").success();
    assert_eq!(test.run("ps web --json").success().json()["instances"][0]["state"], "stopped");
    test.run("diff web --name-only").stdout("made\n").success();
    test.run("instance rm web --force").success();
    // Started again when it fails, and removed when it is told to end.
    fs::write(test.path("fail.sh"), "echo again >>tmp/starts; exit 1").unwrap();
    fs::create_dir(test.path("starts")).unwrap();
    let words = ["run", "-d", "--rm", "--name", "loop", "--restart", "on-failure", "-v", "tmp:starts", "--"];
    test.args(words.into_iter().chain(["sh", "-c", "echo again >>starts/n; exit 1"])).try_codes(&[0, 1]);
    let starts = || fs::read_to_string(test.path("tmp/n")).unwrap_or_default().lines().count();
    until("it is started again", || starts() > 1);
    let _ = test.run("stop loop").try_codes(&[0, 3]);
    let _ = test.run("down").success();
}

#[test]
fn what_cannot_be_is_said_and_leaves_nothing() {
    let Some(test) = folder() else { return };
    test.run("run --name Wrong -- true").stderr("nixbox::config::instance-name").code(125);
    test.run("run --base nowhere -- true").stderr("nixbox::base::missing").code(125);
    test.run("run --base file -- true").stderr("no folder").code(125);
    test.run("run --rm --keep -- true").code(2);
    test.run("run --force -- true").code(2);
    test.run("run --restart always -- true").code(2);
    assert_eq!(entries(&test), ["file"]);
    // A file that was spoilt says where.
    test.args(["run", "--name", "try", "--keep", "--", "true"]).success();
    fs::write(test.path(".agentfs/.instances/try.toml"), "version = 1\nkeep = 7\n").unwrap();
    test.run("ps").stderr(".instances/try.toml:2").stderr("nixbox::config::type").code(2);
}
