//! One request to `tursodb` and its answer: a connection each, no longer open than it takes, since it has one connection
//! for everybody. Blocks; nobody but a thread of its own calls it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use super::spool::Spool;

const CONNECT: Duration = Duration::from_secs(5);
const LONGEST_HEAD: usize = 16 << 10;
const PIECE: usize = 64 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    Pipeline,
    Pull,
}

impl Route {
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Pipeline => "/v2/pipeline",
            Self::Pull => "/pull-updates",
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Pipeline => "application/json",
            Self::Pull => "application/protobuf",
        }
    }
}

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) content_type: String,
    pub(super) body: Spool,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// What was asked may have happened.
    #[error("the server broke off: {0}")]
    Off(io::Error),
    /// It is at it for longer than anything takes.
    #[error("the server did not answer within {} s", .0.as_secs())]
    Stuck(Duration),
    #[error("there is no room for the answer: {0}")]
    NoRoom(io::Error),
    #[error("the server's answer is not understood")]
    Junk,
}

/// `room`: the folder for a large answer. `within`: until the answer begins, and again until it is over.
pub(super) fn exchange(
    server: SocketAddr,
    route: Route,
    body: &mut Spool,
    room: &Path,
    within: Duration,
) -> Result<Answer, Broken> {
    let off = |error: io::Error| match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Broken::Stuck(within),
        _ => Broken::Off(error),
    };
    let mut stream = TcpStream::connect_timeout(&server, CONNECT).map_err(Broken::Off)?;
    stream.set_nodelay(true).map_err(Broken::Off)?;
    stream.set_read_timeout(Some(within)).map_err(Broken::Off)?;
    stream.set_write_timeout(Some(within)).map_err(Broken::Off)?;
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: {server}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        route.path(),
        route.content_type(),
        body.length()
    );
    stream.write_all(head.as_bytes()).map_err(off)?;
    io::copy(&mut body.read().map_err(Broken::Off)?, &mut stream).map_err(off)?;
    let (head, early) = head_of(&mut stream, off)?;
    let head = Head::read(&head).ok_or(Broken::Junk)?;
    let mut answer = Spool::new(room);
    answer.push(&early).map_err(Broken::NoRoom)?;
    let mut buffer = vec![0; PIECE];
    let until = Instant::now() + within;
    while head.length.is_none_or(|length| answer.length() < length) {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => answer.push(&buffer[..length]).map_err(Broken::NoRoom)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(off(error)),
        }
        if Instant::now() >= until {
            return Err(Broken::Stuck(within));
        }
    }
    match head.length {
        Some(length) if answer.length() != length => Err(Broken::Off(io::ErrorKind::UnexpectedEof.into())),
        _ => Ok(Answer { status: head.status, content_type: head.content_type, body: answer }),
    }
}

/// The head, and what came of the body with it.
fn head_of(stream: &mut TcpStream, off: impl Fn(io::Error) -> Broken) -> Result<(Vec<u8>, Vec<u8>), Broken> {
    let (mut bytes, mut buffer) = (Vec::new(), vec![0; PIECE]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Err(Broken::Off(io::ErrorKind::UnexpectedEof.into())),
            Ok(length) => bytes.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(off(error)),
        }
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let early = bytes.split_off(end + 4);
            return Ok((bytes, early));
        }
        if bytes.len() > LONGEST_HEAD {
            return Err(Broken::Junk);
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    content_type: String,
    length: Option<u64>,
}

impl Head {
    fn read(head: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(head).ok()?;
        let mut lines = text.split("\r\n");
        let mut words = lines.next()?.split(' ');
        let status = words.next().filter(|version| version.starts_with("HTTP/1.")).and(words.next())?.parse().ok()?;
        let field = |name: &str| {
            text.split("\r\n")
                .skip(1)
                .filter_map(|line| line.split_once(':'))
                .find_map(|(key, value)| key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned()))
        };
        let length = field("content-length").map(|length| length.parse()).transpose().ok()?;
        let content_type = field("content-type").unwrap_or_else(|| "application/octet-stream".into());
        Some(Self { status, content_type, length })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::net::TcpListener;

    fn served(answer: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            let mut buffer = [0; 4096];
            let mut request = Vec::new();
            while !request.ends_with(b"hello") {
                let length = peer.read(&mut buffer).unwrap();
                request.extend_from_slice(&buffer[..length]);
            }
            peer.write_all(answer).unwrap();
            if answer.is_empty() {
                std::thread::sleep(Duration::from_secs(600));
            }
        });
        address
    }

    fn asked(answer: &'static [u8]) -> Result<Answer, Broken> {
        let folder = tempfile::tempdir().unwrap();
        let mut body = Spool::new(folder.path());
        body.push(b"hello").unwrap();
        // One that says nothing is not waited for, and others are, also on a slow machine.
        let silence = Duration::from_secs(if answer.is_empty() { 1 } else { 90 });
        exchange(served(answer), Route::Pipeline, &mut body, folder.path(), silence)
    }

    #[test]
    fn an_answer_is_whole_or_it_is_none() {
        let mut answer =
            asked(b"HTTP/1.1 500 Oh No\r\ncontent-type: text/plain\r\nContent-Length: 2\r\n\r\nno").unwrap();
        let mut text = String::new();
        answer.body.read().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!((answer.status, answer.content_type.as_str(), text.as_str()), (500, "text/plain", "no"));
        assert!(matches!(asked(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nno"), Err(Broken::Off(_))));
        assert!(matches!(asked(b"HTTP/1.1 200"), Err(Broken::Off(_))));
        assert!(matches!(asked(b"SSH-2.0\r\n\r\n"), Err(Broken::Junk)));
        assert!(matches!(asked(b""), Err(Broken::Stuck(_))));
    }
}
