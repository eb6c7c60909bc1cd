//! An owner in its good days: how it comes up, what it says of itself, how it goes.

#![allow(clippy::unwrap_used)]
mod common;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use common::{Manager, Owner, SOON, Test, can_mount};
use nix::sys::signal::Signal;
use nixbox_control::{Client, Error, Phase, Response, Status, decode};

#[test]
fn ready_is_told_by_event_and_record_and_what_was_written_stays() {
    if !can_mount() {
        return;
    }
    let test = Test::new();
    let owner = test.start();
    let status = test.await_ready();
    assert_eq!((status.pid, status.instance.as_str()), (owner.pid(), "sandbox"));
    assert_eq!(status.database, test.path("data/sandbox.db"));
    assert_eq!(status.mount.as_ref().map(|mount| mount.path.clone()), Some(test.mnt()));
    assert_eq!(test.status(), status);
    let record: Status = serde_json::from_slice(&fs::read(test.path("run/sandbox.json")).unwrap()).unwrap();
    assert_eq!(record, status);
    let mode = |path: &str| fs::metadata(test.path(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("run"), mode("run/sandbox.sock"), mode("run/sandbox.json")), (0o700, 0o600, 0o600));

    fs::write(test.mnt().join("kept"), "content").unwrap();
    owner.stop();
    test.assert_nothing_left();
    let again = test.ready();
    assert_eq!(fs::read_to_string(test.mnt().join("kept")).unwrap(), "content");
    again.stop();
}

#[test]
fn a_process_manager_is_told() {
    if !can_mount() {
        return;
    }
    let test = Test::new();
    let notify = test.path("notify");
    let manager = Manager::listening_at(&notify);
    let owner = Owner::spawn(test.command("serve").env("NOTIFY_SOCKET", &notify));
    assert!(manager.hears().lines().any(|line| line == "READY=1"));
    // It was no empty promise.
    assert!(test.is_mounted() && test.status().is_ready());
    owner.signal(Signal::SIGTERM);
    assert!(manager.hears().lines().any(|line| line == "STOPPING=1"));
    owner.end().assert_clean();
}

#[test]
fn stop_answers_at_once_and_closes_when_nothing_is_left() {
    if !can_mount() {
        return;
    }
    let test = Test::with("mount.path = \"mnt\"\nhttp.port = 0");
    let owner = test.ready();
    let mut watcher = Client::connect(&test.socket()).unwrap().subscribe(Some(SOON)).unwrap();
    assert!(watcher.next(Some(Instant::now() + SOON)).unwrap().is_ready());
    let mut client = Client::connect(&test.socket()).unwrap();
    client.stop(false, Some(SOON)).unwrap();
    client.wait_closed(Some(Instant::now() + SOON)).unwrap();
    test.assert_nothing_left();
    assert_eq!(watcher.next(Some(Instant::now() + SOON)).unwrap().phase, Phase::Stopping);
    assert!(matches!(watcher.next(Some(Instant::now() + SOON)), Err(Error::Closed)));
    owner.end().assert_clean();
}

#[test]
fn a_second_owner_is_refused_and_told_of_the_first() {
    let test = Test::with("mount.backend = \"none\"");
    let first = test.ready();
    let second = test.start().end();
    second.assert_failed(4, "nixbox::owner::held");
    assert!(second.stderr.contains(&format!("pid {}", first.pid())), "{}", second.stderr);
    assert!(second.stderr.contains(" since 20"), "{}", second.stderr);
    assert!(test.status().is_ready(), "the first goes on");
    first.stop();
}

#[test]
fn of_many_started_at_once_one_wins_and_the_others_name_it() {
    let test = Test::with("mount.backend = \"none\"");
    let mut owners: Vec<_> = (0..8).map(|_| test.start()).collect();
    let winner = test.await_ready().pid;
    let place = owners.iter().position(|owner| owner.pid() == winner).unwrap();
    let winner = owners.remove(place);
    for loser in owners {
        let ended = loser.end();
        ended.assert_failed(4, "nixbox::owner::held");
        assert!(ended.stderr.contains(&format!("pid {} since", winner.pid())), "{}", ended.stderr);
    }
    winner.stop();
}

#[test]
fn init_makes_the_database_once_and_disturbs_nobody() {
    let test = Test::with("mount.backend = \"none\"");
    for _ in 0..2 {
        Owner::spawn(&mut test.command("init")).end().assert_clean();
    }
    assert!(test.path("data/sandbox.db").exists());
    let owner = test.ready();
    Owner::spawn(&mut test.command("init")).end().assert_clean();
    owner.stop();
    // Both at once: neither may fail for the other's sake.
    for _ in 0..5 {
        let inits: Vec<_> = (0..3).map(|_| Owner::spawn(&mut test.command("init"))).collect();
        let owner = test.ready();
        inits.into_iter().for_each(|init| init.end().assert_clean());
        owner.stop();
    }
}

#[test]
fn peers_that_misbehave_cost_only_themselves() {
    let test = Test::with("mount.backend = \"none\"");
    let owner = test.ready();
    let silent = UnixStream::connect(test.socket()).unwrap();
    let ask = |line: &[u8]| {
        let mut stream = UnixStream::connect(test.socket()).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let _ = stream.write_all(line);
        let mut answer = Vec::new();
        BufReader::new(stream).read_until(b'\n', &mut answer).unwrap();
        match decode::<Response>(&answer).unwrap() {
            Response::Refused(refusal) => refusal.code,
            other => format!("{other:?}"),
        }
    };
    assert_eq!(ask(b"{\"request\":\"fly\"}\n"), "nixbox::control::unknown-request");
    assert_eq!(ask(b"hello\n"), "nixbox::control::malformed");
    assert_eq!(ask(&[b'x'; 70_000]), "nixbox::control::line-too-long");
    let closed = UnixStream::connect(test.socket()).unwrap();
    drop(closed);
    // Who subscribes and never reads.
    let mut deaf = UnixStream::connect(test.socket()).unwrap();
    deaf.write_all(b"{\"request\":\"subscribe\"}\n").unwrap();
    assert!(test.status().is_ready());
    owner.stop();
    drop((silent, deaf));
    test.assert_nothing_left();
}

#[test]
fn an_owner_rests_while_nothing_happens() {
    if !can_mount() {
        return;
    }
    let test = Test::with("mount.path = \"mnt\"\nhttp.port = 0");
    let owner = test.ready();
    let switches = || {
        let tasks = fs::read_dir(format!("/proc/{}/task", owner.pid())).unwrap();
        let count = |text: String| -> u64 {
            text.lines()
                .filter(|line| line.contains("ctxt_switches"))
                .map(|line| line.split_whitespace().last().unwrap().parse::<u64>().unwrap())
                .sum()
        };
        tasks.map(|task| count(fs::read_to_string(task.unwrap().path().join("status")).unwrap())).sum::<u64>()
    };
    // Threads that were needed for the start end by themselves, and what it has begun may go on for a while.
    let mut last = Vec::new();
    let rests = (0..20).any(|_| {
        std::thread::sleep(Duration::from_secs(1));
        let before = switches();
        std::thread::sleep(Duration::from_secs(2));
        last.push(switches().saturating_sub(before));
        last.last().is_some_and(|count| *count <= 2)
    });
    assert!(rests, "wake-ups in two seconds each: {last:?}");
    let status = fs::read_to_string(format!("/proc/{}/status", owner.pid())).unwrap();
    let rss: u64 = status
        .lines()
        // Pages of the program itself are the kernel's to drop, and an unoptimised one has many.
        .find_map(|line| line.strip_prefix("RssAnon:"))
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!(rss < 8 * 1024, "{rss} KiB");
    owner.stop();
}

#[test]
fn log_lines_can_be_json() {
    let test = Test::with("mount.backend = \"none\"");
    let owner = Owner::spawn(test.command("serve").env("NIXBOX_LOG_FORMAT", "json"));
    test.await_ready();
    owner.signal(Signal::SIGINT);
    let ended = owner.end();
    ended.assert_clean();
    let lines: Vec<serde_json::Value> = ended.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line["message"] == "ready" && line["instance"] == "sandbox"), "{}", ended.stderr);
    let failed =
        Owner::spawn(test.command("serve").env("NIXBOX_LOG_FORMAT", "json").args(["--config", "none.toml"])).end();
    assert_eq!(failed.status.code(), Some(2));
    let error: serde_json::Value = serde_json::from_str(failed.stderr.trim()).unwrap();
    assert_eq!(error["errors"][0]["code"], "nixbox::config::missing");
}
