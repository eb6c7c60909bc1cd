//! The other side of the desk.

use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nixbox_config::Project;
use nixbox_control::{decode, encode};
use nixbox_report::{Failure, Report, codes};
use nixbox_state::Process;
use nixbox_supervisor::{Handle, Placement, Sink, Spec, Supervisor};

use super::message::{Answer, Done, Order, UnitStatus};
use super::places::Places;
use super::plan::helper;
use super::waiting::not_started;
use crate::context::Context;

const PATIENCE: Duration = Duration::from_secs(10);
/// Between its lock and its socket.
const COMING: Duration = Duration::from_secs(2);
const RETRY: Duration = Duration::from_millis(2);

/// Whoever keeps the project up.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// And how all is now. `None` where nobody does. One that was killed just now may still take a connection, and says
    /// nothing any more.
    pub fn reach(places: &Places) -> Result<Option<(Self, Follow)>, Report> {
        let until = Instant::now() + COMING;
        loop {
            let Some(client) = Self::find(places) else { return Ok(None) };
            match client.follow()? {
                Some(follow) => return Ok(Some((client, follow))),
                None if Instant::now() > until => return Err(silent(&ErrorKind::UnexpectedEof.into()).into()),
                None => std::thread::sleep(RETRY),
            }
        }
    }

    /// For who has nothing to ask where nobody does.
    pub fn needed(places: &Places) -> Result<(Self, Follow), Report> {
        Self::reach(places)?.ok_or_else(|| not_running().into())
    }

    fn find(places: &Places) -> Option<Self> {
        let until = Instant::now() + COMING;
        loop {
            // Of another environment it is known by its lock.
            let told = places.holder().and_then(|holder| holder.socket);
            for socket in [Some(places.socket.clone()), told.clone()].into_iter().flatten() {
                if UnixStream::connect(&socket).is_ok() {
                    return Some(Self { socket });
                }
            }
            if told.is_none() || Instant::now() > until {
                return None;
            }
            std::thread::sleep(RETRY);
        }
    }

    /// One that stays when we end is begun where nobody does. `reloads`: it follows the configuration.
    pub fn reach_or_begin(project: &Project, reloads: bool, context: &Context) -> Result<(Self, Follow), Report> {
        let places = Places::of(project);
        if let Some(found) = Self::reach(&places)? {
            return Ok(found);
        }
        places.prepare()?;
        let spec = Spec::new(helper()?)
            .args(["supervise"])
            .args((!reloads).then_some("--no-reload"))
            .args(context.forwarded(project)?)
            .placement(Placement::Detached)
            .output(Sink::Append(places.log.clone()));
        Supervisor::new(&[])?.start(spec)?;
        // It comes, or another one was first; either way there will be one.
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = Self::reach(&places)? {
                return Ok(found);
            }
            if Instant::now() > until {
                return Err(not_started(&places).into());
            }
            std::thread::sleep(RETRY);
        }
    }

    /// It runs in another environment, whose runtime folder is another one.
    pub fn is_elsewhere(&self, places: &Places) -> bool {
        self.socket != places.socket
    }

    /// Has it carried out. With `follow`, that has heard of it when this returns.
    pub fn order(&self, order: &Order, follow: &mut Follow) -> Result<Done, Report> {
        let mut stream = self.say(order).map_err(|error| match is_over(&error) {
            true => not_running(),
            false => silent(&error),
        })?;
        let mut line = Vec::new();
        stream.read_until(b'\n', &mut line).map_err(|error| silent(&error))?;
        match decode(&line) {
            Ok(Answer::Refused { code, what, help }) => Err(Answer::as_failure(&code, what, help).into()),
            Ok(Answer::Done(done)) => {
                while follow.orders < done.orders {
                    if let Heard::Over | Heard::Deadline = follow.next(Some(Instant::now() + PATIENCE), None)? {
                        break;
                    }
                }
                Ok(done)
            }
            _ => Err(silent(&ErrorKind::UnexpectedEof.into()).into()),
        }
    }

    /// How all is now, and what changes. `None` when it has ended.
    fn follow(&self) -> Result<Option<Follow>, Report> {
        let stream = match self.say(&Order::Follow) {
            Ok(stream) => stream,
            Err(error) if is_over(&error) => return Ok(None),
            Err(error) => return Err(silent(&error).into()),
        };
        let mut follow = Follow { stream, line: Vec::new(), processes: Vec::new(), units: Vec::new(), orders: 0 };
        match follow.next(Some(Instant::now() + PATIENCE), None)? {
            Heard::Changed(_) => Ok(Some(follow)),
            Heard::Over => Ok(None),
            _ => Err(silent(&ErrorKind::TimedOut.into()).into()),
        }
    }

    fn say(&self, order: &Order) -> io::Result<BufReader<UnixStream>> {
        let mut stream = UnixStream::connect(&self.socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.write_all(&encode(order))?;
        Ok(BufReader::new(stream))
    }
}

fn is_over(error: &io::Error) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionRefused, ConnectionReset, NotFound};
    matches!(error.kind(), NotFound | ConnectionRefused | ConnectionReset | BrokenPipe)
}

fn not_running() -> Failure {
    Failure::new(&codes::SUPERVISOR_NOT_RUNNING, "nothing keeps this project up")
        .why("no `up` of it is running, here or detached")
        .help("start it with `nixbox-helper up`, or `up -d` to go on working here")
}

fn silent(error: &io::Error) -> Failure {
    Failure::new(&codes::SUPERVISOR_SILENT, "what keeps this project up does not answer")
        .why(error)
        .help("`nixbox-helper down` ends it, by force where need be")
}

pub struct Follow {
    stream: BufReader<UnixStream>,
    line: Vec<u8>,
    /// Who keeps it up.
    pub processes: Vec<Process>,
    /// As far as it was heard.
    pub units: Vec<UnitStatus>,
    orders: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// These units; all, at the beginning.
    Changed(Vec<UnitStatus>),
    /// Something that people should know.
    Said(String),
    /// Something can be read from what the caller listens to as well.
    Also,
    Deadline,
    /// It has ended.
    Over,
}

impl Follow {
    pub fn unit(&self, name: &str) -> Option<&UnitStatus> {
        self.units.iter().find(|unit| unit.name == name)
    }

    pub fn next(&mut self, deadline: Option<Instant>, also: Option<BorrowedFd<'_>>) -> Result<Heard, Report> {
        loop {
            if self.stream.buffer().is_empty()
                && let Some(heard) = self.wait(deadline, also)?
            {
                return Ok(heard);
            }
            match self.stream.read_until(b'\n', &mut self.line) {
                Ok(0) => return Ok(Heard::Over),
                Ok(_) if self.line.last() != Some(&b'\n') => return Ok(Heard::Over),
                Ok(_) => {}
                Err(error) if is_over(&error) => return Ok(Heard::Over),
                Err(error) => return Err(silent(&error).into()),
            }
            match decode(&std::mem::take(&mut self.line)) {
                Ok(Answer::Here { processes, units, orders }) => {
                    self.orders = orders;
                    self.processes = processes;
                    self.units = units.clone();
                    return Ok(Heard::Changed(units));
                }
                Ok(Answer::Unit(unit)) => {
                    match self.units.iter_mut().find(|known| known.name == unit.name) {
                        Some(known) => *known = unit.clone(),
                        None => self.units.push(unit.clone()),
                    }
                    return Ok(Heard::Changed(vec![unit]));
                }
                Ok(Answer::Said { text }) => return Ok(Heard::Said(text)),
                // A newer one may have more to say.
                _ => {}
            }
        }
    }

    fn wait(&self, deadline: Option<Instant>, also: Option<BorrowedFd<'_>>) -> Result<Option<Heard>, Report> {
        loop {
            let mut fds = vec![PollFd::new(self.stream.get_ref().as_fd(), PollFlags::POLLIN)];
            fds.extend(also.map(|also| PollFd::new(also, PollFlags::POLLIN)));
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()).as_millis());
            let timeout = left.map_or(PollTimeout::NONE, |left| {
                PollTimeout::try_from(i32::try_from(left + 1).unwrap_or(i32::MAX)).unwrap_or(PollTimeout::MAX)
            });
            match poll(&mut fds, timeout) {
                Err(Errno::EINTR) => continue,
                Err(errno) => return Err(io::Error::from(errno).into()),
                Ok(_) => {}
            }
            let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(true)).collect();
            if ready.get(1) == Some(&true) {
                return Ok(Some(Heard::Also));
            }
            if ready[0] {
                return Ok(None);
            }
            if deadline.is_some_and(|at| at <= Instant::now()) {
                return Ok(Some(Heard::Deadline));
            }
        }
    }

    /// Until it has ended, and with it who looks after it. False when the deadline came first.
    pub fn gone(mut self, deadline: Option<Instant>) -> Result<bool, Report> {
        loop {
            match self.next(deadline, None)? {
                Heard::Over => break,
                Heard::Deadline => return Ok(false),
                _ => {}
            }
        }
        for process in &self.processes {
            if let Some(handle) = Handle::of(*process)?
                && !handle.wait(deadline)?
            {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
