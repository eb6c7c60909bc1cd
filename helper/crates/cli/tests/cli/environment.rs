use std::process::Command;

use crate::support::{Test, helper};

#[test]
fn sorted_exports_and_nothing_else() {
    let test = Test::new().config("[instances.sandbox]\nenv.GREETING = \"it's $me\"\nhttp.port = 8080\n");
    insta::assert_snapshot!(test.run("env").success().stdout, @r"
    export AGENTFS_DATA_DIR='[DIR]/.agentfs'
    export AGENTFS_DB='[DIR]/.agentfs/sandbox.db'
    export AGENTFS_DB_NAME='sandbox.db'
    export AGENTFS_ENABLED='1'
    export AGENTFS_HOST='127.0.0.1'
    export AGENTFS_ID='sandbox'
    export AGENTFS_LOG_LEVEL='info'
    export AGENTFS_MOUNT='[DIR]/.agentfs/mnt/sandbox'
    export AGENTFS_PORT='8080'
    export AGENTFS_SANDBOX_DATA_DIR='[DIR]/.agentfs'
    export AGENTFS_SANDBOX_DB='[DIR]/.agentfs/sandbox.db'
    export AGENTFS_SANDBOX_DB_NAME='sandbox.db'
    export AGENTFS_SANDBOX_ENABLED='1'
    export AGENTFS_SANDBOX_HOST='127.0.0.1'
    export AGENTFS_SANDBOX_ID='sandbox'
    export AGENTFS_SANDBOX_LOG_LEVEL='info'
    export AGENTFS_SANDBOX_MOUNT='[DIR]/.agentfs/mnt/sandbox'
    export AGENTFS_SANDBOX_PORT='8080'
    export AGENTFS_SANDBOX_SOCKET='[DIR]/run/sandbox.sock'
    export AGENTFS_SANDBOX_TOKEN_FILE='[DIR]/run/sandbox.token'
    export AGENTFS_SANDBOX_URL='http://127.0.0.1:8080'
    export AGENTFS_SOCKET='[DIR]/run/sandbox.sock'
    export AGENTFS_TOKEN_FILE='[DIR]/run/sandbox.token'
    export AGENTFS_URL='http://127.0.0.1:8080'
    export GREETING='it'\''s $me'
    export NIXBOX_CONFIG='[DIR]/nixbox.toml'
    ");
}

#[test]
fn every_form_says_the_same() {
    let test = Test::new().config("[instances.a]\nenv.X = \"1\"\n[instances.b-c]\n");
    let flat = test.run("env --format json").success().json();
    let versioned = test.run("env --json").success().json();
    assert_eq!(versioned["schema"], 1);
    assert_eq!(versioned["variables"], flat);
    let names: Vec<_> = flat.as_object().unwrap().keys().cloned().collect();
    let dotenv = test.run("env --format dotenv").success().stdout;
    let found: Vec<_> = dotenv.lines().map(|line| line.split('=').next().unwrap().to_owned()).collect();
    assert_eq!(found, names);
    for (shell, before) in [("fish", "set -gx "), ("nu", "$env."), ("powershell", "$env:"), ("zsh", "export ")] {
        let text = test.args(["env", "--shell", shell]).success().stdout;
        assert_eq!(text.lines().filter(|line| line.starts_with(before)).count(), names.len(), "{shell}");
    }
    assert_eq!(flat["AGENTFS_B_C_ID"], "b-c");
    assert_eq!(test.run("env b-c --format json").success().json()["AGENTFS_ID"], "b-c");
}

#[test]
fn on_any_failure_nothing_is_printed() {
    Test::new().run("env").stdout("").stderr("nixbox::config::missing").code(2);
    Test::new().raw_config("version = ").run("env").stdout("").stderr("nixbox.toml:1").code(2);
    let test = Test::new().config("[instances.a]\n[instances.off]\nenable = false\n");
    test.run("env b").stdout("").stderr("nixbox::instance::unknown").code(3);
    test.run("env off").stdout("").stderr("nixbox::instance::disabled").code(3);
    test.run("env --shell tcsh").stdout("").stderr("invalid value 'tcsh'").code(2);
}

/// A shell entry must not wait, and must not start what direnv would wait for.
#[test]
fn it_starts_no_process_and_opens_no_socket() {
    if Command::new("strace").arg("-V").output().is_err() {
        println!("skipped: strace is not installed");
        return;
    }
    let test = Test::new().config("[instances.a]\n[instances.b.http]\n");
    let trace = test.path("trace");
    let calls = "trace=clone,clone3,fork,vfork,execve,socket,connect,poll,epoll_wait,nanosleep";
    let mut command = test.command("strace");
    command.args(["-f", "-e", calls, "-o"]).arg(&trace).arg(helper()).arg("env");
    assert!(command.output().unwrap().status.success());
    let trace = std::fs::read_to_string(trace).unwrap();
    // The first is strace's own start of it; poll asks once, at the start, whether 0 to 2 are open.
    let calls: Vec<_> = trace.lines().filter(|line| line.contains('(') && !line.contains(" poll([{fd=0")).collect();
    assert_eq!(calls.len(), 1, "{calls:#?}");
}

#[test]
fn a_picked_port_is_told_while_its_owner_lives_and_not_after() {
    let test = Test::new().config("[instances.a]\nmount.backend = \"none\"\nhttp.port = 0\n");
    crate::support::owner();
    let port = |test: &Test| test.run("env --format json").success().json().get("AGENTFS_PORT").cloned();
    assert_eq!(port(&test), None);
    test.run("url").stderr("nixbox::owner::not-running").code(3);

    test.run("up -d").success();
    let picked = port(&test).unwrap().as_str().unwrap().to_owned();
    test.run("url").stdout(&format!("http://127.0.0.1:{picked}\n")).success();
    let pid = nix::unistd::Pid::from_raw(test.pid("a"));
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    crate::support::until("the killed owner is gone", || !crate::support::alive(pid.as_raw()));
    assert!(test.record("a").is_some(), "the record of a killed owner stays");
    assert_eq!(port(&test), None);
}

#[test]
fn data_that_did_not_arrive_is_said_to_be_lost() {
    let test = Test::new().config("[instances.a]\n");
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = test.command(helper()).arg("env").stdout(full).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("the standard output cannot be written [nixbox::io]"), "{said}");
}
