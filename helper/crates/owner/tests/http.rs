//! The HTTP surface: open where it says so, closed everywhere else.

#![allow(clippy::unwrap_used)]
mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use common::{Test, get, http};

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

#[test]
fn clients_that_say_too_much_or_nothing_do_not_stop_the_others() {
    let (_test, owner, port) = serving();
    let silent: Vec<_> = (0..20).map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap()).collect();
    let long = "x".repeat(600_000);
    let mut talker = TcpStream::connect(("127.0.0.1", port)).unwrap();
    talker.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let _ = talker.write_all(format!("GET /healthz HTTP/1.1\r\n{HERE}X: {long}\r\n\r\n").as_bytes());
    let mut answer = Vec::new();
    let _ = talker.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(http(port, "nonsense\r\n\r\n").0, 400);
    assert_eq!(get(port, "/healthz", HERE).0, 200);
    drop(silent);
    owner.stop();
}
