use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Instant;

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nixbox_state::Process;

/// A hold on one process, whoever its parent is. A pid can be reused between looking and killing; this cannot.
#[derive(Debug)]
pub struct Handle {
    fd: OwnedFd,
    process: Process,
}

impl Handle {
    /// `None` when that process is gone, or its pid belongs to another one by now.
    pub fn of(process: Process) -> io::Result<Option<Self>> {
        // SAFETY: plain integers in, a new descriptor or an error out.
        let raw = unsafe { libc::syscall(libc::SYS_pidfd_open, process.pid, 0) };
        if raw < 0 {
            let error = io::Error::last_os_error();
            return if error.raw_os_error() == Some(libc::ESRCH) { Ok(None) } else { Err(error) };
        }
        // SAFETY: the kernel has just made this descriptor, and nobody else knows of it.
        let fd = unsafe { OwnedFd::from_raw_fd(raw as i32) };
        // Only now is it certain that pid and descriptor mean one process.
        Ok((Process::of(process.pid)? == Some(process)).then_some(Self { fd, process }))
    }

    pub fn process(&self) -> Process {
        self.process
    }

    /// `Ok` also when it has ended already.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let none = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: the descriptor is open; no siginfo is passed.
        let done =
            unsafe { libc::syscall(libc::SYS_pidfd_send_signal, self.fd.as_raw_fd(), signal as libc::c_int, none, 0) };
        match done {
            0 => Ok(()),
            _ => match io::Error::last_os_error() {
                error if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
                error => Err(error),
            },
        }
    }

    /// Waits for its end; false when the deadline came first.
    pub fn wait(&self, deadline: Option<Instant>) -> io::Result<bool> {
        loop {
            let mut fds = [PollFd::new(self.fd.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, timeout(deadline)) {
                Ok(0) if deadline.is_some_and(|at| at <= Instant::now()) => return Ok(false),
                Ok(0) | Err(nix::errno::Errno::EINTR) => {}
                Ok(_) => return Ok(true),
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

impl AsFd for Handle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// How long `poll` may sleep. Rounded up, so that it does not spin through the last millisecond.
pub(crate) fn timeout(deadline: Option<Instant>) -> PollTimeout {
    let Some(at) = deadline else { return PollTimeout::NONE };
    let left = at.saturating_duration_since(Instant::now());
    let millis = left.as_nanos().div_ceil(1_000_000).min(i32::MAX as u128) as i32;
    PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_namesake_is_not_touched() {
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let process = Process::of(child.id() as i32).unwrap().unwrap();
        assert!(Handle::of(Process { start_time: process.start_time + 1, ..process }).unwrap().is_none());

        let handle = Handle::of(process).unwrap().unwrap();
        assert!(!handle.wait(Some(Instant::now() + Duration::from_millis(20))).unwrap());
        handle.signal(Signal::SIGKILL).unwrap();
        assert!(handle.wait(Some(Instant::now() + Duration::from_secs(90))).unwrap());
        child.wait().unwrap();
        handle.signal(Signal::SIGKILL).unwrap();
        assert!(Handle::of(process).unwrap().is_none());
    }
}
