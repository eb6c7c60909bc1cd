//! Keeping up what a plan says, telling what happens and obeying who asks.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nixbox_config::{HookEvent, Project};
use nixbox_report::{Failure, Report, codes};
use nixbox_state::Process;
use nixbox_supervisor::{
    Conductor, Log, LogFile, Member, News, Phase, PlanError, Sink, Spec, Supervisor, Taken, Unit, Why,
};
use serde_json::json;

use super::desk::Desk;
use super::failure::{not_limited, plan_refused, unit_failed};
use super::message::{Answer, Done, Health, Order, State, UnitStatus};
use super::places::Places;
use super::plan::helper;
use super::record::Record;
use super::scheduled::Scheduled;
use super::waiting::ready;
use crate::confine;
use crate::context::Context;
use crate::output::Tone;
use crate::stopping;

pub struct Session<'c> {
    pub(super) context: &'c Context,
    pub(super) project: Project,
    /// Those that somebody has asked for; without, it is all that are declared.
    asked: Option<BTreeSet<String>>,
    pub(super) conductor: Conductor,
    pub(super) scheduled: Scheduled,
    desk: Option<Desk>,
    record: Option<Record>,
    /// Each thing that became of a unit, one a line.
    events: Option<Log>,
    processes: Vec<Process>,
    /// Those that were ready since they were last started, and those that were killed when they last stopped.
    was_ready: BTreeSet<String>,
    killed: BTreeSet<String>,
    /// Those that are to be started again.
    restarted: BTreeSet<String>,
    /// How each was when it was told of last.
    told: BTreeMap<String, UnitStatus>,
    first_failure: Option<Report>,
    signals: usize,
    interrupted: Option<Signal>,
    orders: u64,
    is_ending: bool,
    has_rested: bool,
    mute: bool,
    is_short: bool,
    /// While this is set a picture shows what happens, and nothing is printed into it.
    is_drawn: Arc<AtomicBool>,
    unsaid: Vec<Report>,
}

/// What a turn brought that is for the caller to decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    Went,
    Signal(Signal),
    Deadline,
}

impl<'c> Session<'c> {
    pub fn new(
        context: &'c Context,
        project: &Project,
        supervisor: Supervisor,
        places: &Places,
    ) -> Result<Self, Report> {
        places.prepare()?;
        Ok(Self {
            context,
            project: project.clone(),
            asked: Some(BTreeSet::new()),
            conductor: Conductor::new(supervisor, Some(&places.notices))?,
            scheduled: Scheduled::default(),
            desk: None,
            record: None,
            events: None,
            processes: Vec::new(),
            was_ready: BTreeSet::new(),
            killed: BTreeSet::new(),
            restarted: BTreeSet::new(),
            told: BTreeMap::new(),
            first_failure: None,
            signals: 0,
            interrupted: None,
            orders: 0,
            is_ending: false,
            has_rested: false,
            mute: false,
            is_short: false,
            is_drawn: Arc::default(),
            unsaid: Vec::new(),
        })
    }

    /// From now on it obeys others, and writes down what becomes of all. Whoever has the lock may.
    pub fn open(&mut self, places: &Places, processes: Vec<Process>) -> Result<(), Report> {
        if let Some(found) = super::Recorded::load(places) {
            for name in found.end_orphans(&self.project) {
                self.note(format!("{name}: ended what was left of it"));
            }
        }
        confine::clear(&self.project);
        self.record = Some(Record::begin(places, processes.clone())?);
        self.processes = processes;
        self.events = Log::open(LogFile { path: places.events.clone(), max_size: 1 << 20, keep: 2 }).ok();
        self.desk = Some(Desk::open(&places.socket, self.conductor.waker())?);
        Ok(())
    }

    /// For a caller that tells what happens in its own words, failures included.
    pub fn mute(&mut self) {
        self.mute = true;
    }

    /// Whoever draws a picture says by this when it is there.
    pub fn drawn(&self) -> Arc<AtomicBool> {
        self.is_drawn.clone()
    }

    /// What went wrong while it was there.
    pub fn unsaid(&mut self) -> Vec<Report> {
        std::mem::take(&mut self.unsaid)
    }

    fn is_mute(&self) -> bool {
        self.mute || self.is_drawn.load(Ordering::Acquire)
    }

    /// What units say is kept in files, and not told.
    pub fn leave_out_lines(&mut self) {
        self.is_short = true;
    }

    pub fn up(&mut self, units: Vec<Unit>, names: &[String], named: bool, whole: bool) -> Result<Taken, Report> {
        let refused = |error: PlanError| Report::from(plan_refused(&error));
        let taken = self.conductor.take(units, whole).map_err(refused)?;
        self.conductor.want(names, named).map_err(refused)?;
        match &mut self.asked {
            _ if whole => self.asked = None,
            Some(asked) => asked.extend(names.iter().cloned()),
            None => {}
        }
        Ok(taken)
    }

    /// As `up` after a change, but that nothing runs for it that would not have run without the change.
    fn reload(&mut self, mut units: Vec<Unit>) -> Result<Taken, Report> {
        if let Some(asked) = &self.asked {
            let needed = with_needs(asked, &units);
            units.retain(|unit| needed.contains(&unit.name));
        }
        let is_at_rest = |member: &Member| !member.is_busy() && (member.by_hand || member.phase == Phase::Completed);
        let rests: Vec<_> = self.conductor.members().filter(|member| is_at_rest(member)).collect();
        let rests: BTreeSet<_> = rests.into_iter().map(|member| member.unit.name.clone()).collect();
        let refused = |error: PlanError| Report::from(plan_refused(&error));
        let taken = self.conductor.take(units, true).map_err(refused)?;
        let mut wanted: Vec<_> = taken.added.iter().chain(&taken.changed).cloned().collect();
        // What only failed because of those has a chance now.
        let lacked = |member: &&Member| matches!(member.phase, Phase::Failed(Why::Needs(_)));
        if !wanted.is_empty() {
            wanted.extend(self.conductor.members().filter(lacked).map(|member| member.unit.name.clone()));
        }
        wanted.retain(|name| !rests.contains(name));
        self.conductor.want(&wanted, false).map_err(refused)?;
        for name in &taken.added {
            self.note(format!("{name}: is new, and starts"));
        }
        for name in taken.changed.iter().filter(|name| wanted.contains(name)) {
            self.note(format!("{name}: has changed, and is restarted"));
        }
        for name in &taken.removed {
            self.note(format!("{name}: is no longer declared, and stops"));
        }
        Ok(taken)
    }

    /// What was ordered is of a configuration that may be another one by now.
    fn look_again(&mut self) {
        if let Ok(project) = self.context.project()
            && project.data_dir == self.project.data_dir
        {
            self.project = project;
        }
    }

    pub fn stop_all(&mut self, grace: Option<Duration>) -> Result<(), Report> {
        let running = self.conductor.members().filter(|member| member.is_active()).count();
        if running > 0 {
            self.note(format!("stopping {running}"));
        }
        let names: Vec<_> = self.conductor.members().map(|member| member.unit.name.clone()).collect();
        self.conductor.leave(&names, grace).map_err(|error| plan_refused(&error))?;
        Ok(())
    }

    /// Until nothing runs. The second signal of all kills what is left: the first may have come when the stopping had
    /// begun for another reason.
    pub fn end(&mut self, grace: Option<Duration>) -> Result<(), Report> {
        self.is_ending = true;
        self.leave_schedules();
        self.stop_all(grace)?;
        while self.is_busy() {
            if matches!(self.turn(None)?, Turn::Signal(_)) && self.signals > 1 {
                self.conductor.kill_all()?;
            }
        }
        Ok(())
    }

    /// Takes everything away that this has made for others to find it.
    pub fn close(mut self) -> Result<(), Report> {
        while self.conductor.has_news() {
            self.turn(Some(Instant::now()))?;
        }
        self.record.take().map_or(Ok(()), Record::end)
    }

    pub fn is_busy(&self) -> bool {
        self.conductor.is_busy() || self.keeps_schedules()
    }

    /// Of which it is not known yet whether they come up.
    pub fn unsettled(&self) -> Vec<UnitStatus> {
        self.statuses().into_iter().filter(|unit| unit.state.is_coming()).collect()
    }

    pub fn statuses(&self) -> Vec<UnitStatus> {
        self.conductor
            .members()
            .map(|member| self.status(&member.unit.name))
            .collect::<Result<_, _>>()
            .unwrap_or_default()
    }

    fn status(&self, name: &str) -> Result<UnitStatus, PlanError> {
        let member = self.conductor.member(name)?;
        Ok(UnitStatus::of(member, self.conductor.process(name), self.killed.contains(name)))
    }

    /// All is known that there is to know of what was ordered.
    pub fn is_settled(&self) -> bool {
        !self.conductor.has_news() && self.unsettled().is_empty()
    }

    /// Of the first thing that went wrong for good.
    pub fn exit(&self) -> u8 {
        self.first_failure.as_ref().map_or(0, Report::exit)
    }

    pub fn first_failure(&self) -> Option<Report> {
        self.first_failure.clone()
    }

    pub fn interrupted(&self) -> Option<Signal> {
        self.interrupted
    }

    pub fn failed(&mut self, report: &Report) {
        match (self.mute, self.is_mute()) {
            (true, _) => {}
            (false, true) => self.unsaid.push(report.clone()),
            (false, false) => self.context.output.report(report),
        }
        self.first_failure.get_or_insert_with(|| report.clone());
    }

    /// Sleeps until something happens and tells it.
    pub fn turn(&mut self, deadline: Option<Instant>) -> Result<Turn, Report> {
        if !self.conductor.has_news() {
            self.save();
            self.rest();
        }
        match self.conductor.next(deadline)? {
            News::Signal(signal) => {
                self.signals += 1;
                self.interrupted.get_or_insert(signal);
                return Ok(Turn::Signal(signal));
            }
            News::Deadline => return Ok(Turn::Deadline),
            News::Woken => {
                self.obey()?;
                self.run_due();
            }
            News::Output { unit, text } => self.said(&unit, &text),
            News::Moved { unit, phase } => self.moved(&unit, &phase)?,
            News::Unwell { unit } => self.fire(&unit, HookEvent::Unhealthy, &json!({})),
            News::GraceOver { unit } => {
                self.killed.insert(unit.clone());
                self.warn(format!("{unit}: did not stop in time and is killed"));
            }
            News::LogFailed { unit, why } => self.warn(format!("{unit}: its output is not kept: {why}")),
        }
        Ok(Turn::Went)
    }

    /// When all is up for the first time: from here on little is to be done.
    fn rest(&mut self) {
        if !self.has_rested && self.is_busy() && self.unsettled().is_empty() {
            self.has_rested = true;
            nixbox_supervisor::give_back();
        }
    }

    /// What cannot be written down is said once: all goes on without.
    fn save(&mut self) {
        if let Some(Err(report)) = self.record.as_mut().map(Record::save) {
            self.record = None;
            self.complain(&report);
        }
    }

    fn obey(&mut self) -> Result<(), Report> {
        while let Some((order, reply)) = self.desk.as_ref().and_then(Desk::next) {
            if let Order::Follow = order {
                self.follow(reply);
                continue;
            }
            let answer = match self.carry_out(order) {
                Ok(done) => {
                    self.conductor.settle();
                    self.orders += 1;
                    let here = self.here();
                    if let Some(desk) = &mut self.desk {
                        desk.tell(&here);
                    }
                    Answer::Done(Done { orders: self.orders, stays: self.keeps_schedules(), ..done })
                }
                Err(report) => Answer::refused(report.failures.first()),
            };
            let _ = reply.try_send(answer);
        }
        Ok(())
    }

    fn follow(&mut self, reply: SyncSender<Answer>) {
        if let (Ok(()), Some(desk)) = (reply.try_send(self.here()), &mut self.desk) {
            desk.add(reply);
        }
    }

    fn here(&self) -> Answer {
        Answer::Here { processes: self.processes.clone(), units: self.statuses(), orders: self.orders }
    }

    fn carry_out(&mut self, order: Order) -> Result<Done, Report> {
        let refused = |error: PlanError| Report::from(plan_refused(&error));
        let done = |names| Done { names, ..Done::default() };
        let grace = |millis: Option<u64>| millis.map(Duration::from_millis);
        let all = |names: Vec<String>, conductor: &Conductor| match names.is_empty() {
            true => conductor.members().map(|member| member.unit.name.clone()).collect(),
            false => names,
        };
        match order {
            Order::Follow => Ok(done(Vec::new())),
            Order::Up { units, names, named, whole } => {
                if self.is_ending {
                    return Err(Failure::new(&codes::OWNER_STOPPING, "what keeps this project up is about to end")
                        .help("try again")
                        .into());
                }
                self.look_again();
                let taken = self.up(units, &names, named, whole)?;
                if whole {
                    self.keep_schedules()?;
                }
                for name in &taken.changed {
                    self.note(format!("{name}: changed"));
                }
                for name in &taken.removed {
                    self.note(format!("{name}: no longer declared"));
                }
                Ok(Done { names: taken.added, changed: taken.changed, removed: taken.removed, ..Done::default() })
            }
            // What ends takes nothing on.
            Order::Reload { .. } if self.is_ending => Ok(done(Vec::new())),
            Order::Reload { units } => {
                self.look_again();
                let taken = self.reload(units)?;
                if self.asked.is_none() {
                    self.keep_schedules()?;
                }
                Ok(Done { names: taken.added, changed: taken.changed, removed: taken.removed, ..Done::default() })
            }
            Order::Say { text } => {
                if let Some(desk) = &mut self.desk {
                    desk.tell(&Answer::Said { text });
                }
                Ok(done(Vec::new()))
            }
            Order::Stop { names, grace_ms } => {
                if names.is_empty() {
                    self.leave_schedules();
                }
                let names = all(names, &self.conductor);
                self.conductor.leave(&names, grace(grace_ms)).map(done).map_err(refused)
            }
            Order::Restart { names, grace_ms } => {
                let mut names = all(names, &self.conductor);
                names.retain(|name| !self.scheduled.has(name));
                self.conductor.again(&names, grace(grace_ms)).map_err(refused)?;
                Ok(done(names))
            }
            Order::Pause { names, is_paused } => {
                let mut changed = Vec::new();
                for name in names {
                    if self.conductor.pause(&name, is_paused).map_err(refused)? {
                        changed.push(name);
                    }
                }
                Ok(done(changed))
            }
            Order::Limit { names, limits, words } => {
                let words: Vec<OsString> = words.into_iter().map(OsString::from).collect();
                let mut changed = Vec::new();
                for name in names {
                    match self.conductor.limit(&name, &limits, words.clone()).map_err(refused)? {
                        Ok(true) => changed.push(name),
                        Ok(false) => {}
                        Err(error) => return Err(not_limited(&name, &error).into()),
                    }
                }
                Ok(done(changed))
            }
            Order::Signal { name, signal } => {
                let signal = Signal::try_from(signal)
                    .map_err(|_| Report::from(Failure::new(&codes::USAGE, format!("there is no signal {signal}"))))?;
                match self.conductor.signal(&name, signal).map_err(refused)? {
                    true => Ok(done(vec![name])),
                    false => Err(Failure::new(&codes::UNIT_NOT_RUNNING, format!("`{name}` does not run"))
                        .help(format!("start it with `nixbox-helper up {name}`"))
                        .into()),
                }
            }
        }
    }

    fn moved(&mut self, name: &str, phase: &Phase) -> Result<(), Report> {
        let Ok(status) = self.status(name) else { return Ok(()) };
        let instance = self.project.instances.get(name).cloned();
        let before = self.told.insert(name.to_owned(), status.clone());
        // Two steps that came together were told as one.
        if before.as_ref().is_some_and(|before| before.says_the_same_as(&status)) {
            return Ok(());
        }
        if before.as_ref().is_none_or(|before| before.starts != status.starts) {
            self.was_ready.remove(name);
            self.killed.remove(name);
        }
        if status.restarts > before.as_ref().map_or(0, |before| before.restarts) {
            self.restarted.insert(name.to_owned());
        }
        if matches!(phase, Phase::Starting { .. } | Phase::Ready { .. }) && self.restarted.remove(name) {
            let (restarts, code, signal) = (status.restarts, status.exit_code, status.signal);
            let told = json!({ "restarts": restarts, "exit_code": code, "signal": signal });
            self.fire(name, HookEvent::Restarted, &told);
        }
        let is_run = self.scheduled.has(name);
        match phase {
            _ if is_run => self.run_moved(name, phase),
            _ if before.as_ref().is_some_and(|before| before.paused != status.paused) && status.pid.is_some() => {
                self.note(format!("{name}: {}", if status.paused { "paused" } else { "goes on" }));
            }
            Phase::Ready { .. } if before.as_ref().is_some_and(|before| before.differs_in_health(&status)) => {
                match (before.and_then(|before| before.health), status.health) {
                    (_, Some(Health::Unhealthy)) => self.warn(format!("{name}: unhealthy")),
                    (Some(Health::Unhealthy), Some(Health::Healthy)) => self.note(format!("{name}: healthy again")),
                    _ => {}
                }
            }
            // What it has to say of that comes from itself.
            Phase::Ready { .. } if status.state == State::Resting => {}
            Phase::Ready { .. } => {
                self.was_ready.insert(name.to_owned());
                self.note(format!("{name}: {}", ready(&status, self.context)));
            }
            Phase::Stopped if status.starts > 0 => self.note(format!("{name}: stopped")),
            Phase::Completed => match instance {
                Some(_) => self.note(format!("{name}: stopped by itself")),
                None => self.note(format!("{name}: completed")),
            },
            Phase::BackingOff { why, .. } => {
                let wait = Duration::from_millis(status.wait_ms.unwrap_or_default());
                self.warn(format!("{name}: {why}; it is started again in {wait:.0?}"));
            }
            Phase::Failed(_) => {
                let report = unit_failed(&status, instance.is_some(), self.was_ready.contains(name));
                self.failed(&report);
            }
            _ => {}
        }
        // Its own list of things to undo is empty unless it was killed, and the next start clears up as well.
        if let (Phase::Failed(_) | Phase::Stopped, Some(instance)) = (phase, &instance)
            && status.exit_code != Some(0)
            && status.starts > 0
            && stopping::clear(instance)?
        {
            self.note(format!("{name}: removed the dead mount it left"));
        }
        if let (Some(events), Ok(text)) = (&mut self.events, serde_json::to_string(&status)) {
            let _ = events.write(&text);
        }
        if let Some(record) = &mut self.record {
            record.note(status.clone());
        }
        if let Some(desk) = &mut self.desk {
            desk.tell(&Answer::Unit(status));
        }
        Ok(())
    }

    /// By a process of its own: this one waits for nobody. As the configuration is now.
    fn fire(&mut self, name: &str, event: HookEvent, told: &serde_json::Value) {
        let Ok(project) = self.context.project() else { return };
        if !project.instances.get(name).is_some_and(|instance| instance.hooks.contains_key(&event)) {
            return;
        }
        let begun = helper().and_then(|helper| {
            let spec = Spec::new(helper)
                .args(["hook", name, event.as_str(), &told.to_string()])
                .args(self.context.forwarded(&project)?)
                .cwd(&project.root)
                .output(Sink::Null);
            Ok(self.conductor.aside(spec)?)
        });
        if let Err(report) = begun {
            let why = report.failures.first().map(|failure| failure.what.clone()).unwrap_or_default();
            self.warn(format!("{name}: the commands for `{event}` cannot be run: {why}"));
        }
    }

    fn said(&self, unit: &str, text: &str) {
        if self.is_mute() || self.is_short {
            return;
        }
        let names = || self.conductor.members().map(|member| member.unit.name.as_str());
        let Some(index) = names().position(|name| name == unit) else { return };
        let width = names().map(str::len).max().unwrap_or_default();
        let tone = [Tone::Strong, Tone::Good, Tone::Odd][index % 3];
        let name = self.context.output.paint_note(tone, &format!("{unit:<width$} |"));
        text.lines().for_each(|line| self.note(format!("{name} {line}")));
    }

    /// Of something that all else goes on without.
    pub(super) fn complain(&self, report: &Report) {
        if !self.is_mute() {
            self.context.output.report(report);
        }
    }

    pub(super) fn note(&self, text: String) {
        if !self.is_mute() {
            self.context.output.note(text);
        }
    }

    pub(super) fn warn(&self, text: String) {
        if !self.is_mute() {
            self.context.output.warn(text);
        }
    }
}

/// These, and what they need.
fn with_needs(names: &BTreeSet<String>, units: &[Unit]) -> BTreeSet<String> {
    let mut next: Vec<_> = names.iter().collect();
    let mut found = BTreeSet::new();
    while let Some(name) = next.pop() {
        if let Some(unit) = units.iter().find(|unit| unit.name == *name)
            && found.insert(name.clone())
        {
            next.extend(unit.needs.iter().map(|need| &need.unit));
        }
    }
    found
}
