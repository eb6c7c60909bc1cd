//! A project in a folder of its own and the owners that a test starts in it. However the test ends, they are
//! killed by their pid and what they mounted is taken away.

#![allow(dead_code, clippy::unwrap_used, clippy::print_stderr)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::mount::{MntFlags, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use nixbox_control::{Client, Status};
use tempfile::TempDir;

pub const OWNER: &str = env!("CARGO_BIN_EXE_nixbox-owner");

#[path = "../../../engine/tests/support/slow_machine.rs"]
mod slow_machine;

pub use slow_machine::{HeldUp, PATIENCE as SOON, Patience};

/// Where this machine cannot mount, a test says so and passes, unless nothing may be left out.
pub fn can_mount() -> bool {
    if fs::OpenOptions::new().read(true).write(true).open("/dev/fuse").is_ok() && nix::unistd::geteuid().is_root() {
        return true;
    }
    assert!(std::env::var_os("NIXBOX_REQUIRE_ALL").is_none_or(|all| all != "1"), "cannot mount here");
    eprintln!("skipped: this needs /dev/fuse and root");
    false
}

pub struct Test {
    dir: TempDir,
    pub root: PathBuf,
}

impl Test {
    /// An instance `sandbox`, mounted at `mnt`.
    pub fn new() -> Self {
        Self::with("mount.path = \"mnt\"")
    }

    /// The lines of the instance `sandbox`.
    pub fn with(instance: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let test = Self { dir, root };
        test.config(instance);
        test
    }

    pub fn config(&self, instance: &str) {
        let text =
            format!("version = 1\nruntime_dir = \"run\"\ndata_dir = \"data\"\n[instances.sandbox]\n{instance}\n");
        fs::write(self.path("nixbox.toml"), text).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub fn mnt(&self) -> PathBuf {
        self.path("mnt")
    }

    pub fn socket(&self) -> PathBuf {
        self.path("run/sandbox.sock")
    }

    /// With an environment in which only what the test says is set.
    pub fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(OWNER);
        command.args([verb, "sandbox"]);
        self.at_home(&mut command);
        command
    }

    pub fn at_home(&self, command: &mut Command) {
        command.current_dir(&self.root).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    }

    pub fn start(&self) -> Owner {
        Owner::spawn(&mut self.command("serve"))
    }

    /// Started, and seen to be ready.
    pub fn ready(&self) -> Owner {
        let owner = self.start();
        self.await_ready();
        owner
    }

    pub fn await_ready(&self) -> Status {
        self.await_status(Status::is_ready)
    }

    pub fn await_status(&self, wanted: impl Fn(&Status) -> bool) -> Status {
        let mut patience = Patience::new();
        let mut events = loop {
            match Client::connect(&self.socket()).and_then(|client| client.subscribe(Some(SOON))) {
                Ok(events) => break events,
                Err(error) => assert!(!patience.is_over(), "{error}"),
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        loop {
            let status = events.next(Some(Instant::now() + SOON)).unwrap();
            if wanted(&status) {
                return status;
            }
        }
    }

    pub fn status(&self) -> Status {
        Client::connect(&self.socket()).unwrap().status(Some(SOON)).unwrap()
    }

    pub fn is_mounted(&self) -> bool {
        mounts_below(&self.root).iter().any(|path| *path == self.mnt())
    }

    /// No mount, socket, record, token, lock or folder of an owner.
    pub fn assert_nothing_left(&self) {
        assert_eq!(mounts_below(&self.root), Vec::<PathBuf>::new());
        assert!(!self.mnt().exists(), "the mountpoint is left");
        let left = |dir: &str| match fs::read_dir(self.path(dir)) {
            Ok(entries) => entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect(),
            Err(_) => Vec::new(),
        };
        assert_eq!(left("run"), Vec::<String>::new());
        assert_eq!(left("data/sandbox.d"), Vec::<String>::new());
        let beside: Vec<_> =
            left("data").into_iter().filter(|name| name.contains("-wal") || name.contains("-shm")).collect();
        assert_eq!(beside, Vec::<String>::new());
    }
}

impl Drop for Test {
    fn drop(&mut self) {
        for path in mounts_below(&self.root).iter().rev() {
            let _ = umount2(path, MntFlags::MNT_DETACH);
        }
    }
}

/// Test folders hold no character that mountinfo escapes.
pub fn mounts_below(root: &Path) -> Vec<PathBuf> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let places = table.lines().filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from);
    places.filter(|place| place.starts_with(root)).collect()
}

/// A running owner, killed when the test is done with it.
pub struct Owner {
    child: Child,
}

pub struct Ended {
    pub status: ExitStatus,
    pub stderr: String,
    took: Duration,
    /// What of that was no time of its own.
    held_up: Duration,
}

impl Owner {
    pub fn spawn(command: &mut Command) -> Self {
        Self { child: command.spawn().unwrap() }
    }

    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).unwrap();
    }

    pub fn end(mut self) -> Ended {
        let (began, watch, mut patience) = (Instant::now(), HeldUp::watch(), Patience::new());
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None => assert!(!patience.is_over(), "the owner does not end"),
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        let (took, held_up) = (began.elapsed(), watch.so_far());
        let mut stderr = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        Ended { status, stderr, took, held_up }
    }

    /// Told to stop in order; must do so in good time and with success.
    pub fn stop(self) {
        self.signal(Signal::SIGTERM);
        self.end().assert_clean();
    }

    /// As the kernel's last word.
    pub fn murder(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    pub fn assert_clean(&self) {
        assert!(self.status.success(), "{:?}\n{}", self.status, self.stderr);
        self.assert_within(Duration::from_secs(4));
    }

    pub fn assert_within(&self, limit: Duration) {
        assert!(self.took < limit + self.held_up, "{:?} ({:?})\n{}", self.took, self.held_up, self.stderr);
    }

    pub fn assert_failed(&self, exit: i32, code: &str) {
        assert_eq!(self.status.code(), Some(exit), "{}", self.stderr);
        assert!(self.stderr.contains(&format!("[{code}]")), "{}", self.stderr);
        assert!(self.stderr.contains("help:"), "{}", self.stderr);
    }
}

/// The status line's code, the headers and the body of an answer.
pub fn http(port: u16, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = BufReader::new(stream);
    let mut line = String::new();
    answer.read_line(&mut line).unwrap();
    let mut rest = String::new();
    answer.read_to_string(&mut rest).unwrap();
    (line.split(' ').nth(1).unwrap().parse().unwrap(), rest)
}

pub fn get(port: u16, path: &str, headers: &str) -> (u16, String) {
    http(port, &format!("GET {path} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n"))
}

/// What a process manager hears on NOTIFY_SOCKET.
pub struct Manager {
    socket: UnixDatagram,
}

impl Manager {
    pub fn listening_at(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(SOON)).unwrap();
        Self { socket }
    }

    pub fn hears(&self) -> String {
        let mut message = [0; 4096];
        let length = self.socket.recv(&mut message).unwrap();
        String::from_utf8(message[..length].to_vec()).unwrap()
    }
}
