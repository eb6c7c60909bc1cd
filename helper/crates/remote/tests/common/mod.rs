//! The real sync server, and one of our own between it and whoever asks, which does on purpose what networks do.
#![allow(dead_code, clippy::print_stderr, clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nixbox_remote::{Claim, Deadlines, Endpoint, Remote, Step};

/// Where `tests/setup` puts it, or PATH has it.
pub fn tursodb() -> Option<PathBuf> {
    let tools = std::env::var_os("NIXBOX_TEST_TOOLS").map(PathBuf::from);
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let tools = tools.or_else(|| Some(cache?.join("nixbox-tests")));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(tools.map(|tools| tools.join("bin")));
    folders.map(|folder| folder.join("tursodb")).find(|program| program.is_file())
}

/// None where there is no such program and none is asked for.
pub fn needed() -> Option<PathBuf> {
    let program = tursodb();
    if program.is_none() {
        let all = std::env::var_os("NIXBOX_REQUIRE_ALL").is_some_and(|all| !all.is_empty());
        assert!(!all, "tursodb is not installed (tests/setup)");
        eprintln!("skipped: tursodb is not installed (tests/setup)");
    }
    program
}

/// `tursodb --sync-server` on a database of its own.
pub struct Server {
    child: Child,
    folder: tempfile::TempDir,
    pub port: u16,
}

impl Server {
    pub fn start() -> Option<Self> {
        let program = needed()?;
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let child = spawn(&program, folder.path(), port);
        let server = Self { child, folder, port };
        server.ready();
        Some(server)
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn remote(&self) -> Remote {
        remote(&self.url())
    }

    /// As a machine that loses power.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Its file and its log, as they are now; nobody writes meanwhile.
    pub fn backup(&self) -> tempfile::TempDir {
        let backup = tempfile::tempdir().unwrap();
        for file in self.files() {
            std::fs::copy(&file, backup.path().join(file.file_name().unwrap())).unwrap();
        }
        backup
    }

    /// What it was at a backup, and nothing of what came since.
    pub fn put_back(&mut self, backup: &Path) {
        self.kill();
        self.files().iter().for_each(|file| std::fs::remove_file(file).unwrap());
        for file in std::fs::read_dir(backup).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), self.folder.path().join(file.file_name())).unwrap();
        }
        self.again();
    }

    fn files(&self) -> Vec<PathBuf> {
        std::fs::read_dir(self.folder.path()).unwrap().map(|file| file.unwrap().path()).collect()
    }

    pub fn again(&mut self) {
        self.child = spawn(&tursodb().unwrap(), self.folder.path(), self.port);
        self.ready();
    }

    fn ready(&self) {
        let until = Instant::now() + Duration::from_secs(90);
        while let Err(error) = self.remote().ask(&Step::new("SELECT 1")) {
            assert!(Instant::now() < until, "tursodb does not answer: {error}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(program: &Path, folder: &Path, port: u16) -> Child {
    let mut command = Command::new(program);
    command.arg(folder.join("remote.db")).args(["--sync-server", &format!("127.0.0.1:{port}")]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub fn remote(url: &str) -> Remote {
    Remote::new(&endpoint(url), None, quick()).unwrap()
}

pub fn endpoint(url: &str) -> Endpoint {
    Endpoint { base: url.into(), loopback: true }
}

pub fn quick() -> Deadlines {
    Deadlines {
        connect: Duration::from_secs(30),
        silence: Duration::from_secs(60),
        whole: Duration::from_secs(120),
        tries: 1,
    }
}

pub fn claim(holder: &str, length: Duration) -> Claim {
    Claim { holder: holder.into(), who: "ada".into(), host: format!("host-of-{holder}"), length }
}

/// What happens to one request.
#[derive(Debug, Clone, PartialEq)]
pub enum Fate {
    Pass,
    /// The connection closes before anything is read.
    Dropped,
    /// It is passed on, and the answer is lost.
    AnswerLost,
    /// Half of the answer comes.
    AnswerCut,
    /// So much, or until the network goes on.
    Late(Duration),
    Says(u16, &'static str),
    Redirects(&'static str),
    Junk(&'static str),
    Answers(Vec<u8>),
    /// The second again and again, for as long as anybody listens.
    Endless(&'static str, &'static str),
}

/// Stands before a server. Each request has the next fate; the last one is kept.
pub struct Network {
    pub address: SocketAddr,
    fates: Arc<Mutex<Vec<Fate>>>,
    seen: Arc<AtomicUsize>,
    /// How often it went on.
    gone_on: Arc<AtomicUsize>,
    last: Arc<Mutex<String>>,
}

impl Network {
    pub fn before(server: Option<u16>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let network = Self {
            address: listener.local_addr().unwrap(),
            fates: Arc::new(Mutex::new(vec![Fate::Pass])),
            seen: Arc::default(),
            gone_on: Arc::default(),
            last: Arc::default(),
        };
        let (fates, seen, last) = (network.fates.clone(), network.seen.clone(), network.last.clone());
        let gone_on = network.gone_on.clone();
        std::thread::spawn(move || {
            for peer in listener.incoming() {
                let Ok(peer) = peer else { return };
                seen.fetch_add(1, Ordering::SeqCst);
                let fate = {
                    let mut fates = fates.lock().unwrap();
                    if fates.len() > 1 { fates.remove(0) } else { fates[0].clone() }
                };
                let (last, gone_on) = (last.clone(), gone_on.clone());
                std::thread::spawn(move || meet(peer, fate, server, &last, &gone_on));
            }
        });
        network
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn remote(&self) -> Remote {
        remote(&self.url())
    }

    pub fn fates(&self, fates: impl IntoIterator<Item = Fate>) {
        *self.fates.lock().unwrap() = fates.into_iter().collect();
    }

    /// Whoever is late is so no longer.
    pub fn goes_on(&self) {
        self.gone_on.fetch_add(1, Ordering::SeqCst);
    }

    /// How many requests have come.
    pub fn seen(&self) -> usize {
        self.seen.load(Ordering::SeqCst)
    }

    /// The last request, head and body.
    pub fn last(&self) -> String {
        self.last.lock().unwrap().clone()
    }
}

fn meet(mut peer: TcpStream, fate: Fate, server: Option<u16>, last: &Mutex<String>, gone_on: &AtomicUsize) {
    let before = gone_on.load(Ordering::SeqCst);
    if fate == Fate::Dropped {
        return;
    }
    let Some(request) = request(&mut peer) else { return };
    *last.lock().unwrap() = String::from_utf8_lossy(&request).into_owned();
    let say = |peer: &mut TcpStream, head: &str, body: &str| {
        let _ = write!(peer, "HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    };
    match fate {
        Fate::Says(status, body) => return say(&mut peer, &format!("{status} Said"), body),
        Fate::Redirects(to) => return say(&mut peer, &format!("302 Found\r\nlocation: {to}"), ""),
        Fate::Junk(body) => return say(&mut peer, "200 OK", body),
        Fate::Answers(body) => {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _ = peer.write_all(head.as_bytes()).and_then(|()| peer.write_all(&body));
            return;
        }
        Fate::Endless(head, again) => {
            let _ = write!(peer, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{head}");
            let piece = again.repeat(1 + (1 << 16) / again.len());
            while peer.write_all(piece.as_bytes()).is_ok() {}
            return;
        }
        Fate::Late(by) => {
            let until = Instant::now() + by;
            while Instant::now() < until && gone_on.load(Ordering::SeqCst) == before {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        _ => {}
    }
    let Some(answer) = server.and_then(|port| pass_on(port, &request)) else { return };
    match fate {
        Fate::AnswerLost => {}
        Fate::AnswerCut => drop(peer.write_all(&answer[..answer.len() - answer.len() / 3])),
        _ => drop(peer.write_all(&answer)),
    }
    let _ = peer.shutdown(Shutdown::Both);
}

fn request(peer: &mut TcpStream) -> Option<Vec<u8>> {
    peer.set_read_timeout(Some(Duration::from_secs(90))).ok()?;
    let (mut request, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
    let mut whole = None;
    while whole.is_none_or(|whole| request.len() < whole) {
        match peer.read(&mut buffer).ok()? {
            0 => return None,
            length => request.extend_from_slice(&buffer[..length]),
        }
        if whole.is_none()
            && let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n")
        {
            let head = String::from_utf8_lossy(&request[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            whole = Some(end + 4 + length.and_then(|length| length.trim().parse().ok()).unwrap_or(0usize));
        }
    }
    Some(request)
}

fn pass_on(port: u16, request: &[u8]) -> Option<Vec<u8>> {
    let mut server = TcpStream::connect(("127.0.0.1", port)).ok()?;
    server.write_all(request).ok()?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).ok()?;
    Some(answer)
}
