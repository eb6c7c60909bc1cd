//! A remote of one's own, served by the real program behind our proxy, and whoever has or has not its token.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::{HeldUp, PATIENCE, Running, Test, alive, owner, until};
use crate::syncing::common::{free_port, needed};

/// What answers in JSON, and is looked at here.
pub const ANSWERS: [&str; 4] = ["remote backup", "remote ready", "remote restore", "remote status"];

/// A project that serves `team`, with an instance that syncs with it.
struct Host {
    test: Test,
    port: u16,
}

impl Host {
    fn new() -> Option<Self> {
        Self::with(&needed()?.display().to_string(), "")
    }

    fn with(program: &str, more: &str) -> Option<Self> {
        owner();
        let port = free_port();
        let test = Test::new().config(&format!(
            "[remotes.team]\n{more}[remotes.team.serve]\nport = {port}\nprogram = \"{program}\"\nwal_alarm = \"1MiB\"\n\
             [instances.a]\nmount.backend = \"none\"\nsync.remote = \"team\"\n"
        ));
        Some(Self { test, port })
    }

    /// Comes back when it is ready.
    fn serve(&self) -> Running {
        let serving = self.test.spawn("remote serve team");
        until("the remote is ready", || self.test.run("remote ready team").try_code() == Some(0));
        serving
    }

    fn token(&self) -> String {
        std::fs::read_to_string(self.test.path(".agentfs/remotes/team/token")).unwrap().trim().to_owned()
    }

    /// Another project, which knows the address and has the token.
    fn guest(&self) -> Test {
        let guest = Test::new().config(&format!(
            "[remotes.team]\nurl = \"http://127.0.0.1:{}\"\ntoken_file = \"token\"\n\
             [instances.a]\nmount.backend = \"none\"\nsync.remote = \"team\"\n",
            self.port
        ));
        std::fs::write(guest.path("token"), self.token()).unwrap();
        std::fs::set_permissions(guest.path("token"), PermissionsExt::from_mode(0o600)).unwrap();
        guest.run("init").success();
        guest
    }

    fn status(&self) -> Value {
        answer(&self.test, "remote status team")["remotes"][0].clone()
    }

    /// The `tursodb` of whoever serves.
    fn server(&self, serving: &Running) -> i32 {
        let mut found = None;
        until("there is a server", || {
            found = children(serving.pid()).first().copied();
            found.is_some()
        });
        found.unwrap()
    }

    /// Status line and all that follows.
    fn ask(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn sql(&self, token: &str, sql: &str) -> String {
        let body = serde_json::json!({
            "baton": null,
            "requests": [{"type": "execute", "stmt": {"sql": sql, "args": [], "want_rows": true}}],
        })
        .to_string();
        self.ask(&format!(
            "POST /v2/pipeline HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    }
}

fn children(pid: i32) -> Vec<i32> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = threads.map(|thread| std::fs::read_to_string(thread.path().join("children")).unwrap_or_default());
    lists.flat_map(|list| list.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<_>>()).collect()
}

/// As its published schema says.
fn answer(test: &Test, call: &str) -> Value {
    let verb = call.split(' ').take(2).collect::<Vec<_>>().join(" ");
    let schema = test.args(["schema", &verb]).success().json();
    let answer = test.run(&format!("{call} --json")).success().json();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<_> = validator.iter_errors(&answer).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{call}: {errors:?}\n{answer:#}");
    answer
}

fn write(test: &Test, name: &str, content: &str) {
    test.args(["fs", "write", name]).stdin(content).success();
}

#[test]
fn two_projects_meet_at_it_and_it_leaves_nothing() {
    let Some(host) = Host::new() else { return };
    host.test.run("remote ready").stderr("nixbox::remote::not-running").code(3);
    assert_eq!(host.status()["phase"], Value::Null);
    let mut serving = host.serve();
    let token = host.test.path(".agentfs/remotes/team/token");
    assert_eq!(token.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(host.test.path(".agentfs/remotes/team").metadata().unwrap().permissions().mode() & 0o777, 0o700);
    host.test.run("init").success();
    let guest = host.guest();
    write(&host.test, "letter.txt", "from the host");
    host.test.run("sync push").success();
    guest.run("sync pull").success();
    write(&guest, "reply.txt", "from the guest");
    guest.run("sync push").success();
    host.test.run("sync pull").success();
    host.test.run("fs cat reply.txt").stdout("from the guest").success();
    assert_eq!(answer(&host.test, "remote ready team")["ready"], true);
    let status = host.status();
    assert_eq!((&status["phase"], &status["restarts"], &status["alarm"]), (&"ready".into(), &0.into(), &false.into()));
    assert!(status["requests"].as_u64().unwrap() > 0 && status["log_bytes"].as_u64().unwrap() > 0);
    host.test.run("remote serve team").stderr("nixbox::remote::held").code(4);
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let server = host.server(&serving);
        serving.signal(signal);
        assert_eq!(serving.finish().code, Some(0), "{signal}");
        until("its server is gone", || !alive(server));
        assert!(host.test.runtime_files().is_empty() && !host.test.path(".agentfs/remotes/team/serve.lock").exists());
        serving = host.serve();
    }
    host.test.run("sync status").success();
}

#[test]
fn up_serves_what_its_instances_sync_with_and_down_ends_it() {
    let Some(host) = Host::new() else { return };
    host.test.run("up -d").stderr("team.remote: ready").success();
    let pid = host.status()["pid"].as_i64().unwrap() as i32;
    write(&host.test, "x", "1");
    host.test.run("sync push").success();
    host.test.run("up -d").success();
    assert_eq!(host.status()["pid"], pid);
    // It is kept up like anything else, and the instance stays meanwhile.
    let row = || host.test.run("ps --json").success().json()["remotes"][0].clone();
    assert_eq!((&row()["unit"], &row()["state"], &row()["pid"]), (&"team.remote".into(), &"ready".into(), &pid.into()));
    let owner = host.test.pid("a");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    until("it is served again", || row()["state"] == "ready" && row()["restarts"] == 1);
    assert_eq!(host.test.pid("a"), owner);
    write(&host.test, "y", "1");
    host.test.run("sync push").success();
    host.test.run("logs team.remote").success();
    host.test.run("restart team.remote").stderr("team.remote: ready").success();
    let pid = host.status()["pid"].as_i64().unwrap() as i32;
    let down = host.test.run("down").stderr("team.remote: stopped").success();
    let [first, last] = ["a: stopped", "team.remote: stopped"].map(|said| down.stderr.find(said).unwrap());
    assert!(first < last, "{}", down.stderr);
    until("it is reaped", || !alive(pid));
    assert!(!host.test.path("run/team.remote.sock").exists());
    let up = host.test.spawn("up");
    until("it is all there", || host.test.run("ready a").try_code() == Some(0));
    let pid = host.status()["pid"].as_i64().unwrap() as i32;
    host.test.run("sync status").success();
    up.signal(Signal::SIGINT);
    assert_eq!(up.finish().code, Some(0));
    until("it is reaped", || !alive(pid));
    assert!(!host.test.path("run/team.remote.sock").exists());
    // Killed, it takes with it what it has begun.
    let up = host.test.spawn("up");
    until("it is all there", || host.test.run("ready a").try_code() == Some(0));
    let pid = host.status()["pid"].as_i64().unwrap() as i32;
    up.signal(Signal::SIGKILL);
    until("the remote has gone with it", || !alive(pid));
}

#[test]
fn other_process_managers_are_told_of_it() {
    let Some(host) = Host::with("/bin/true", "") else { return };
    let text = host.test.run("render --to process-compose").success().stdout;
    assert!(text.contains("remote serve team") && text.contains("remote ready team --timeout 2"), "{text}");
    assert!(text.contains("depends_on:\n      \"agentfs-remote-team\":"), "{text}");
    let text = host.test.run("render --to systemd").success().stdout;
    assert!(text.contains("# file: agentfs-remote-team.service"), "{text}");
    assert!(text.contains("After=agentfs-remote-team.service"), "{text}");
    let text = host.test.run("render --to procfile").success().stdout;
    assert!(text.starts_with("agentfs-remote-team: exec [HELPER] "), "{text}");
}

#[test]
fn strangers_learn_nothing_change_nothing_and_keep_nobody_out() {
    let Some(host) = Host::new() else { return };
    let _serving = host.serve();
    let token = host.token();
    host.test.run("init").success();
    let body = r#"{"baton":null,"requests":[{"type":"execute","stmt":{"sql":"CREATE TABLE stranger (x)"}}]}"#;
    let post = |head: &str| {
        host.ask(&format!(
            "POST /v2/pipeline HTTP/1.1\r\n{head}Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    };
    let bearer = format!("Authorization: Bearer {token}\r\n");
    for (head, code) in [
        ("Host: 127.0.0.1\r\n".to_owned(), 401),
        ("Host: 127.0.0.1\r\nAuthorization: Bearer wrong\r\n".to_owned(), 401),
        (format!("Host: 127.0.0.1\r\n{bearer}{bearer}"), 401),
        (format!("Host: sync.example.org\r\n{bearer}"), 403),
        (format!("Host: 127.0.0.1\r\nOrigin: https://page.example\r\n{bearer}"), 403),
        (bearer.clone(), 403),
    ] {
        let answer = post(&head);
        assert!(answer.starts_with(&format!("HTTP/1.1 {code} ")), "{head}: {answer}");
        assert!(!answer.to_lowercase().contains("access-control"), "{answer}");
    }
    let preflight =
        "OPTIONS /v2/pipeline HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://127.0.0.1\r\nConnection: close\r\n";
    assert!(host.ask(&format!("{preflight}\r\n")).starts_with("HTTP/1.1 401 "));
    let known = host.ask(&format!("{preflight}{bearer}\r\n"));
    assert!(known.starts_with("HTTP/1.1 405 ") && !known.to_lowercase().contains("access-control"), "{known}");
    assert!(!host.sql(&token, "SELECT name FROM sqlite_master").contains("stranger"));

    // More than there are places for: some say nothing, some never end.
    let mut holding: Vec<_> = (0..100).map(|_| TcpStream::connect(("127.0.0.1", host.port)).unwrap()).collect();
    for (number, stream) in holding.iter_mut().enumerate() {
        if number % 2 == 0 {
            let _ = stream.write_all(b"POST /v2/pipeline HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9999\r\n\r\n{");
        }
    }
    // One who has the token, and sends the rest of a request never.
    let mut dripping = TcpStream::connect(("127.0.0.1", host.port)).unwrap();
    let head = format!("POST /v2/pipeline HTTP/1.1\r\nHost: 127.0.0.1\r\n{bearer}Content-Length: 9999\r\n\r\n{{\"a\":");
    dripping.write_all(head.as_bytes()).unwrap();
    write(&host.test, "x", "1");
    let watch = HeldUp::watch();
    host.test.run("sync push").success();
    watch.assert_within(Duration::from_secs(10), "the push");
}

#[test]
fn what_reaches_beyond_the_database_is_not_passed_on() {
    let Some(host) = Host::new() else { return };
    let _serving = host.serve();
    let (token, target) = (host.token(), host.test.path("stolen.db"));
    assert!(host.sql(&token, "CREATE TABLE t (x)").starts_with("HTTP/1.1 200 "));
    for sql in [
        format!("VACUUM INTO '{}'", target.display()),
        format!("/* */ vacuum into '{}'", target.display()),
        format!("ATTACH '{}' AS other", target.display()),
        "PRAGMA wal_checkpoint(TRUNCATE)".into(),
        "SELECT load_extension('/tmp/x.so')".into(),
        "SELECT \"load_extension\"('/tmp/x.so')".into(),
    ] {
        let answer = host.sql(&token, &sql);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{sql}: {answer}");
    }
    assert!(!target.exists());
    assert!(host.test.path(".agentfs/remotes/team/remote.db-wal").metadata().unwrap().len() > 0);
    // What one leaves open is not in the way of the next.
    assert!(host.sql(&token, "BEGIN IMMEDIATE").contains("\"ok\""));
    assert!(host.sql(&token, "BEGIN IMMEDIATE").contains("\"ok\""));
    let metrics = host.ask(&format!(
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    ));
    assert!(metrics.contains("nixbox_remote_statements_refused_total{remote=\"team\"} 6"), "{metrics}");
    assert!(metrics.contains("nixbox_remote_up{remote=\"team\"} 1"), "{metrics}");
}

#[test]
fn nobody_reaches_its_server_past_the_token() {
    let Some(host) = Host::new() else { return };
    let serving = host.serve();
    let server = host.server(&serving);
    let argv = std::fs::read_to_string(format!("/proc/{server}/cmdline")).unwrap();
    let address = argv.split('\0').find(|word| word.starts_with("127.")).unwrap().to_owned();
    assert_eq!(host.status()["apart"], true, "no network of its own");
    assert!(TcpStream::connect(&address).is_err(), "{address}");
}

#[test]
fn the_token_is_nowhere_but_in_its_file() {
    const CANARY: &str = "canary-5b1e77c0aa41d0";
    let Some(program) = needed() else { return };
    let Some(host) = Host::with(&program.display().to_string(), "token_file = \"token\"\n") else { return };
    let path = host.test.path("token");
    std::fs::write(&path, "short").unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    host.test.run("remote serve team").stderr("nixbox::sync::token").stderr("16").code(7);
    std::fs::write(&path, CANARY).unwrap();
    let mut command = host.test.command(crate::support::helper());
    command.args(["--log-level", "trace", "remote", "serve", "team"]).env("TURSO_DB_AUTH_TOKEN", CANARY);
    let mut child = command.stderr(std::fs::File::create(host.test.path("log")).unwrap()).spawn().unwrap();
    until("the remote is ready", || host.test.run("remote ready team").try_code() == Some(0));
    host.test.run("init").success();
    write(&host.test, "x", "1");
    host.test.run("sync push").success();
    assert!(host.sql(CANARY, "SELECT 1").starts_with("HTTP/1.1 200 ") && host.sql("w", "VACUUM").contains(" 401 "));
    let mut said =
        host.test.run("remote status --json").success().stdout + &host.test.run("config show").success().stdout;
    for pid in [vec![child.id() as i32], children(child.id() as i32)].concat() {
        for file in ["cmdline", "environ"] {
            said += &String::from_utf8_lossy(&std::fs::read(format!("/proc/{pid}/{file}")).unwrap());
        }
    }
    for folder in [".agentfs/remotes/team", "run"] {
        for entry in std::fs::read_dir(host.test.path(folder)).unwrap().flatten().filter(|entry| entry.path().is_file())
        {
            said += &String::from_utf8_lossy(&std::fs::read(entry.path()).unwrap());
        }
    }
    said += &std::fs::read_to_string(host.test.path("log")).unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id() as i32), Signal::SIGTERM).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(!said.contains(CANARY), "{said}");
}

#[test]
fn what_was_pushed_outlives_kills_of_either_program() {
    let Some(host) = Host::new() else { return };
    let mut serving = host.serve();
    host.test.run("init").success();
    let guest = host.guest();
    let rounds = 12;
    for round in 0..rounds {
        write(&guest, &format!("file-{round}"), &format!("{round}").repeat(200_000));
        std::thread::scope(|scope| {
            let pushing = scope.spawn(|| guest.run("sync push").try_code());
            std::thread::sleep(Duration::from_millis(20 + 23 * round));
            let server = host.server(&serving);
            if round % 2 == 0 {
                nix::sys::signal::kill(nix::unistd::Pid::from_raw(server), Signal::SIGKILL).unwrap();
            } else {
                serving.signal(Signal::SIGKILL);
                until("its server has gone with it", || !alive(server));
            }
            pushing.join().unwrap();
        });
        if round % 2 == 1 {
            drop(serving);
            serving = host.serve();
        }
        until("it answers again", || host.test.run("remote ready team").try_code() == Some(0));
        // A lease that a broken-off push has left is its own.
        guest.run("sync push").success();
    }
    host.test.run("sync pull").success();
    for round in 0..rounds {
        let expected = format!("{round}").repeat(200_000);
        host.test.run(&format!("fs cat file-{round}")).stdout(&expected).success();
    }
}

#[test]
fn a_backup_taken_under_pushes_is_one_moment() {
    let Some(host) = Host::new() else { return };
    let serving = host.serve();
    host.test.run("init").success();
    let guest = host.guest();
    let over = AtomicBool::new(false);
    let pushed = std::thread::scope(|scope| {
        let pushing = scope.spawn(|| {
            let mut number = 0;
            while !over.load(Ordering::Relaxed) {
                write(&guest, &format!("file-{number:03}"), &"x".repeat(50_000));
                guest.run("sync push").success();
                number += 1;
            }
            number
        });
        for number in 0..5 {
            std::thread::sleep(Duration::from_millis(300));
            let done = answer(&host.test, &format!("remote backup team --to backup-{number}"));
            assert!(done["log_bytes"].as_u64().unwrap() > 0);
        }
        over.store(true, Ordering::Relaxed);
        pushing.join().unwrap()
    });
    host.test.run("remote backup team --to backup-0").stderr("nixbox::export::exists").code(5);
    host.test.run("remote restore team backup-0").stderr("nixbox::remote::held").code(4);
    serving.signal(Signal::SIGTERM);
    assert_eq!(serving.finish().code, Some(0));
    host.test.run("remote restore team backup-0").stderr("nixbox::remote::exists").code(5);
    host.test.run("remote restore team run").stderr("nixbox::remote::nothing").code(3);
    let mut before = 0;
    for number in 0..5 {
        let from = host.test.path(&format!("backup-{number}"));
        let other = restored(&host, &from);
        let serving = other.serve();
        other.test.run("init").success();
        other.test.run("sync pull").success();
        let listed = other.test.run("fs ls --json").success().json();
        let names: Vec<_> =
            listed["entries"].as_array().unwrap().iter().map(|entry| entry["path"].to_string()).collect();
        let expected = |number: usize| format!("\"file-{number:03}\"");
        assert_eq!(names, (0..names.len()).map(expected).collect::<Vec<_>>());
        assert!(names.len() >= before && names.len() <= pushed, "{} of {pushed}", names.len());
        before = names.len();
        if let Some(name) = names.last() {
            let path = name.trim_matches('"');
            other.test.run(&format!("fs cat {path}")).stdout(&"x".repeat(50_000)).success();
        }
        write(&other.test, "more", "1");
        // Taken between two requests of a push, a backup has the lease of who was at it, which runs out by itself.
        other.test.run("sync push").try_codes(&[0, 4]);
        drop(serving);
    }
    assert!(before > 0);
    let done = answer(&host.test, "remote restore team backup-4 --force");
    let kept = done["kept"].as_str().unwrap().strip_prefix("[DIR]/").unwrap();
    assert!(host.test.path(kept).join("remote.db-wal").is_file());
}

fn restored(host: &Host, from: &Path) -> Host {
    let program = needed().unwrap();
    let other = Host::with(&program.display().to_string(), "").unwrap();
    assert_ne!(other.port, host.port);
    other.test.run(&format!("remote restore team {}", from.display())).success();
    other
}

#[test]
fn what_keeps_it_from_being_served_has_a_name() {
    owner();
    let test = Test::new().config(
        "[remotes.team.serve]\nport = 1\n[remotes.cloud]\nurl = \"https://cloud.example.org\"\n[remotes.off]\nurl = \"https://off.example.org\"\nserve = { enable = false, port = 2 }\n",
    );
    let test = test.env("PATH", "/nonexistent");
    for (call, code, exit) in [
        ("remote serve nobody", "nixbox::remote::unknown", 3),
        ("remote serve cloud", "nixbox::remote::not-served", 3),
        ("remote serve off", "nixbox::remote::not-served", 3),
        ("remote serve team", "nixbox::remote::program", 8),
        ("remote backup team", "nixbox::remote::nothing", 3),
    ] {
        test.run(call).stderr(code).stderr("help: ").code(exit);
    }
    test.run("remote serve team").stderr("@tursodatabase/cli-linux-x64-gnu").stderr("serve.program").code(8);
    let failing = test.path("tursodb");
    std::fs::write(&failing, "#!/bin/sh\necho the disk is on fire\nexit 3\n").unwrap();
    std::fs::set_permissions(&failing, PermissionsExt::from_mode(0o755)).unwrap();
    let host = Host::with(&failing.display().to_string(), "").unwrap();
    host.test.run("remote serve team").stderr("nixbox::remote::ended").stderr("the disk is on fire").code(8);
    let taken = std::net::TcpListener::bind(("127.0.0.1", host.port)).unwrap();
    host.test.run("remote serve team").stderr("nixbox::remote::bind").code(8);
    drop(taken);
    assert!(host.test.runtime_files().is_empty());
}
