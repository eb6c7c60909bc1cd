use std::fs;
use std::io;

use serde::{Deserialize, Serialize};

/// A process: its pid and the moment it started, because pids are reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    pub pid: i32,
    /// Clock ticks since boot, as the kernel counts them.
    pub start_time: u64,
}

impl Process {
    pub fn current() -> io::Result<Self> {
        let pid = std::process::id() as i32;
        Self::of(pid)?.ok_or_else(|| io::Error::other("/proc does not show this process"))
    }

    /// `None` when no process has that pid.
    pub fn of(pid: i32) -> io::Result<Option<Self>> {
        match fs::read_to_string(format!("/proc/{pid}/stat")) {
            Ok(stat) => start_time(&stat)
                .map(|start_time| Some(Self { pid, start_time }))
                .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "unreadable /proc/PID/stat")),
            Err(error) if matches!(error.raw_os_error(), Some(nix::libc::ENOENT | nix::libc::ESRCH)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Still running, and still the same process. A zombie counts as gone.
    pub fn is_alive(&self) -> bool {
        match fs::read_to_string(format!("/proc/{}/stat", self.pid)) {
            Ok(stat) => start_time(&stat) == Some(self.start_time) && !is_zombie(&stat),
            Err(_) => false,
        }
    }
}

/// The fields after the command, which itself may hold spaces and parentheses.
fn fields(stat: &str) -> Option<std::str::SplitAsciiWhitespace<'_>> {
    Some(stat.rsplit_once(')')?.1.split_ascii_whitespace())
}

fn start_time(stat: &str) -> Option<u64> {
    fields(stat)?.nth(19)?.parse().ok()
}

fn is_zombie(stat: &str) -> bool {
    fields(stat).and_then(|mut f| f.next()).is_some_and(|state| matches!(state, "Z" | "X"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_alive_and_a_namesake_is_not() -> io::Result<()> {
        let me = Process::current()?;
        assert!(me.is_alive());
        assert!(!Process { start_time: me.start_time + 1, ..me }.is_alive());
        Ok(())
    }

    #[test]
    fn a_zombie_is_gone() -> io::Result<()> {
        let mut child = std::process::Command::new("true").spawn()?;
        let process = Process::of(child.id() as i32)?;
        let mut alive = true;
        for _ in 0..500 {
            alive = process.is_some_and(|p| p.is_alive());
            if !alive {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        child.wait()?;
        assert!(!alive);
        Ok(())
    }

    #[test]
    fn a_command_with_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4242 1 1";
        assert_eq!(start_time(stat), Some(4242));
    }
}
