//! What stays when a supervisor is killed: its own parent, to whom then all comes that it has started.

use std::io;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};

use crate::descendants;
use crate::memory;

/// Who comes back from `guard`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guarded {
    /// It is guarded now, and is to go on.
    Supervisor,
    /// The supervisor has ended so, and nothing of it is left.
    Over { code: u8 },
}

/// Goes on in a child, which is looked after. When that is killed, everything it has started is asked to stop, has
/// `grace` for it and is killed. When this process is killed, the child gets TERM.
///
/// To be called while there is one thread: only that one goes on.
pub fn guard(grace: Duration) -> io::Result<Guarded> {
    prctl::set_child_subreaper(true)?;
    let mask: SigSet = PASSED_ON.into_iter().chain([Signal::SIGCHLD]).collect();
    let before = mask.thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_BLOCK)?;
    let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC)?;
    let me = std::process::id();
    // SAFETY: there is one thread, so nothing is left locked in the child.
    match unsafe { fork() }? {
        ForkResult::Child => {
            drop(signals);
            before.thread_set_mask()?;
            prctl::set_child_subreaper(true)?;
            prctl::set_pdeathsig(Signal::SIGTERM)?;
            // It may have died before we asked to be told.
            match std::os::unix::process::parent_id() == me {
                true => Ok(Guarded::Supervisor),
                false => Err(io::ErrorKind::Interrupted.into()),
            }
        }
        ForkResult::Parent { child } => watch(child, &signals, grace),
    }
}

const PASSED_ON: [Signal; 5] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGUSR2];

fn watch(child: Pid, signals: &SignalFd, grace: Duration) -> io::Result<Guarded> {
    memory::give_back();
    loop {
        match waitpid(child, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(_, code)) => {
                descendants::clear(grace, None);
                return Ok(Guarded::Over { code: u8::try_from(code).unwrap_or(1) });
            }
            Ok(WaitStatus::Signaled(_, signal, _)) => {
                descendants::clear(grace, None);
                return Ok(Guarded::Over { code: 128 + signal as u8 });
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let Some(info) = signals.read_signal()? else { continue };
        // What comes from the terminal comes to the whole group, so the child has it already.
        if let Ok(signal) = Signal::try_from(info.ssi_signo as i32)
            && info.ssi_code <= 0
            && signal != Signal::SIGCHLD
        {
            let _ = kill(child, signal);
        }
    }
}
