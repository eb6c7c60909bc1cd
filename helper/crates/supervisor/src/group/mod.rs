//! Groups of processes that the kernel keeps together (control groups): what is in one stays in it, with all that it
//! starts, and can be counted, bounded, held still and ended as one.
//!
//! The group itself is one of version 2. Its limits are there as well, or where the machine still has controllers of
//! version 1, in groups of the same name there.

mod controller;
mod ground;

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, poll};
use nixbox_state::Process;

use self::controller::Controller;
pub(crate) use self::ground::Ground;
use crate::limits::{Limit, Limits};
use crate::pidfd::timeout;

/// The kernel ends what it is told to in no time; what waits for a disk may take longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// One that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Of version 2.
    folder: PathBuf,
    controllers: Vec<Controller>,
}

/// What is in a group takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Bytes, without what the kernel keeps of files only as long as it has room.
    pub memory: Option<u64>,
    /// Of all processors together, since it was made.
    pub cpu: Option<Duration>,
    /// Processes and threads.
    pub pids: Option<u64>,
}

impl Group {
    /// The one of this name that a process is in, whoever has made it.
    pub fn of(process: Process, name: &str) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{}/cgroup", process.pid)).ok()?;
        // Read before it is sure whose it was.
        Ground::of(&text)?.parent_of(name)?.find(name).filter(|_| process.is_alive())
    }

    /// Those that all processes in it are put into, to be entered by writing a pid, or 0 for whoever writes.
    pub(crate) fn doors(&self) -> io::Result<Vec<File>> {
        let mut folders: Vec<&Path> = vec![&self.folder];
        folders.extend(self.controllers.iter().map(Controller::folder).filter(|folder| *folder != self.folder));
        folders.dedup();
        folders.into_iter().map(|folder| OpenOptions::new().write(true).open(folder.join("cgroup.procs"))).collect()
    }

    /// Answers for what there is no controller.
    pub(crate) fn limit(&self, limits: &Limits) -> io::Result<Vec<Limit>> {
        let mut without = Vec::new();
        for (limit, value) in limits.each() {
            match self.controllers.iter().find(|one| one.limit() == limit) {
                Some(controller) => controller.set(value)?,
                None if value.is_some() => without.push(limit),
                None => {}
            }
        }
        Ok(without)
    }

    /// What is in it stands still, or goes on.
    pub(crate) fn freeze(&self, is_frozen: bool) -> io::Result<()> {
        fs::write(self.folder.join("cgroup.freeze"), if is_frozen { "1" } else { "0" })?;
        self.until("frozen", is_frozen)
    }

    /// The same, all of it or none: false where the kernel does not do so.
    pub(crate) fn hold(&self) -> bool {
        let is_held = self.freeze(true).is_ok();
        if !is_held {
            let _ = self.freeze(false);
        }
        is_held
    }

    /// Ends all that is in it, at once, and returns when it has ended.
    pub(crate) fn kill(&self) -> io::Result<()> {
        fs::write(self.folder.join("cgroup.kill"), "1")?;
        self.until("populated", false)
    }

    /// With all that is in it.
    pub(crate) fn remove(&self) -> io::Result<()> {
        self.kill()?;
        self.remove_empty()
    }

    pub(crate) fn remove_empty(&self) -> io::Result<()> {
        if self.is_populated() {
            return Err(ErrorKind::ResourceBusy.into());
        }
        let folders = self.controllers.iter().map(Controller::folder).chain([self.folder.as_path()]);
        folders.map(remove).fold(Ok(()), Result::and)
    }

    /// How often the kernel has ended something in it because it needed too much memory.
    pub(crate) fn killed_for_memory(&self) -> u64 {
        self.controllers.iter().map(Controller::kills).sum()
    }

    pub fn load(&self) -> Load {
        let of = |limit: Limit| self.controllers.iter().find(|one| one.limit() == limit);
        let spent = controller::number_in(&self.folder.join("cpu.stat"), "usage_usec");
        Load {
            memory: of(Limit::Memory).and_then(Controller::taken),
            cpu: spent.map(Duration::from_micros),
            pids: of(Limit::Pids).and_then(Controller::taken),
        }
    }

    /// As they are now, where there are controllers for them.
    pub fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        for controller in &self.controllers {
            limits.put(controller.limit(), controller.get());
        }
        limits
    }

    fn is_populated(&self) -> bool {
        controller::number_in(&self.folder.join("cgroup.events"), "populated") != Some(0)
    }

    /// The kernel wakes whoever polls `cgroup.events` when something in it changes.
    fn until(&self, key: &str, wanted: bool) -> io::Result<()> {
        let (path, end) = (self.folder.join("cgroup.events"), Instant::now() + PATIENCE);
        let file = File::open(&path)?;
        while controller::number_in(&path, key) != Some(u64::from(wanted)) {
            if Instant::now() > end {
                return Err(ErrorKind::TimedOut.into());
            }
            let mut fds = [PollFd::new(file.as_fd(), PollFlags::POLLPRI)];
            // Also now and then: an event that comes between the look and the sleep is seen at the next one.
            let next = end.min(Instant::now() + Duration::from_millis(20));
            let _ = poll(&mut fds, timeout(Some(next)));
        }
        Ok(())
    }
}

/// One whose last process has only just ended may still be busy.
fn remove(folder: &Path) -> io::Result<()> {
    let end = Instant::now() + PATIENCE;
    loop {
        match fs::remove_dir(folder) {
            Err(error) if error.kind() == ErrorKind::ResourceBusy && Instant::now() < end => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => return Ok(()),
        }
    }
}

/// Those of these names that nothing is in, left by who was killed. To be called while nobody makes them.
pub fn remove_left(names: impl Iterator<Item = String>) {
    let Some(ground) = Ground::mine() else { return };
    for group in names.filter_map(|name| ground.find(&name)) {
        let _ = group.remove_empty();
    }
}

/// In the child, between fork and exec: the one that writes is moved.
pub(crate) fn enter(doors: &[File]) -> io::Result<()> {
    doors.iter().try_for_each(|mut door| door.write_all(b"0"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::print_stdout)]
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn what_is_in_a_group_stands_still_goes_on_and_ends_with_it() {
        let Some(ground) = Ground::mine() else { return println!("skipped: this process may make no control group") };
        let name = format!("nixbox-unit.exec.{}", std::process::id());
        let group = ground.make(&name).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let said = folder.path().join("said");
        let script = format!(
            "read moved; (setsid sh -c 'while :; do echo x >> {}; sleep 0.01; done' &); sleep 60",
            said.display()
        );
        let mut child =
            Command::new("sh").arg("-c").arg(script).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        for mut door in group.doors().unwrap() {
            door.write_all(child.id().to_string().as_bytes()).unwrap();
        }
        child.stdin.take().unwrap().write_all(b"\n").unwrap();
        let process = Process::of(child.id() as i32).unwrap().unwrap();
        assert_eq!(Group::of(process, &name), Some(group.clone()));
        assert_eq!(Group::of(Process::current().unwrap(), &name), None);
        assert_eq!(ground.make(&name).unwrap_err().kind(), ErrorKind::AlreadyExists);

        let limits = Limits { cpu: Some(1500), memory: Some(256 << 20), pids: Some(64) };
        let without = group.limit(&limits).unwrap();
        let wanted = |limit: &Limit| !without.contains(limit);
        let expected: Vec<_> = limits.each().into_iter().filter(|(limit, _)| wanted(limit)).collect();
        let found: Vec<_> = group.limits().each().into_iter().filter(|(limit, _)| wanted(limit)).collect();
        assert_eq!(found, expected);

        let length = || fs::metadata(&said).map_or(0, |file| file.len());
        let moves = || {
            let before = length();
            std::thread::sleep(Duration::from_millis(200));
            length() > before
        };
        let soon = |wanted: bool| (0..300).any(|_| moves() == wanted);
        assert!(soon(true));
        group.freeze(true).unwrap();
        assert!(soon(false) && !moves());
        group.freeze(false).unwrap();
        assert!(soon(true));
        assert!(group.remove_empty().is_err() && group.load().cpu.is_some());
        // What stands still ends as well.
        group.freeze(true).unwrap();
        group.remove().unwrap();
        assert!(!moves() && ground.find(&name).is_none());
        child.wait().unwrap();
    }
}
