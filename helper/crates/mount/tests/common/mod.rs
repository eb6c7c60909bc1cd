#![allow(dead_code, clippy::unwrap_used, clippy::print_stderr)]

pub mod memory;
pub mod workload;

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use nixbox_engine::FileSystem;
use nixbox_mount::{Access, Mounted, Mountpoint, Options, mount};
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
        mounted.prove(Duration::from_secs(5)).unwrap();
        Self { dir, mounted: Some(mounted), ended }
    }

    pub fn path(&self) -> PathBuf {
        self.mounted.as_ref().unwrap().path().to_owned()
    }

    pub fn take(&mut self) -> Mounted {
        self.mounted.take().unwrap()
    }

    pub fn has_ended(&self) -> bool {
        self.ended.recv_timeout(Duration::from_secs(5)).unwrap()
    }
}

pub fn is_mounted(path: &Path) -> bool {
    nixbox_mounts::mount_at(path).unwrap().is_some()
}

/// A shared mapping of a whole file.
pub struct Mapped {
    start: *mut libc::c_void,
    length: usize,
}

impl Mapped {
    pub fn new(file: &File) -> Self {
        let length = file.metadata().unwrap().len() as usize;
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping, wherever the kernel has room.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), length, prot, libc::MAP_SHARED, file.as_raw_fd(), 0) };
        assert_ne!(start, libc::MAP_FAILED);
        Self { start, length }
    }

    /// The file must not have become shorter.
    pub fn write(&self, at: usize, byte: u8) {
        assert!(at < self.length);
        // SAFETY: inside the mapping, which lives as long as `self`.
        unsafe { self.start.cast::<u8>().add(at).write(byte) };
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: made by `new`, and nobody else knows of it.
        unsafe { libc::munmap(self.start, self.length) };
    }
}
