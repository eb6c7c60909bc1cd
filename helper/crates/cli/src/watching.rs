//! The owners that one command has started: their output, their readiness, their ends.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nixbox_config::Instance;
use nixbox_control::Status;
use nixbox_report::{Failure, Report, codes};
use nixbox_supervisor::{Ended, Event, Id, Sink, Spec, Supervisor};

use crate::changes::Changes;
use crate::context::Context;
use crate::output::Tone;
use crate::presence::{Presence, owner_failed, presence};
use crate::readiness::{NotReady, not_ready, until_ready};
use crate::stopping;

/// How long an owner that was found may take to say how far it is.
const LOOK: Duration = Duration::from_secs(2);

pub struct Crew<'c> {
    context: &'c Context,
    supervisor: Supervisor,
    /// Until all are settled: who only supervises must not be woken by what happens in the runtime folder.
    changes: Option<Arc<Changes>>,
    deadline: Option<Instant>,
    members: Vec<Member>,
    tell: Sender<(usize, Result<Status, NotReady>)>,
    told: Receiver<(usize, Result<Status, NotReady>)>,
    /// The first thing that went wrong.
    failure: Option<Report>,
    /// How often somebody wanted us to stop, and by what at first.
    signals: usize,
    interrupted: Option<Signal>,
    /// Somebody else tells the story: neither output nor failures are printed here.
    mute: bool,
}

struct Member {
    instance: Instance,
    /// `None` for one that somebody else started.
    child: Option<Id>,
    /// The length of its log before it was started.
    log_from: u64,
    begun: Instant,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Starting,
    Ready,
    /// Not ready in time, or ended.
    Over,
}

/// What a turn brought that is for the caller to decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    Went,
    Signal(Signal),
}

impl<'c> Crew<'c> {
    pub fn new(context: &'c Context, supervisor: Supervisor, changes: Changes, deadline: Option<Instant>) -> Self {
        let (tell, told) = channel();
        let changes = Some(Arc::new(changes));
        Self {
            context,
            supervisor,
            changes,
            deadline,
            members: Vec::new(),
            tell,
            told,
            failure: None,
            signals: 0,
            interrupted: None,
            mute: false,
        }
    }

    pub fn start(&mut self, instance: &Instance, spec: Spec) -> Result<(), Report> {
        let log_from = instance.paths.log.metadata().map_or(0, |meta| meta.len());
        let program = spec.program.clone();
        let child = self.supervisor.start(spec).map_err(|error| {
            Failure::new(&codes::OWNER_MISSING, format!("{} cannot be started", program.display())).why(error)
        })?;
        self.add(instance, Some(child), log_from);
        Ok(())
    }

    /// Waits for one that runs already, and leaves it alone otherwise.
    pub fn follow(&mut self, instance: &Instance) {
        self.add(instance, None, 0);
    }

    fn add(&mut self, instance: &Instance, child: Option<Id>, log_from: u64) {
        let index = self.members.len();
        let instance = instance.clone();
        let member =
            Member { instance: instance.clone(), child, log_from, begun: Instant::now(), stage: Stage::Starting };
        self.members.push(member);
        let Some(changes) = self.changes.clone() else { return };
        let (tell, waker) = (self.tell.clone(), self.supervisor.waker());
        let deadline = self.deadline;
        let wait = move || {
            let outcome = until_ready(&instance, &changes, deadline);
            drop(changes);
            let _ = tell.send((index, outcome));
            waker.wake();
        };
        if std::thread::Builder::new().stack_size(256 * 1024).spawn(wait).is_err() {
            let _ = self.tell.send((index, Err(NotReady::Silent)));
            self.supervisor.waker().wake();
        }
    }

    /// Those of which it is not known yet whether they come up.
    pub fn unsettled(&self) -> usize {
        self.members.iter().filter(|member| member.stage == Stage::Starting).count()
    }

    pub fn running(&self) -> usize {
        self.supervisor.running()
    }

    /// Of the first thing that went wrong.
    pub fn exit(&self) -> u8 {
        self.failure.as_ref().map_or(0, Report::exit)
    }

    pub fn first_failure(&self) -> Option<Report> {
        self.failure.clone()
    }

    /// For a caller that tells what happens in its own words, failures included.
    pub fn mute(&mut self) {
        self.mute = true;
    }

    /// Sleeps until something happens and tells it.
    pub fn turn(&mut self) -> Result<Turn, Report> {
        match self.supervisor.next(None)? {
            Event::Signal(signal) => {
                self.signals += 1;
                self.interrupted.get_or_insert(signal);
                return Ok(Turn::Signal(signal));
            }
            Event::Line { child, line } => self.line(child, &line),
            Event::Ended { child, ended } => self.ended(child, &ended)?,
            Event::GraceOver { child } => {
                if let Some(member) = self.member(child) {
                    self.context.output.warn(format!("{}: did not stop in time and is killed", member.instance.name));
                }
            }
            Event::Woken => self.settle(),
            Event::Deadline => {}
        }
        Ok(Turn::Went)
    }

    pub fn interrupted(&self) -> Option<Signal> {
        self.interrupted
    }

    /// Stops what was started here, all at once. The second signal of all kills what is left: the first may have
    /// come when the stopping had begun for another reason.
    pub fn stop(&mut self, grace: Duration) -> Result<(), Report> {
        if self.running() > 0 {
            self.note(format!("stopping {}", self.running()));
        }
        self.supervisor.stop_all(grace)?;
        while self.running() > 0 {
            if matches!(self.turn()?, Turn::Signal(_)) && self.signals > 1 {
                self.supervisor.kill_all()?;
            }
        }
        Ok(())
    }

    fn member(&self, child: Id) -> Option<&Member> {
        self.members.iter().find(|member| member.child == Some(child))
    }

    fn line(&self, child: Id, line: &str) {
        let Some(index) = self.members.iter().position(|member| member.child == Some(child)) else { return };
        let width = self.members.iter().map(|member| member.instance.name.len()).max().unwrap_or_default();
        let tone = [Tone::Strong, Tone::Good, Tone::Odd][index % 3];
        let name = format!("{:<width$} |", self.members[index].instance.name);
        self.note(format!("{} {line}", self.context.output.paint_note(tone, &name)));
    }

    fn settle(&mut self) {
        while let Ok((index, outcome)) = self.told.try_recv() {
            let member = &mut self.members[index];
            if member.stage != Stage::Starting {
                continue;
            }
            let name = &member.instance.name;
            match outcome {
                Ok(status) => {
                    member.stage = Stage::Ready;
                    if member.child.is_some() && !self.mute {
                        let word = self.context.output.paint_note(Tone::Good, "ready");
                        let took = member.begun.elapsed();
                        self.context.output.note(format!("{name}: {word} (process {}, after {took:.0?})", status.pid));
                    }
                }
                Err(why) => {
                    member.stage = Stage::Over;
                    let failure = not_ready(name, why, &member.instance.paths.log);
                    self.failed(&failure.into());
                }
            }
        }
        if self.unsettled() == 0 {
            self.changes = None;
        }
    }

    fn ended(&mut self, child: Id, ended: &Ended) -> Result<(), Report> {
        let Some(index) = self.members.iter().position(|member| member.child == Some(child)) else { return Ok(()) };
        let was = std::mem::replace(&mut self.members[index].stage, Stage::Over);
        let member = &self.members[index];
        let (instance, name) = (member.instance.clone(), member.instance.name.clone());
        if ended.asked || (ended.success() && was == Stage::Ready) {
            let by_itself = if ended.asked { "" } else { " by itself" };
            self.note(format!("{name}: stopped{by_itself}"));
        } else {
            let logged = match self.supervisor.child(child).map(|child| &child.spec().output) {
                Some(Sink::Append(log)) => tail(log, member.log_from),
                _ => ended.last.join("\n"),
            };
            let said = owner_failed(&name, ended.status.code(), &logged);
            // Two started it at once, and the other was first: that one is waited for, and was perhaps seen already.
            if is_held(&said) && matches!(presence(&instance, LOOK)?, Presence::Here(_)) {
                self.note(format!("{name}: somebody else has just started it"));
                let member = &mut self.members[index];
                (member.child, member.stage) = (None, was);
                return Ok(());
            }
            // Killed, it had no say, and whether we have heard before that it was ready is chance.
            let killed = ended.status.code().is_none();
            let report = if was == Stage::Ready || killed { died(&name, ended, &logged).into() } else { said };
            self.failed(&report);
        }
        // Its own list of things to undo is empty unless it was killed.
        if !ended.success() && stopping::clear(&instance)? {
            self.context.output.note(format!("{name}: removed the dead mount it left"));
        }
        Ok(())
    }

    fn failed(&mut self, report: &Report) {
        if !self.mute {
            self.context.output.report(report);
        }
        self.failure.get_or_insert_with(|| report.clone());
    }

    fn note(&self, text: String) {
        if !self.mute {
            self.context.output.note(text);
        }
    }
}

fn is_held(report: &Report) -> bool {
    report.failures.iter().all(|failure| failure.code == &codes::OWNER_HELD)
}

fn died(name: &str, ended: &Ended, logged: &str) -> Failure {
    let mut last: Vec<_> = logged.lines().rev().take(8).collect();
    last.reverse();
    let failure = Failure::new(&codes::OWNER_EXITED, format!("the owner of `{name}` ended with {}", ended.describe()));
    let failure = if last.is_empty() { failure } else { failure.why(last.join("\n        ")) };
    failure.help(format!("start it again with `nixbox-helper up {name}`"))
}

/// What was appended since, or the end of that.
fn tail(log: &Path, from: u64) -> String {
    const MOST: u64 = 16 * 1024;
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = std::fs::File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(from.max(length.saturating_sub(MOST))))?;
        let mut text = Vec::new();
        file.take(MOST).read_to_end(&mut text)?;
        Ok(text)
    };
    String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
}
