//! Requests on the database, as the control protocol has them: over the socket of an owner that serves, and over the
//! standard input of one that answers a single request.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};
use std::time::Duration;

use common::{HeldUp, SOON, Test};
use nixbox_control::{
    BROKEN_OFF, FilesRequest, Frame, KvRequest, MAX_FRAME, Request, Response, decode, encode, frame_header, read_frame,
    write_frame,
};

/// One conversation, in the protocol's own words.
struct Peer(BufReader<UnixStream>);

impl Peer {
    fn of(test: &Test) -> Self {
        Self::over(UnixStream::connect(test.socket()).unwrap())
    }

    fn over(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(SOON)).unwrap();
        Self(BufReader::new(stream))
    }

    fn ask(mut self, request: &Request) -> Self {
        self.0.get_mut().write_all(&encode(request)).unwrap();
        self
    }

    fn answer(&mut self) -> Response {
        let mut line = Vec::new();
        self.0.read_until(b'\n', &mut line).unwrap();
        decode(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    fn code(&mut self) -> String {
        match self.answer() {
            Response::Refused(refusal) => refusal.code,
            other => format!("{other:?}"),
        }
    }

    fn body(&mut self) -> Vec<u8> {
        let (mut all, mut buffer) = (Vec::new(), Vec::new());
        while let Frame::Bytes(_) = read_frame(&mut self.0, &mut buffer).unwrap() {
            all.extend_from_slice(&buffer);
        }
        all
    }

    fn send(&mut self, bytes: &[u8]) {
        write_frame(self.0.get_mut(), bytes).unwrap();
    }

    fn end(&mut self) {
        self.0.get_mut().write_all(&frame_header(0)).unwrap();
    }
}

fn write(path: &str) -> Request {
    Request::Files(FilesRequest::Write { path: path.into(), append: false })
}

fn read(path: &str) -> Request {
    Request::Files(FilesRequest::Read { path: path.into(), layer: None })
}

fn alone(test: &Test) -> (Peer, Child) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut command = test.command("request");
    let child = command.stdin(Stdio::from(OwnedFd::from(theirs))).spawn().unwrap();
    // Else the other end would be open in this process too, and never seen to close.
    drop(command);
    (Peer::over(ours), child)
}

fn ended(mut child: Child) -> (Option<i32>, String) {
    let code = child.wait().unwrap().code();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    (code, said)
}

#[test]
fn an_owner_for_one_request_answers_it_and_leaves() {
    let test = Test::with("mount.backend = \"none\"");
    let (peer, child) = alone(&test);
    let mut peer = peer.ask(&read("/f"));
    assert_eq!(peer.code(), "nixbox::database::missing");
    drop(peer);
    assert_eq!(ended(child), (Some(0), String::new()));
    assert!(!test.path("data/sandbox.db").exists());

    assert!(test.command("init").status().unwrap().success());
    let (peer, child) = alone(&test);
    let mut peer = peer.ask(&write("/f"));
    assert_eq!(peer.answer(), Response::Go);
    // It holds the instance meanwhile, and a second one waits for it.
    let (second, later) = alone(&test);
    let mut second = second.ask(&read("/f"));
    peer.send(b"content");
    peer.end();
    assert_eq!(peer.answer(), Response::Done);
    drop(peer);
    assert_eq!(ended(child), (Some(0), String::new()));
    assert_eq!((second.answer(), second.body()), (Response::Body, b"content".to_vec()));
    drop(second);
    assert_eq!(ended(later).0, Some(0));
    test.assert_nothing_left();

    // Not for what only an owner that serves can do.
    for request in [Request::Status, Request::Stop { keep: false }, Request::Subscribe] {
        let (peer, child) = alone(&test);
        let mut peer = peer.ask(&request);
        assert_eq!(peer.code(), "nixbox::owner::not-running");
        drop(peer);
        ended(child);
    }
    let no_socket = test.command("request").output().unwrap();
    assert_eq!(no_socket.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&no_socket.stderr).contains("not a socket"));
}

#[test]
fn beside_an_owner_that_serves_it_says_who_that_is() {
    let test = Test::with("mount.backend = \"none\"");
    let owner = test.ready();
    let watch = HeldUp::watch();
    let (peer, child) = alone(&test);
    let mut peer = peer.ask(&read("/f"));
    match peer.answer() {
        Response::Refused(refusal) => {
            assert_eq!(refusal.code, "nixbox::owner::held");
            assert!(refusal.message.contains(&format!("pid {}", owner.pid())), "{}", refusal.message);
        }
        other => panic!("{other:?}"),
    }
    // One that has it for a single request is waited for twice as long.
    watch.assert_within(Duration::from_millis(2500), "one that serves");
    drop(peer);
    assert_eq!(ended(child).0, Some(0));
}

#[test]
fn a_peer_that_breaks_the_rules_changes_nothing() {
    let test = Test::with("mount.backend = \"none\"");
    let _owner = test.ready();
    let mut first = Peer::of(&test).ask(&write("/f"));
    assert_eq!(first.answer(), Response::Go);
    first.send(b"kept");
    first.end();
    assert_eq!(first.answer(), Response::Done);

    // A frame that is too long, one that stops in the middle, a body that is given up.
    let long = ((MAX_FRAME + 1) as u32).to_be_bytes().to_vec();
    for broken in [long, vec![0, 0, 0, 9, b'x'], BROKEN_OFF.to_be_bytes().to_vec(), vec![0]] {
        let mut peer = Peer::of(&test).ask(&write("/f"));
        assert_eq!(peer.answer(), Response::Go);
        peer.send(b"half");
        peer.0.get_mut().write_all(&broken).unwrap();
        peer.0.get_mut().shutdown(std::net::Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        let _ = peer.0.read_to_end(&mut rest);
        assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
        let mut peer = Peer::of(&test).ask(&read("/f"));
        assert_eq!((peer.answer(), peer.body()), (Response::Body, b"kept".to_vec()));
    }
    let list = Request::Files(FilesRequest::List { path: "/".into(), recursive: false, layer: None });
    let mut peer = Peer::of(&test).ask(&list);
    assert_eq!(peer.answer(), Response::Body);
    let listed = String::from_utf8(peer.body()).unwrap();
    assert_eq!(listed.lines().count(), 1, "{listed}");
    assert!(listed.contains("\"path\":\"f\""), "{listed}");
}

/// Readers that take nothing and writers that say nothing wait on nobody's account but their own.
#[test]
fn slow_peers_hold_up_nobody() {
    let test = Test::with("mount.backend = \"none\"");
    let owner = test.ready();
    let mut big = Peer::of(&test).ask(&write("/big"));
    assert_eq!(big.answer(), Response::Go);
    for _ in 0..64 {
        big.send(&vec![7; MAX_FRAME]);
    }
    big.end();
    assert_eq!(big.answer(), Response::Done);
    let mut slow = Vec::new();
    for n in 0..40 {
        slow.push(Peer::of(&test).ask(&read("/big")));
        let mut writer = Peer::of(&test).ask(&write(&format!("/w{n}")));
        assert_eq!(writer.answer(), Response::Go);
        writer.send(b"some");
        slow.push(writer);
    }
    for n in 0..50 {
        let mut peer = Peer::of(&test).ask(&Request::Kv(KvRequest::Set { key: format!("k{n}") }));
        assert_eq!(peer.answer(), Response::Go);
        peer.send(b"1");
        peer.end();
        assert_eq!(peer.answer(), Response::Done);
    }
    // One of the slow readers goes on after all, and gets the whole.
    assert_eq!(slow[0].answer(), Response::Body);
    assert_eq!(slow[0].body().len(), 64 * MAX_FRAME);
    // And the owner ends in time, whatever they do.
    owner.stop();
    test.assert_nothing_left();
    let (peer, child) = alone(&test);
    let mut peer = peer.ask(&Request::Files(FilesRequest::List { path: "/".into(), recursive: false, layer: None }));
    assert_eq!(peer.answer(), Response::Body);
    assert_eq!(String::from_utf8(peer.body()).unwrap().lines().count(), 1);
    drop(peer);
    ended(child);
}
