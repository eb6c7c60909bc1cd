#![allow(dead_code, clippy::unwrap_used, clippy::print_stderr)]

pub mod memory;
#[path = "../../../engine/tests/support/slow_machine.rs"]
pub mod slow_machine;
pub mod workload;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use nixbox_engine::FileSystem;
use nixbox_mount::{Access, Mounted, Mountpoint, Options, mount};
use slow_machine::PATIENCE;
use tempfile::TempDir;

/// Where this machine cannot mount, a test says so and passes, unless nothing may be left out.
pub fn can_mount() -> bool {
    let reason = match nixbox_mount::preflight(Access::Owner) {
        Ok(()) => return true,
        Err(error) => error,
    };
    assert!(std::env::var_os("NIXBOX_REQUIRE_ALL").is_none_or(|all| all != "1"), "cannot mount: {reason}");
    eprintln!("skipped: cannot mount: {reason}");
    false
}

/// A tree mounted in a folder of its own, taken away again however the test ends.
pub struct Test {
    pub dir: TempDir,
    pub mounted: Option<Mounted>,
    pub ended: Receiver<bool>,
}

impl Test {
    pub fn new(tree: Arc<dyn FileSystem>) -> Self {
        Self::with(tree, |_| {})
    }

    pub fn with(tree: Arc<dyn FileSystem>, adjust: impl FnOnce(&mut Options)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().canonicalize().unwrap().join("a.db");
        let mut options = Options { database, read_only: false, access: Access::Owner, uid: None, gid: None };
        adjust(&mut options);
        let point = Mountpoint::prepare(&dir.path().join("mnt"), true, &options.database).unwrap();
        let (tell, ended) = channel();
        let mounted = mount(tree, &point.path, &options, move |end| tell.send(end.is_ok()).unwrap_or(())).unwrap();
        mounted.prove(PATIENCE).unwrap();
        Self { dir, mounted: Some(mounted), ended }
    }

    pub fn path(&self) -> PathBuf {
        self.mounted.as_ref().unwrap().path().to_owned()
    }

    pub fn take(&mut self) -> Mounted {
        self.mounted.take().unwrap()
    }

    pub fn has_ended(&self) -> bool {
        self.ended.recv_timeout(PATIENCE).unwrap()
    }
}

pub fn is_mounted(path: &Path) -> bool {
    nixbox_mounts::mount_at(path).unwrap().is_some()
}

/// A shared mapping of a whole file, in a process of its own: taking a mapping away waits for the mount with the
/// memory of its process locked, and a mount that is answered from the same process then never answers.
pub struct Mapped {
    child: Child,
    answers: BufReader<ChildStdout>,
}

const MAPPER: &str = "import mmap, sys\n\
    file = open(sys.argv[1], sys.argv[2])\n\
    mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ if sys.argv[2] == 'rb' else mmap.ACCESS_WRITE)\n\
    file.close()\n\
    print('mapped', flush=True)\n\
    for line in sys.stdin:\n\
    \x20   at, byte = map(int, line.split())\n\
    \x20   if byte < 0:\n\
    \x20       print(mapping[at], flush=True)\n\
    \x20   else:\n\
    \x20       mapping[at] = byte\n\
    \x20       print('written', flush=True)\n";

impl Mapped {
    pub fn new(path: &Path) -> Self {
        Self::opened(path, "r+b")
    }

    pub fn new_to_read(path: &Path) -> Self {
        Self::opened(path, "rb")
    }

    fn opened(path: &Path, mode: &str) -> Self {
        let mut child = Command::new("python3")
            .args(["-c", MAPPER])
            .arg(path)
            .arg(mode)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3, which the tests need");
        let answers = BufReader::new(child.stdout.take().unwrap());
        let mut mapped = Self { child, answers };
        mapped.expect("mapped");
        mapped
    }

    pub fn write(&mut self, at: usize, byte: u8) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{at} {byte}").unwrap();
        self.expect("written");
    }

    pub fn read(&mut self, at: usize) -> u8 {
        writeln!(self.child.stdin.as_mut().unwrap(), "{at} -1").unwrap();
        self.answer().parse().unwrap()
    }

    fn expect(&mut self, answer: &str) {
        assert_eq!(self.answer(), answer);
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
