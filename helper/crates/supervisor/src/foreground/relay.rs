//! Between a running command and whoever runs it: signals, what is typed and shown, and the time it has.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nixbox_state::Process;

use super::start::{Started, start};
use super::terminal::{Raw, Terminal};
use super::{Captured, Ending, Foreground};
use crate::descendants;
use crate::limits::Confinement;
use crate::pidfd::timeout;

/// Passed on; the rest is the command's own business.
pub const PASSED_ON: [Signal; 7] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGWINCH,
];

/// What has not ended so long after it was told that its time is over is killed.
const LAST_GRACE: Duration = Duration::from_secs(5);

/// What the command has left behind is asked to end, and has so long for it.
const LEFT_BEHIND: Duration = Duration::from_secs(2);

/// What a terminal takes for the end of input.
const END_OF_INPUT: u8 = 4;

pub(super) fn run(what: &Foreground, recall: Option<BorrowedFd<'_>>) -> io::Result<Ending> {
    let mask: SigSet = PASSED_ON.into_iter().collect();
    let before = mask.thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_BLOCK)?;
    let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
    // What the command leaves behind when its time is over comes to us, and can be found.
    let _ = nix::sys::prctl::set_child_subreaper(what.limit.is_some() || what.leaves_nothing);
    let began = Instant::now();
    let ended = start(what).and_then(|started| {
        let raw = (started.terminal.is_some() && what.input).then(Raw::begin);
        let relay = Relay {
            signals,
            limit: what.limit.map(|limit| began + limit),
            typed: Vec::new(),
            input: what.input,
            leaves_nothing: what.leaves_nothing,
            recall,
            told: None,
            spares: what.spares,
        };
        let ended = relay.attend(started, began, &what.confinement);
        drop(raw);
        ended
    });
    // Whatever became of it, nothing of it stays, and no group.
    let cleared = what.confinement.end();
    before.thread_set_mask()?;
    let ended = ended?;
    cleared.map(|()| ended)
}

struct Relay<'r> {
    signals: SignalFd,
    limit: Option<Instant>,
    /// Not taken by the terminal yet.
    typed: Vec<u8>,
    input: bool,
    leaves_nothing: bool,
    recall: Option<BorrowedFd<'r>>,
    told: Option<Signal>,
    spares: Option<Process>,
}

/// What a command ends for, unless it has something else in mind.
const ENDING: [Signal; 4] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    End,
    Signals,
    Shown,
    Room,
    Typed,
    Recall,
}

impl Relay<'_> {
    fn attend(mut self, mut started: Started, began: Instant, held: &Confinement) -> io::Result<Ending> {
        if let Some(terminal) = &started.terminal {
            fcntl(&terminal.ours, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        let (mut timed_out, mut recalled, mut kill_at) = (false, false, None);
        loop {
            let now = Instant::now();
            if !timed_out && self.limit.is_some_and(|at| at <= now) {
                timed_out = true;
                kill_at = Some(now + LAST_GRACE);
                started.handle.signal(Signal::SIGTERM)?;
            }
            if kill_at.is_some_and(|at| at <= now) {
                started.handle.signal(Signal::SIGKILL)?;
                kill_at = None;
            }
            let until = if timed_out { kill_at } else { [self.limit, kill_at].into_iter().flatten().min() };
            let happened = self.wait(&started, until)?;
            for source in &happened {
                match source {
                    Source::End => {}
                    Source::Signals => self.pass_on(&started)?,
                    Source::Shown => self.show(started.terminal.as_ref())?,
                    Source::Room => self.give(started.terminal.as_ref()),
                    Source::Typed => self.take()?,
                    Source::Recall => {
                        self.recall = None;
                        recalled = true;
                        kill_at.get_or_insert(Instant::now() + LAST_GRACE);
                        started.handle.signal(Signal::SIGTERM)?;
                    }
                }
            }
            if happened.contains(&Source::End) {
                break;
            }
        }
        let status = started.child.wait()?;
        match (timed_out, self.leaves_nothing) {
            (true, _) => descendants::clear(Duration::ZERO, self.spares),
            (false, true) => descendants::clear(LEFT_BEHIND, self.spares),
            (false, false) => {}
        }
        // What it said last.
        self.show(started.terminal.as_ref())?;
        let mut output = Captured::default();
        if let Some([stdout, stderr]) = started.capturing.take() {
            let ((stdout, one), (stderr, other)) = (stdout.end(), stderr.end());
            output = Captured { stdout, stderr, dropped: one + other };
        }
        let without_view = started.without_view.take();
        let out_of_memory = held.killed_for_memory();
        let (took, told) = (began.elapsed(), self.told);
        Ok(Ending { status, took, timed_out, recalled, told, without_view, out_of_memory, output })
    }

    fn wait(&self, started: &Started, until: Option<Instant>) -> io::Result<Vec<Source>> {
        let stdin = io::stdin();
        let mut sources = vec![Source::End, Source::Signals];
        let read = PollFlags::POLLIN;
        let mut fds = vec![(started.handle.as_fd(), read), (self.signals.as_fd(), read)];
        if let Some(recall) = self.recall {
            sources.push(Source::Recall);
            fds.push((recall, read));
        }
        if let Some(terminal) = &started.terminal {
            let ours: BorrowedFd<'_> = terminal.ours.as_fd();
            sources.push(Source::Shown);
            fds.push((ours, read));
            if !self.typed.is_empty() {
                sources.push(Source::Room);
                fds.push((ours, PollFlags::POLLOUT));
            } else if self.input {
                sources.push(Source::Typed);
                fds.push((stdin.as_fd(), read));
            }
        }
        let mut fds: Vec<_> = fds.into_iter().map(|(fd, events)| PollFd::new(fd, events)).collect();
        match poll(&mut fds, timeout(until)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let happened: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(true)).collect();
        Ok(sources.into_iter().zip(happened).filter_map(|(source, yes)| yes.then_some(source)).collect())
    }

    fn pass_on(&mut self, started: &Started) -> io::Result<()> {
        while let Some(info) = self.signals.read_signal()? {
            let Ok(signal) = Signal::try_from(info.ssi_signo as i32) else { continue };
            if ENDING.contains(&signal) {
                self.told = Some(signal);
            }
            match (&started.terminal, signal) {
                (Some(terminal), Signal::SIGWINCH) => terminal.follow_size(),
                (Some(_), _) => started.handle.signal(signal)?,
                // Who shares our terminal has it from there already.
                (None, _) if info.ssi_code <= 0 => started.handle.signal(signal)?,
                (None, _) => {}
            }
        }
        Ok(())
    }

    fn show(&self, terminal: Option<&Terminal>) -> io::Result<()> {
        let Some(terminal) = terminal else { return Ok(()) };
        let mut piece = [0; 16 * 1024];
        let mut out = io::stdout().lock();
        loop {
            match nix::unistd::read(&terminal.ours, &mut piece) {
                // The last of those who had it open has gone.
                Ok(0) | Err(Errno::EIO | Errno::EAGAIN) => return out.flush(),
                Ok(length) => out.write_all(&piece[..length])?,
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    fn take(&mut self) -> io::Result<()> {
        let mut piece = [0; 4 * 1024];
        match io::stdin().lock().read(&mut piece) {
            Ok(0) => {
                self.typed.push(END_OF_INPUT);
                self.input = false;
            }
            Ok(length) => self.typed.extend_from_slice(&piece[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.raw_os_error() == Some(libc::EIO) => self.input = false,
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn give(&mut self, terminal: Option<&Terminal>) {
        let Some(terminal) = terminal else { return };
        match nix::unistd::write(&terminal.ours, &self.typed) {
            Ok(length) => drop(self.typed.drain(..length)),
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            // Nobody reads it any more.
            Err(_) => self.typed.clear(),
        }
    }
}
