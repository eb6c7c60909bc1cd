use std::process::Command;

use crate::support::{Test, fuse, helper, owner};

#[test]
fn the_plain_one_is_a_good_project_and_never_overwrites() {
    let test = Test::new();
    test.run("new plain box").stderr("wrote box/nixbox.toml").success();
    test.run("--config box/nixbox.toml config check").success();
    std::fs::write(test.path("box/README.md"), "mine").unwrap();
    let before = std::fs::read_dir(test.path("box")).unwrap().count();
    std::fs::remove_file(test.path("box/.envrc")).unwrap();
    test.run("new plain box").stdout("").stderr("nixbox::template::occupied").stderr("box/README.md exists").code(5);
    assert_eq!(std::fs::read_dir(test.path("box")).unwrap().count(), before - 1);
    assert_eq!(std::fs::read_to_string(test.path("box/README.md")).unwrap(), "mine");
}

#[test]
fn an_unknown_one_names_those_there_are() {
    let test = Test::new();
    for name in ["devenv", "flake", "plain", "process-compose"] {
        test.run("new nix").stderr("nixbox::template::unknown").stderr(name).code(3);
        test.args(["new", name, name]).success();
        assert!(test.path(name).join(".envrc").is_file(), "{name}");
    }
}

/// direnv itself enters the project: the variables are there, and nothing is left running.
#[test]
fn direnv_loads_the_plain_one_without_nix() {
    if Command::new("direnv").arg("version").output().is_err() {
        println!("skipped: direnv is not installed");
        return;
    }
    let path = format!("{}:{}", helper().parent().unwrap().display(), std::env::var("PATH").unwrap());
    let test = Test::new().env("PATH", &path);
    test.run("new plain box").success();
    let direnv = |args: &[&str]| {
        let output = test.command("direnv").args(args).current_dir(test.path("box")).output().unwrap();
        (
            output.status.success(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    assert!(direnv(&["allow"]).0);
    let (good, stdout, stderr) = direnv(&["exec", ".", "env"]);
    assert!(good, "{stderr}");
    assert!(stdout.contains(&format!("AGENTFS_MOUNT={}/box/sandbox\n", test.root().display())), "{stdout}\n{stderr}");
    assert!(!test.path("box/.agentfs").exists());

    // A broken file is a message, not a half-set environment.
    std::fs::write(test.path("box/nixbox.toml"), "version = 2\n").unwrap();
    let (_, stdout, stderr) = direnv(&["exec", ".", "env"]);
    assert!(stderr.contains("nixbox::config::version") && !stdout.contains("AGENTFS_"), "{stdout}\n{stderr}");
}

#[test]
fn quickstart_shows_everything_and_leaves_nothing() {
    owner();
    if !fuse() {
        return;
    }
    let test = Test::new().env("AGENTFS_DATA_DIR", "/nonexistent").env("NIXBOX_CONFIG", "/nonexistent.toml");
    let done = test.run("quickstart").success();
    for part in
        ["brought it up", "export AGENTFS_MOUNT=", "Written through the mount", "read hello.txt back", "Done in"]
    {
        assert!(done.stdout.contains(part), "no {part:?} in {}", done.stdout);
    }
    assert_eq!(std::fs::read_dir(test.path("tmp")).unwrap().count(), 0);
    let answer = test.run("quickstart --json").success().json();
    assert!(answer["total_ms"].as_u64().unwrap() < 2000, "{answer}");
    let schema = test.run("schema quickstart").success().json();
    assert!(jsonschema::validator_for(&schema).unwrap().is_valid(&answer), "{answer}");
    assert_eq!(std::fs::read_dir(test.path("tmp")).unwrap().count(), 0);
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(&test.root().display().to_string()));
}

/// In a mount namespace of its own with an empty /dev.
#[test]
fn without_fuse_quickstart_says_what_is_missing() {
    let test = Test::new();
    let script = "mount -t tmpfs none /dev && exec \"$0\" quickstart";
    let output = test.command("unshare").args(["-m", "sh", "-c", script]).arg(helper()).output();
    let Some(output) = output.ok().filter(|_| nix::unistd::geteuid().is_root()) else {
        println!("skipped: needs root and unshare");
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    if said.starts_with("unshare:") || said.starts_with("mount:") {
        println!("skipped: {said}");
        return;
    }
    assert_eq!(output.status.code(), Some(8), "{said}");
    assert!(said.contains("nixbox::mount::no-fuse") && said.contains("modprobe fuse"), "{said}");
    assert_eq!(std::fs::read_dir(test.path("tmp")).unwrap().count(), 0);
}

#[test]
fn a_quickstart_that_is_interrupted_leaves_nothing_either() {
    owner();
    if !fuse() {
        return;
    }
    for wait in [0, 3, 8, 15, 25, 40] {
        let test = Test::new();
        let run = test.spawn("quickstart");
        std::thread::sleep(std::time::Duration::from_millis(wait));
        // It may have ended before.
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(run.pid()), nix::sys::signal::Signal::SIGINT);
        let done = run.finish();
        // Killed before it had begun, interrupted, or done.
        assert!([None, Some(130), Some(0)].contains(&done.code), "{wait} ms: {:?} {}", done.code, done.stderr);
        assert_eq!(std::fs::read_dir(test.path("tmp")).unwrap().count(), 0, "{wait} ms: {}", done.stdout);
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(&test.root().display().to_string()), "{wait} ms");
    }
}
