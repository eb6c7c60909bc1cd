use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use nixbox_state::Process;

use crate::descendants;
use crate::lines::Lines;
use crate::pidfd::Handle;
use crate::spawn::spawn;
use crate::spec::{Placement, Spec};

/// One child, from before its start until after its end.
#[derive(Debug)]
pub struct Child {
    spec: Spec,
    state: State,
}

#[derive(Debug)]
pub enum State {
    Pending,
    Running(Running),
    Finished { ended: Ended, since: Instant, until: Instant },
}

#[derive(Debug)]
pub struct Running {
    child: std::process::Child,
    handle: Handle,
    pub(crate) lines: Option<Lines>,
    since: Instant,
    /// Set once it was asked to stop: when asking ends.
    pub(crate) kill_at: Option<Instant>,
}

/// How a child ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    pub status: ExitStatus,
    /// It was asked to.
    pub asked: bool,
    /// Its last lines, where the supervisor reads them.
    pub last: Vec<String>,
}

impl Ended {
    pub fn success(&self) -> bool {
        self.status.success()
    }

    /// `exit code 3` or `signal SIGKILL`.
    pub fn describe(&self) -> String {
        match (self.status.code(), self.status.signal()) {
            (Some(code), _) => format!("exit code {code}"),
            (None, Some(number)) => match Signal::try_from(number) {
                Ok(signal) => format!("signal {signal}"),
                Err(_) => format!("signal {number}"),
            },
            (None, None) => "an unknown end".into(),
        }
    }
}

impl Child {
    pub fn new(spec: Spec) -> Self {
        Self { spec, state: State::Pending }
    }

    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    pub fn state(&self) -> &State {
        &self.state
    }

    pub fn can_start(&self) -> bool {
        !matches!(self.state, State::Running(_))
    }

    pub fn process(&self) -> Option<Process> {
        self.running().map(|running| running.handle.process())
    }

    pub(crate) fn running(&self) -> Option<&Running> {
        match &self.state {
            State::Running(running) => Some(running),
            _ => None,
        }
    }

    pub(crate) fn running_mut(&mut self) -> Option<&mut Running> {
        match &mut self.state {
            State::Running(running) => Some(running),
            _ => None,
        }
    }

    pub fn start(&mut self) -> io::Result<()> {
        if !self.can_start() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "it is running"));
        }
        let (mut child, pipe) = spawn(&self.spec)?;
        // Not reaped yet, so the pid is still this child's even if it has ended already.
        let handle = Process::of(child.id() as i32).and_then(|p| match p {
            Some(process) => Handle::of(process),
            None => Ok(None),
        });
        let lines = pipe.map(Lines::new).transpose();
        match (handle, lines) {
            (Ok(Some(handle)), Ok(lines)) => {
                self.state = State::Running(Running { child, handle, lines, since: Instant::now(), kill_at: None });
                Ok(())
            }
            (handle, lines) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(handle.err().or(lines.err()).unwrap_or_else(|| io::Error::other("the child cannot be watched")))
            }
        }
    }

    /// Asks it to stop. Its group is killed once `grace` is over.
    pub fn stop(&mut self, grace: Duration) -> io::Result<()> {
        let Some(running) = self.running_mut() else { return Ok(()) };
        let at = Instant::now() + grace;
        running.kill_at = Some(running.kill_at.map_or(at, |before| before.min(at)));
        running.handle.signal(Signal::SIGTERM)
    }

    /// Any signal, to it alone.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        self.running().map_or(Ok(()), |running| running.handle.signal(signal))
    }

    /// Kills it and everything below it and in its group.
    pub fn kill(&mut self) -> io::Result<()> {
        let Some(running) = self.running_mut() else { return Ok(()) };
        running.kill_at.get_or_insert_with(Instant::now);
        // While it is there itself what it has started is found below it; held still, it starts no more.
        running.handle.signal(Signal::SIGSTOP)?;
        descendants::kill_below(running.handle.process().pid);
        running.kill_group()?;
        running.handle.signal(Signal::SIGKILL)
    }

    /// Something else in its place, once it has ended.
    pub(crate) fn replace(&mut self, spec: Spec) -> io::Result<()> {
        self.spec = spec;
        self.start()
    }

    /// Reaps it if it has ended.
    pub(crate) fn reap(&mut self) -> io::Result<Option<(Ended, String)>> {
        let tied = self.spec.placement == Placement::Tied;
        let Some(running) = self.running_mut() else { return Ok(None) };
        if !running.handle.wait(Some(Instant::now()))? {
            return Ok(None);
        }
        // Before it is reaped its number still means this group and no other.
        if tied {
            running.kill_group()?;
        }
        let status = running.child.wait()?;
        let rest = running.lines.as_mut().map(|lines| lines.read(true)).unwrap_or_default();
        let last = running.lines.as_ref().map(Lines::last).unwrap_or_default();
        let ended = Ended { status, asked: running.kill_at.is_some(), last };
        let since = running.since;
        self.state = State::Finished { ended: ended.clone(), since, until: Instant::now() };
        Ok(Some((ended, rest)))
    }
}

impl Running {
    pub fn since(&self) -> Instant {
        self.since
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    fn kill_group(&self) -> io::Result<()> {
        match killpg(Pid::from_raw(self.handle.process().pid), Signal::SIGKILL) {
            Ok(()) | Err(Errno::ESRCH | Errno::EPERM) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}
