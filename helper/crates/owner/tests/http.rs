//! The HTTP surface: open where it says so, closed everywhere else.

#![allow(clippy::unwrap_used)]
mod common;

use std::collections::{BTreeSet, VecDeque};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use common::{HeldUp, Patience, SOON, Test, get, http};
use nix::sys::signal::Signal;
use nixbox_control::{FilesRequest, Request, Response, decode, encode, frame_header, write_frame};
use serde_json::Value;

const HERE: &str = "Host: localhost\r\n";

fn serving() -> (Test, common::Owner, u16) {
    let test = Test::with("mount.backend = \"none\"\nhttp.port = 0");
    let owner = test.ready();
    let port = test.status().http.unwrap().address.port();
    (test, owner, port)
}

#[test]
fn health_is_open_and_all_else_needs_the_token() {
    let (test, owner, port) = serving();
    let (code, answer) = get(port, "/healthz", HERE);
    assert_eq!(code, 200);
    assert!(answer.ends_with("{\"status\":\"ready\"}\n"), "{answer}");

    let path = test.path("run/sandbox.token");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let token = fs::read_to_string(&path).unwrap().trim().to_owned();
    let with = |token: &str| get(port, "/anything", &format!("{HERE}Authorization: Bearer {token}\r\n")).0;
    assert_eq!(get(port, "/anything", HERE).0, 401);
    assert_eq!(get(port, "/", HERE).0, 401);
    assert_eq!(with("wrong"), 401);
    assert_eq!(with(&token[1..]), 401);
    assert_eq!(with(&token), 404);
    assert!(!answer.contains(&token));
    owner.stop();
    test.assert_nothing_left();
}

#[test]
fn other_names_and_origins_are_turned_away_also_from_health() {
    let (_test, owner, port) = serving();
    for host in ["Host: evil.example\r\n", "Host: localhost.evil.example\r\n", ""] {
        assert_ne!(get(port, "/healthz", host).0, 200, "{host:?}");
    }
    assert_eq!(get(port, "/healthz", "Host: evil.example\r\n").0, 403);
    for host in [format!("Host: 127.0.0.1:{port}\r\n"), "Host: [::1]\r\n".into()] {
        assert_eq!(get(port, "/healthz", &host).0, 200, "{host:?}");
    }
    assert_eq!(get(port, "/healthz", &format!("{HERE}Origin: https://evil.example\r\n")).0, 403);
    assert_eq!(get(port, "/healthz", &format!("{HERE}Origin: null\r\n")).0, 403);
    assert_eq!(get(port, "/healthz", &format!("{HERE}Origin: http://localhost:3000\r\n")).0, 200);
    owner.stop();
}

/// A connection on which the test speaks word by word.
fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream
}

fn token(test: &Test) -> String {
    let token = fs::read_to_string(test.path("run/sandbox.token")).unwrap();
    format!("{HERE}Authorization: Bearer {}\r\n", token.trim())
}

fn json(answer: &str) -> Value {
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[test]
fn clients_that_hold_every_place_keep_nobody_out() {
    let (_test, owner, port) = serving();
    // More than there are places, of every kind: silent, in the middle of a head, in the middle of a body.
    let holding: Vec<_> = (0..100)
        .map(|number| {
            let mut stream = connect(port);
            let begun = ["", "GET /healthz HTTP/1.1\r\nHost: lo", "POST /mcp HTTP/1.1\r\nContent-Length: 9\r\n\r\n12"];
            stream.write_all(begun[number % 3].as_bytes()).unwrap();
            stream
        })
        .collect();
    for _ in 0..5 {
        let watch = HeldUp::watch();
        assert_eq!(get(port, "/healthz", HERE).0, 200);
        watch.assert_within(Duration::from_secs(2), "one more");
    }
    drop(holding);
    owner.stop();
}

#[test]
fn a_head_that_drips_is_cut_off_and_one_that_is_too_long_refused() {
    let (_test, owner, port) = serving();
    let mut slow = connect(port);
    slow.write_all(format!("GET /healthz HTTP/1.1\r\n{HERE}").as_bytes()).unwrap();
    let (watch, mut patience) = (HeldUp::watch(), Patience::new());
    while slow.write_all(b"X: y\r\n").is_ok() {
        assert!(!patience.is_over(), "it may drip for ever");
        std::thread::sleep(Duration::from_millis(300));
    }
    watch.assert_within(Duration::from_secs(10), "what drips");
    for (long, count) in [("x".repeat(17_000), 1), ("x".into(), 100)] {
        let headers: String = (0..count).map(|number| format!("X-{number}: {long}\r\n")).collect();
        let (code, _) = http(port, &format!("GET /healthz HTTP/1.1\r\nConnection: close\r\n{HERE}{headers}\r\n"));
        assert_eq!(code, 431);
    }
    owner.stop();
}

#[test]
fn bad_http_is_refused_and_good_http_may_be_hurried() {
    let (_test, owner, port) = serving();
    assert_eq!(http(port, "nonsense\r\n\r\n").0, 400);
    assert_eq!(
        http(port, &format!("GET /healthz HTTP/1.1\r\n{HERE}Content-Length: 1\r\nContent-Length: 2\r\n\r\n")).0,
        400
    );
    assert_eq!(get(port, "/healthz", "Host: localhost\r\nHost: evil.example\r\n").0, 403);
    assert_eq!(
        http(port, &format!("GET http://evil.example/healthz HTTP/1.1\r\nConnection: close\r\n{HERE}\r\n")).0,
        403
    );
    // One after the other is answered one after the other.
    let mut hurried = connect(port);
    let one = format!("GET /healthz HTTP/1.1\r\n{HERE}\r\n");
    let last = format!("GET /none HTTP/1.1\r\nConnection: close\r\n{HERE}\r\n");
    hurried.write_all(format!("{one}{one}{last}").as_bytes()).unwrap();
    let mut answers = String::new();
    hurried.read_to_string(&mut answers).unwrap();
    let codes: Vec<_> = answers.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(codes, ["200", "200", "401"]);
    owner.stop();
}

#[test]
fn a_stranger_learns_nothing_of_what_is_there() {
    let (test, owner, port) = serving();
    let answers = ["/metrics", "/v1/status", "/v1/events", "/mcp", "/none", "/"].map(|path| {
        let (code, answer) = get(port, path, HERE);
        let without_date: Vec<_> =
            answer.lines().filter(|line| !line.starts_with("date:")).map(str::to_owned).collect();
        (code, without_date)
    });
    assert_eq!(answers[0].0, 401);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    let good = fs::read_to_string(test.path("run/sandbox.token")).unwrap().trim().to_owned();
    let wrong = format!("{}{}", &good[..63], if good.ends_with('0') { '1' } else { '0' });
    for authorization in
        ["Bearer", "Bearer ", "Basic dTpw", &good, &format!("Bearer {wrong}"), &format!("Bearer {good}0")]
    {
        let headers = format!("{HERE}Authorization: {authorization}\r\n");
        assert_eq!(get(port, "/v1/status", &headers).0, 401, "{authorization}");
    }
    let twice = format!("{HERE}Authorization: Bearer {good}\r\nAuthorization: Bearer {good}\r\n");
    assert_eq!(get(port, "/v1/status", &twice).0, 401);
    assert_eq!(get(port, "/none", &token(&test)).0, 404);
    assert_eq!(http(port, &format!("DELETE /v1/status HTTP/1.1\r\nConnection: close\r\n{}\r\n", token(&test))).0, 405);
    owner.stop();
}

#[test]
fn an_address_for_others_has_to_be_asked_for_and_is_called_by_its_names() {
    let test = Test::with("mount.backend = \"none\"\nhttp.bind = \"0.0.0.0\"");
    test.start().end().assert_failed(2, "nixbox::config::exposed");
    test.config(
        "mount.backend = \"none\"\nhttp = { bind = \"0.0.0.0\", expose = true, hosts = [\"box.example.org\"] }",
    );
    let owner = test.ready();
    let port = test.status().http.unwrap().address.port();
    for (host, code) in [("box.example.org", 200), ("127.0.0.1:1", 200), ("evil.example", 403), ("192.0.2.1", 403)] {
        assert_eq!(get(port, "/healthz", &format!("Host: {host}\r\n")).0, code, "{host}");
    }
    assert_eq!(get(port, "/v1/status", "Host: box.example.org\r\n").0, 401);
    owner.stop();
}

#[test]
fn the_status_is_what_the_owner_knows() {
    let (test, owner, port) = serving();
    let (code, answer) = get(port, "/v1/status", &token(&test));
    let status = json(&answer);
    assert_eq!((code, &status["instance"], &status["state"]), (200, &"sandbox".into(), &"ready".into()));
    assert_eq!((status["pid"].as_i64(), &status["ready"]), (Some(i64::from(owner.pid())), &true.into()));
    assert_eq!(status["url"], format!("http://127.0.0.1:{port}"));
    assert!(status["database_bytes"].as_u64().is_some_and(|bytes| bytes > 0));
    assert!(status["mcp_tools"].as_array().is_some_and(|tools| tools.contains(&"read_file".into())));
    owner.stop();
}

/// The value of the line that begins so.
fn metric(text: &str, name: &str) -> f64 {
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name} in {text}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn what_is_done_is_counted_and_every_name_is_documented() {
    let (test, owner, port) = serving();
    let scrape = || {
        let (code, answer) = get(port, "/metrics", &token(&test));
        assert_eq!(code, 200);
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    };
    let before = scrape();
    assert_eq!(metric(&before, "nixbox_written_bytes_total"), 0.0);
    write_file(&test, "/f", b"12345");
    let after = scrape();
    assert_eq!(metric(&after, "nixbox_written_bytes_total{instance=\"sandbox\"}"), 5.0);
    assert_eq!(metric(&after, "nixbox_tool_calls_total{instance=\"sandbox\",outcome=\"success\"}"), 1.0);
    assert_eq!(metric(&after, "nixbox_requests_total{instance=\"sandbox\",kind=\"files\"}"), 1.0);
    assert_eq!(metric(&after, "nixbox_open_files"), 0.0);
    assert!(metric(&after, "nixbox_sync_seconds_count") > metric(&before, "nixbox_sync_seconds_count"));
    let http = "nixbox_http_requests_total{instance=\"sandbox\",route=\"/metrics\",code=\"200\"}";
    assert_eq!((metric(&after, http), metric(&after, "nixbox_http_connections")), (1.0, 1.0));
    assert!(metric(&after, "nixbox_database_size_bytes") > 0.0 && metric(&after, "nixbox_uptime_seconds") > 0.0);
    assert!(after.ends_with("# EOF\n"));

    let told: BTreeSet<_> = after.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    let page = include_str!("../../../../docs/reference/metrics.md");
    let row = |line: &str| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        Some(format!("{} {}", cells.next()?.trim_end_matches('`'), cells.next()?))
    };
    // Those of an instance that is synced stand after the others.
    let (page, _) = page.split_once("Of an instance with").unwrap();
    let documented: BTreeSet<_> = page.lines().filter_map(row).collect();
    assert_eq!(documented.iter().map(String::as_str).collect::<BTreeSet<_>>(), told);
    owner.stop();
}

fn write_file(test: &Test, path: &str, content: &[u8]) {
    let mut stream = BufReader::new(UnixStream::connect(test.socket()).unwrap());
    let request = Request::Files(FilesRequest::Write { path: path.into(), append: false });
    stream.get_mut().write_all(&encode(&request)).unwrap();
    let answer = |stream: &mut BufReader<UnixStream>| {
        let mut line = Vec::new();
        stream.read_until(b'\n', &mut line).unwrap();
        decode::<Response>(&line).unwrap()
    };
    assert_eq!(answer(&mut stream), Response::Go);
    write_frame(stream.get_mut(), content).unwrap();
    stream.get_mut().write_all(&frame_header(0)).unwrap();
    assert_eq!(answer(&mut stream), Response::Done);
}

/// One that listens to `/v1/events`.
struct Listener {
    stream: BufReader<TcpStream>,
    /// Came before what was waited for: calls and changes have no order among them.
    passed: VecDeque<Told>,
}

struct Told {
    event: String,
    id: Option<i64>,
    data: Value,
}

impl Listener {
    fn at(port: u16, headers: &str) -> Self {
        let mut stream = connect(port);
        stream.write_all(format!("GET /v1/events HTTP/1.1\r\n{headers}\r\n").as_bytes()).unwrap();
        let mut listener = Self { stream: BufReader::new(stream), passed: VecDeque::new() };
        assert!(listener.line().contains(" 200 "));
        while !listener.line().trim().is_empty() {}
        listener
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "the stream has ended");
        line
    }

    /// The next event of that name, with its id and its data.
    fn next(&mut self, name: &str) -> (Option<i64>, Value) {
        let deadline = Instant::now() + SOON;
        let found = match self.passed.iter().position(|told| told.event == name) {
            Some(place) => self.passed.remove(place).unwrap(),
            None => loop {
                let told = self.told(deadline);
                if told.event == name {
                    break told;
                }
                self.passed.push_back(told);
            },
        };
        (found.id, found.data)
    }

    /// Chunk sizes and the comments that keep the connection alive are passed over.
    fn told(&mut self, deadline: Instant) -> Told {
        let mut told = Told { event: String::new(), id: None, data: Value::Null };
        loop {
            assert!(Instant::now() < deadline, "no more is told");
            let line = self.line();
            match line.trim_end().split_once(": ") {
                Some(("event", event)) => told.event = event.into(),
                Some(("data", text)) => told.data = serde_json::from_str(text).unwrap(),
                Some(("id", text)) => told.id = Some(text.parse().unwrap()),
                _ if line == "\n" && !told.event.is_empty() => return told,
                _ => {}
            }
        }
    }
}

#[test]
fn what_happens_is_told_as_it_happens_and_what_was_missed_again() {
    let (test, owner, port) = serving();
    write_file(&test, "/before", b"1");
    let mut listener = Listener::at(port, &token(&test));
    let (id, status) = listener.next("status");
    assert_eq!((id, &status["state"]), (Some(1), &"ready".into()));
    write_file(&test, "/f", b"22");
    let (id, call) = listener.next("call");
    assert_eq!((id, &call["name"], &call["status"]), (Some(2), &"fs.write".into(), &"success".into()));
    assert!(listener.next("changed").1["changes"].as_u64().is_some_and(|changes| changes > 0));
    drop(listener);

    write_file(&test, "/g", b"333");
    let mut again = Listener::at(port, &format!("{}Last-Event-ID: 1\r\n", token(&test)));
    assert_eq!(again.next("status").0, Some(1));
    assert_eq!([again.next("call").0, again.next("call").0], [Some(2), Some(3)]);
    assert_eq!(get(port, "/v1/events", &format!("{}Last-Event-ID: x\r\n", token(&test))).0, 400);

    owner.signal(Signal::SIGTERM);
    assert_eq!(again.next("status").1["state"], "stopping");
    owner.end().assert_clean();
}

#[test]
fn there_is_room_for_so_many_listeners() {
    let (test, owner, port) = serving();
    let metrics = || get(port, "/metrics", &token(&test)).1;
    let listeners: Vec<_> = (0..16).map(|_| Listener::at(port, &token(&test))).collect();
    assert_eq!(metric(&metrics(), "nixbox_http_followers"), 16.0);
    assert_eq!(get(port, "/v1/events", &token(&test)).0, 503);
    assert_eq!(get(port, "/healthz", HERE).0, 200);
    drop(listeners);
    let deadline = Instant::now() + SOON;
    while metric(&metrics(), "nixbox_http_followers") > 0.0 {
        assert!(Instant::now() < deadline, "listeners that have gone still count");
        std::thread::sleep(Duration::from_millis(20));
    }
    owner.stop();
}
