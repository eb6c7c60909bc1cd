//! Instances that are synced by themselves, on several machines: each a project of its own, with the real server between them.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use nix::sys::signal::Signal;
use nixbox_remote::Lease;
use serde_json::Value;

use super::syncing::answer;
use super::syncing::common::{Server, claim};
use crate::support::{HeldUp, PATIENCE, Test, fuse, helper, owner, until};

/// `sync`: lines of the table, beside the remote.
pub fn project(url: &str, sync: &str, more: &str) -> Test {
    owner();
    let test = Test::new().config(&format!(
        "[remotes.team]\nurl = \"{url}\"\n[instances.a]\n{more}[instances.a.sync]\nremote = \"team\"\n{sync}\n"
    ));
    test.run("init").success();
    test
}

pub const NO_MOUNT: &str = "mount.backend = \"none\"\n";

/// A short lease may run out for a moment where the machine stands still; it comes back by itself.
pub fn write(test: &Test, path: &str, content: &str) {
    let written = || test.args(["fs", "write", path]).stdin(content).try_codes(&[0, 7]).code == Some(0);
    until("it is written", written);
}

pub fn has(test: &Test, path: &str) -> bool {
    test.args(["fs", "cat", path]).try_code() == Some(0)
}

/// As its published schema says.
pub fn state(test: &Test) -> Value {
    let schema = test.run("schema sync status").success().json();
    let answer = test.run("sync status --json").try_codes(&[0, 8]).json();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<_> = validator.iter_errors(&answer).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}\n{answer:#}");
    answer["state"].clone()
}

pub fn is_writable(test: &Test) -> bool {
    state(test)["writable"] == true
}

fn signal(test: &Test, signal: Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(test.pid("a")), signal).unwrap();
}

#[test]
fn one_writes_and_the_others_follow_or_are_told_who_it_is() {
    let Some(server) = Server::start() else { return };
    let ada = project(&server.url(), "mode = \"real-time\"\ndebounce = \"50ms\"", &format!("{NO_MOUNT}http = {{}}\n"));
    let bob = project(&server.url(), "mode = \"periodic\"\ninterval = \"1s\"", NO_MOUNT);
    let mounts = fuse();
    let how = if mounts { "mount.path = \"mnt\"\n" } else { NO_MOUNT };
    let eve = project(&server.url(), "mode = \"follow\"\ninterval = \"1s\"", how);
    ada.run("up -d").success();
    assert_eq!((&state(&ada)["writable"], state(&ada)["fence"].is_i64()), (&true.into(), true));
    // By whichever verb.
    bob.run("serve a").stderr("nixbox::sync::lease").stderr("(a) on ").code(4);
    bob.run("up -d").stderr("nixbox::sync::lease").stderr("(a) on ").code(4);
    eve.run("up -d").success();
    write(&ada, "letter", "from ada");
    until("what ada wrote is at eve's", || has(&eve, "letter"));
    eve.args(["fs", "write", "mine"]).stdin("0").stderr("nixbox::sync::read-only").stderr("it follows `team`").code(7);
    eve.run("kv set mine 1").stderr("nixbox::sync::read-only").code(7);
    eve.run("sync push").stderr("nixbox::sync::read-only").code(7);
    eve.run("sync take").stderr("nixbox::sync::lease").stderr("(a) on ").code(4);
    if mounts {
        assert_eq!(std::fs::read_to_string(eve.path("mnt/letter")).unwrap(), "from ada");
        for refused in [
            std::fs::write(eve.path("mnt/letter"), "no"),
            std::fs::write(eve.path("mnt/new"), "no"),
            std::fs::remove_file(eve.path("mnt/letter")),
            std::fs::create_dir(eve.path("mnt/folder")),
            std::fs::rename(eve.path("mnt/letter"), eve.path("mnt/other")),
        ] {
            assert_eq!(refused.unwrap_err().raw_os_error(), Some(nix::libc::EROFS));
        }
        write(&ada, "letter", "from ada, again");
        until("the mount shows what came", || {
            std::fs::read_to_string(eve.path("mnt/letter")).unwrap() == "from ada, again"
        });
    }
    let text = metrics(&ada);
    for line in ["lease_held{instance=\"a\"} 1", "writable{instance=\"a\"} 1", "pending_changes{instance=\"a\"} 0"] {
        assert!(text.contains(&format!("nixbox_sync_{line}\n")), "no {line} in {text}");
    }
    let told: BTreeSet<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE nixbox_sync_")).collect();
    let (_, page) =
        include_str!("../../../../../docs/reference/metrics.md").split_once("Of an instance with [`sync`]").unwrap();
    let row = |line: &str| {
        let mut cells = line.strip_prefix("| `nixbox_sync_")?.split(" | ");
        Some(format!("{} {}", cells.next()?.trim_end_matches('`'), cells.next()?))
    };
    let mut documented: BTreeSet<_> = page.lines().filter_map(row).collect();
    // Of every instance: how long the disk took.
    documented.insert("seconds histogram".into());
    assert_eq!(documented.iter().map(String::as_str).collect::<BTreeSet<_>>(), told);
    // Handed over: nothing is lost on the way, and the first one follows from then on.
    write(&ada, "last", "before it goes");
    let released = answer(&ada, "sync release");
    assert_eq!((&released["writable"], &released["pending"]), (&false.into(), &0.into()));
    ada.args(["fs", "write", "x"]).stdin("0").stderr("was given back").code(7);
    let taken = answer(&eve, "sync take");
    assert_eq!(taken["writable"], true);
    assert_eq!(eve.run("fs cat last").success().stdout, "before it goes");
    write(&eve, "reply", "from eve");
    until("what eve wrote is at ada's", || {
        ada.run("sync pull").success();
        has(&ada, "reply")
    });
    ada.run("sync take").stderr("nixbox::sync::lease").code(4);
    ada.run("sync take --force").success();
    // Whoever has lost it so does not know yet; the remote does.
    write(&eve, "unpushed", "kept");
    eve.run("sync push").try_codes(&[4, 7]);
    eve.args(["fs", "write", "more"]).stdin("0").stderr("nixbox::sync::read-only").stderr("is held by").code(7);
    assert_eq!(eve.run("fs cat unpushed").success().stdout, "kept");
}

fn metrics(test: &Test) -> String {
    let address = test.record("a").unwrap()["http"]["address"].as_str().unwrap().to_owned();
    let token = std::fs::read_to_string(test.path("run/a.token")).unwrap();
    let mut stream = TcpStream::connect(&address).unwrap();
    let head = format!("host: {address}\r\nconnection: close\r\nauthorization: Bearer {}", token.trim());
    write!(stream, "GET /metrics HTTP/1.1\r\n{head}\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn who_slept_past_the_lease_writes_nothing_and_keeps_what_it_has() {
    let Some(server) = Server::start() else { return };
    let writes = "mode = \"real-time\"\ndebounce = \"1h\"\nlease = \"2s\"";
    let ada = project(&server.url(), writes, NO_MOUNT);
    let bob = project(&server.url(), writes, NO_MOUNT);
    ada.run("up -d").success();
    write(&ada, "kept", "not pushed yet");
    signal(&ada, Signal::SIGSTOP);
    until("bob has the lease", || bob.run("up -d").try_code() == Some(0));
    write(&bob, "bobs", "1");
    bob.run("sync push").success();
    signal(&ada, Signal::SIGCONT);
    // The very first change that comes then is refused.
    ada.args(["fs", "write", "late"]).stdin("0").stderr("nixbox::sync::read-only").code(7);
    until("ada knows who has it", || ada.run("sync status").success().stderr.contains("is held by"));
    ada.run("sync status").stderr("nixbox-helper sync take").success();
    ada.run("sync push").code(7);
    assert_eq!(ada.run("fs cat kept").success().stdout, "not pushed yet");
    ada.run("sync take").stderr("nixbox::sync::lease").code(4);
    // What it has is not at bob's, and bob's is there all the same.
    assert!(!has(&bob, "kept"));
    ada.run("sync take --force").success();
    ada.run("sync push").success();
    assert_eq!(ada.run("fs cat bobs").success().stdout, "1");
    bob.run("sync pull").success();
    assert_eq!(bob.run("fs cat kept").success().stdout, "not pushed yet");
}

#[test]
fn without_the_remote_only_who_wrote_there_last_goes_on() {
    let Some(mut server) = Server::start() else { return };
    let allowed = "mode = \"real-time\"\ndebounce = \"20ms\"\noffline = \"allow\"\nlease = \"2s\"";
    let ada = project(&server.url(), allowed, NO_MOUNT);
    let bob = project(&server.url(), allowed, NO_MOUNT);
    let strict = project(&server.url(), "mode = \"follow\"", NO_MOUNT);
    ada.run("up -d").success();
    write(&ada, "x", "0");
    ada.run("down").success();
    server.kill();
    strict.run("up -d").stderr("nixbox::sync::unreachable").code(8);
    bob.run("up -d").success();
    bob.args(["fs", "write", "y"]).stdin("0").stderr("nixbox::sync::read-only").stderr("who wrote there last").code(7);
    bob.run("down").success();
    ada.run("up -d").success();
    write(&ada, "x", "written on the way");
    let status = ada.run("sync status --json").code(8).json();
    assert_eq!(
        (&status["state"]["writable"], &status["state"]["last_failure"]["code"]),
        (&true.into(), &"nixbox::sync::unreachable".into())
    );
    // Nothing is lost when it goes before the remote comes back: that is said, and pushed by the next one.
    ada.run("down").success();
    ada.run("up -d").success();
    server.again();
    until("it is pushed by itself", || {
        ada.run("sync status --json").try_codes(&[0, 8]).json()["to_push"] == Value::Array(vec![])
            && state(&ada)["fence"].is_i64()
    });
    assert!(has(&ada, "x"));
    ada.run("down").success();
    bob.run("up -d").success();
    assert_eq!(bob.run("fs cat x").success().stdout, "written on the way");
    write(&bob, "y", "1");
}

#[test]
fn what_is_not_pushed_when_it_stops_is_pushed_then_or_kept_and_told() {
    let Some(mut server) = Server::start() else { return };
    let ada = project(&server.url(), "mode = \"real-time\"\ndebounce = \"1h\"", NO_MOUNT);
    let bob = project(&server.url(), "pull_on_start = true", NO_MOUNT);
    ada.run("up -d").success();
    write(&ada, "x", "in the last second");
    ada.run("down").success();
    bob.run("up -d").success();
    assert_eq!(bob.run("fs cat x").success().stdout, "in the last second");
    let served = ada.spawn("serve a");
    until("it is ready", || ada.record("a").is_some_and(|record| record["phase"]["state"] == "ready"));
    write(&ada, "y", "too late");
    server.kill();
    let watch = HeldUp::watch();
    served.signal(Signal::SIGTERM);
    let done = served.finish();
    watch.assert_within(Duration::from_secs(4), "the end");
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(done.stderr.contains("not pushed, and kept"), "{}", done.stderr);
    server.again();
    assert_eq!(ada.run("fs cat y").success().stdout, "too late");
    ada.run("up -d").success();
    until("the next start has pushed it", || {
        bob.run("sync pull").success();
        has(&bob, "y")
    });
}

#[test]
fn a_conflict_stops_what_goes_by_itself_until_it_is_settled() {
    let Some(server) = Server::start() else { return };
    let ada = project(&server.url(), "mode = \"real-time\"\ndebounce = \"20ms\"\nlease = \"2s\"", NO_MOUNT);
    let bob = project(&server.url(), "", NO_MOUNT);
    write(&bob, "x", "0");
    bob.run("sync push").success();
    ada.run("up -d").success();
    // Somebody who holds no lease of ours writes there: bob's turn comes when ada is paused.
    signal(&ada, Signal::SIGSTOP);
    write(&bob, "x", "from bob");
    until("bob has pushed", || bob.run("sync push").try_code() == Some(0));
    signal(&ada, Signal::SIGCONT);
    until("ada may write again", || is_writable(&ada) || ada.run("sync take").try_codes(&[0, 4, 5]).code == Some(0));
    ada.run("down").success();
    write(&bob, "x", "from bob, once more");
    bob.run("sync push").success();
    // Changed here before what is there has come.
    std::fs::write(
        ada.path("nixbox.toml"),
        std::fs::read_to_string(ada.path("nixbox.toml"))
            .unwrap()
            .replace("mode = \"real-time\"\ndebounce = \"20ms\"\n", ""),
    )
    .unwrap();
    write(&ada, "x", "from ada");
    ada.run("sync push").stderr("nixbox::sync::conflict").code(5);
    let text = std::fs::read_to_string(ada.path("nixbox.toml")).unwrap();
    std::fs::write(ada.path("nixbox.toml"), format!("{text}mode = \"real-time\"\ndebounce = \"20ms\"\n")).unwrap();
    // It comes up, so that it can be looked at, and is read-only: what the remote has is not here.
    ada.run("up -d").success();
    let now = state(&ada);
    assert_eq!((&now["writable"], &now["in_conflict"]), (&false.into(), &1.into()));
    assert_eq!(now["last_failure"]["code"], "nixbox::sync::conflict");
    ada.args(["fs", "write", "y"]).stdin("0").stderr("nixbox::sync::read-only").code(7);
    ada.run("sync resolve x --ours").success();
    until("it goes on by itself", || is_writable(&ada));
    until("and is pushed", || {
        bob.run("sync pull").success();
        bob.run("fs cat x").success().stdout == "from ada"
    });
}

#[test]
fn a_manual_one_keeps_what_it_has_taken() {
    let Some(server) = Server::start() else { return };
    let ada = project(&server.url(), "", NO_MOUNT);
    ada.run("sync take").stderr("nixbox::owner::not-running").code(3);
    ada.run("sync release").stderr("nixbox::sync::not-held").code(3);
    ada.run("up -d").success();
    ada.run("sync take").success();
    let other = claim("other", Duration::from_secs(60));
    let Lease::Theirs(standing) = other.take(&server.remote(), false).unwrap() else { panic!("it is free") };
    assert!(standing.who.ends_with("(a)"), "{standing}");
    write(&ada, "x", "0");
    ada.run("sync push").success();
    assert!(state(&ada)["fence"].is_i64());
    ada.run("sync release").success();
    write(&ada, "x", "1");
    let Lease::Ours(_) = other.take(&server.remote(), false).unwrap() else { panic!("it is held") };
    ada.run("sync push").stderr("nixbox::sync::lease").code(4);
}

#[test]
fn how_it_stands_is_told_as_it_changes() {
    let Some(server) = Server::start() else { return };
    let ada = project(&server.url(), "mode = \"real-time\"\ndebounce = \"20ms\"", NO_MOUNT);
    ada.run("sync status --watch").stderr("nixbox::owner::not-running").code(3);
    ada.run("up -d").success();
    let (mut watch, lines) = watching(&ada);
    let next = || lines.recv_timeout(PATIENCE).unwrap();
    let first = next();
    assert_eq!((&first["mode"], &first["writable"]), (&"real-time".into(), &true.into()));
    write(&ada, "x", "0");
    while next()["last_success"]["pushed"] != 1 {}
    ada.run("down").success();
    let ended = watch.wait().unwrap();
    assert!(ended.code().is_some(), "{ended:?}");
}

fn watching(test: &Test) -> (Child, Receiver<Value>) {
    let mut command: Command = test.command(helper());
    command.args(["sync", "status", "--watch", "--json"]).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (tell, told) = channel();
    let out = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || {
        for line in out.lines() {
            let _ = tell.send(serde_json::from_str(&line.unwrap()).unwrap());
        }
    });
    (child, told)
}

#[test]
fn of_fifty_that_start_at_once_one_writes() {
    let Some(server) = Server::start() else { return };
    let all: Vec<_> =
        (0..50).map(|_| project(&server.url(), "mode = \"periodic\"\ninterval = \"1h\"", NO_MOUNT)).collect();
    let running: Vec<_> = all.iter().map(|test| test.spawn("serve a")).collect();
    // Kept until all others have tried.
    let mut winners = Vec::new();
    for (test, mut owner) in all.iter().zip(running) {
        let mut is_ready = false;
        until("it has lost, or won", || {
            is_ready = test.record("a").is_some_and(|record| record["phase"]["state"] == "ready");
            is_ready || !owner.is_running()
        });
        if is_ready {
            winners.push(owner);
            continue;
        }
        let done = owner.finish();
        assert_eq!(done.code, Some(4), "{}", done.stderr);
        assert!(done.stderr.contains("nixbox::sync::lease") && done.stderr.contains("(a) on "), "{}", done.stderr);
    }
    assert_eq!(winners.len(), 1);
}
