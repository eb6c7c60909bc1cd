//! Real children, kept as a roster wants them: started in order, watched, examined, started again, stopped.

mod checks;

use std::collections::{HashMap, HashSet, VecDeque};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use nix::sys::signal::Signal;
use nixbox_state::Process;

use self::checks::Checks;
use crate::descendants;
use crate::event::{Event, Id};
use crate::group::{Ground, Group};
use crate::limits::Limits;
use crate::log::Log;
use crate::notices::Notice;
use crate::roster::{Health, Member, Order, Phase, PlanError, Roster, Taken};
use crate::spec::Spec;
use crate::supervisor::{Supervisor, Waker};
use crate::unit::{Readiness, Unit};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// Lines of a unit's output, each with a newline.
    Output {
        unit: String,
        text: String,
    },
    /// It is at something else now, or not as well as it was.
    Moved {
        unit: String,
        phase: Phase,
    },
    /// Its health check has failed too often.
    Unwell {
        unit: String,
    },
    /// It did not stop in time and was killed.
    GraceOver {
        unit: String,
    },
    /// Its output could not be kept.
    LogFailed {
        unit: String,
        why: String,
    },
    Signal(Signal),
    Woken,
    Deadline,
}

#[derive(Debug)]
pub struct Conductor {
    supervisor: Supervisor,
    roster: Roster,
    /// Where each unit's process is to be found, by the unit's place.
    children: HashMap<usize, Id>,
    units: HashMap<Id, usize>,
    logs: HashMap<usize, Log>,
    checks: Checks,
    /// What was run beside the units and has ended.
    rested: Vec<Id>,
    asides: Vec<Id>,
    /// Those that stand still because each of their processes was told to.
    stopped: HashSet<usize>,
    /// What was told of each last.
    told: Vec<(Phase, Option<Health>)>,
    news: VecDeque<News>,
    socket: Option<PathBuf>,
    /// Where units' commands make their control groups.
    ground: Option<Ground>,
}

impl Conductor {
    /// `socket` is where units say that they are ready.
    pub fn new(mut supervisor: Supervisor, socket: Option<&Path>) -> io::Result<Self> {
        if let Some(socket) = socket {
            supervisor.listen(socket)?;
        }
        Ok(Self {
            supervisor,
            roster: Roster::default(),
            children: HashMap::new(),
            units: HashMap::new(),
            logs: HashMap::new(),
            checks: Checks::default(),
            rested: Vec::new(),
            asides: Vec::new(),
            stopped: HashSet::new(),
            told: Vec::new(),
            news: VecDeque::new(),
            socket: socket.map(Path::to_owned),
            ground: Ground::mine(),
        })
    }

    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.roster.members()
    }

    pub fn member(&self, name: &str) -> Result<&Member, PlanError> {
        self.roster.find(name).map(|at| self.roster.at(at))
    }

    pub fn process(&self, name: &str) -> Option<Process> {
        let id = self.children.get(&self.roster.find(name).ok()?)?;
        self.supervisor.child(*id)?.process()
    }

    pub fn waker(&self) -> Waker {
        self.supervisor.waker()
    }

    /// With `Woken`: at that time of the day, and whenever the clock is set.
    pub fn wake_at(&mut self, at: SystemTime) -> io::Result<()> {
        self.supervisor.wake_at(at)
    }

    pub fn take(&mut self, units: Vec<Unit>, whole: bool) -> Result<Taken, PlanError> {
        self.roster.take(units, whole)
    }

    /// They are to run. `named`: also where they have done so or were stopped.
    pub fn want(&mut self, names: &[String], named: bool) -> Result<(), PlanError> {
        self.roster.want(names, named)
    }

    /// They are to stop; what lives in them stops before. Answers what was there to stop.
    pub fn leave(&mut self, names: &[String], grace: Option<Duration>) -> Result<Vec<String>, PlanError> {
        let left = self.roster.leave(names, grace)?;
        // Those that were told already have less time now.
        if let Some(grace) = grace {
            for name in &left {
                let at = self.roster.find(name)?;
                if let (Phase::Stopping { .. }, Some(&id)) = (&self.roster.at(at).phase, self.children.get(&at)) {
                    let _ = self.supervisor.stop(id, grace);
                }
            }
        }
        Ok(left)
    }

    pub fn again(&mut self, names: &[String], grace: Option<Duration>) -> Result<(), PlanError> {
        self.roster.again(names, grace)
    }

    /// False where there is nothing to send it to.
    pub fn signal(&self, name: &str, signal: Signal) -> Result<bool, PlanError> {
        let at = self.roster.find(name)?;
        let id = self.children.get(&at).filter(|_| self.roster.at(at).is_active());
        Ok(id.is_some_and(|&id| self.supervisor.signal(id, signal).is_ok()))
    }

    /// Has a unit stand still with all that it has started, or go on. False where it does not run, or does so already.
    pub fn pause(&mut self, name: &str, is_paused: bool) -> Result<bool, PlanError> {
        let at = self.roster.find(name)?;
        if !self.roster.pause(at, is_paused) {
            return Ok(false);
        }
        // Goes on as it was held: a group may have come or gone meanwhile.
        let (group, by_signals) = (self.group(at), self.stopped.remove(&at));
        match group {
            // It takes hold of all at once, also of what is about to be started.
            Some(group) if is_paused && group.hold() => {}
            Some(group) if !is_paused && !by_signals => drop(group.freeze(false)),
            _ => {
                let what = if is_paused { Signal::SIGSTOP } else { Signal::SIGCONT };
                if let Some(process) = self.process(name) {
                    descendants::signal_tree(process.pid, what);
                }
                if is_paused {
                    self.stopped.insert(at);
                }
            }
        }
        let phase = self.roster.at(at).phase.clone();
        self.news.push_back(News::Moved { unit: name.to_owned(), phase });
        Ok(true)
    }

    /// Runs something beside the units, which nobody waits for.
    pub fn aside(&mut self, spec: Spec) -> io::Result<()> {
        let id = match self.rested.pop() {
            Some(id) => self.supervisor.replace(id, spec).map(|()| id)?,
            None => self.supervisor.start(spec)?,
        };
        self.asides.push(id);
        Ok(())
    }

    /// What a unit may take from now on. `words` are what its command is started with from the next start on, until its
    /// declaration changes. False where it has no control group, so that they hold only then.
    pub fn limit(&mut self, name: &str, limits: &Limits, words: Vec<OsString>) -> Result<io::Result<bool>, PlanError> {
        let at = self.roster.find(name)?;
        let done = match self.group(at) {
            Some(group) => {
                let before = group.limits();
                let limited = group.limit(&limits.or(before));
                // All or none: what was refused is not half done.
                limited.inspect_err(|_| drop(group.limit(&before))).map(|without| without.is_empty())
            }
            None => Ok(false),
        };
        if done.is_ok() {
            self.roster.with(at, words);
        }
        Ok(done)
    }

    fn group(&self, at: usize) -> Option<Group> {
        self.ground.as_ref()?.find(self.roster.at(at).unit.group.as_deref()?)
    }

    /// All of them, with all below them, and without asking.
    pub fn kill_all(&mut self) -> io::Result<()> {
        for member in self.roster.members().map(|member| member.unit.name.clone()).collect::<Vec<_>>() {
            let _ = self.roster.leave(&[member], Some(Duration::ZERO));
        }
        self.supervisor.kill_all()
    }

    /// Whether anything runs or is about to.
    pub fn is_busy(&self) -> bool {
        self.roster.members().any(Member::is_busy)
    }

    /// What was ordered is begun now, and not only when `next` is asked.
    pub fn settle(&mut self) {
        self.carry_out();
    }

    /// Whether `next` has something to tell without sleeping.
    pub fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// Sleeps until something happens that somebody should know.
    pub fn next(&mut self, deadline: Option<Instant>) -> io::Result<News> {
        loop {
            self.carry_out();
            self.tell();
            if let Some(news) = self.news.pop_front() {
                return Ok(news);
            }
            if deadline.is_some_and(|at| at <= Instant::now()) {
                return Ok(News::Deadline);
            }
            let failed = self.checks.begin_due(&self.roster, &mut self.supervisor)?;
            if !failed.is_empty() {
                failed.into_iter().for_each(|at| self.examined(at, false, Instant::now()));
                continue;
            }
            let until = [deadline, self.roster.next_at(), self.checks.next_at()].into_iter().flatten().min();
            if !self.supervisor.has_queued() {
                self.flush();
            }
            let event = self.supervisor.next(until)?;
            self.hear(event);
        }
    }

    /// What became of one is told before what follows from it for others.
    fn hear(&mut self, event: Event) {
        self.take_in(event);
        self.tell();
    }

    fn take_in(&mut self, event: Event) {
        let now = Instant::now();
        match event {
            Event::Signal(signal) => self.news.push_back(News::Signal(signal)),
            Event::Woken => self.news.push_back(News::Woken),
            Event::Deadline => {}
            Event::Output { child, text } => {
                let Some(&at) = self.units.get(&child) else { return };
                self.keep(at, &text);
                self.news.push_back(News::Output { unit: self.name(at), text });
            }
            Event::Said { child, notice } => {
                if let Some(&at) = self.units.get(&child) {
                    self.said(at, notice, now);
                }
            }
            Event::GraceOver { child } => {
                if let Some(&at) = self.units.get(&child) {
                    self.news.push_back(News::GraceOver { unit: self.name(at) });
                }
            }
            Event::Ended { child, ended } => match self.units.get(&child) {
                Some(&at) => {
                    // Whoever hears of the end can read all that was said.
                    self.flush();
                    self.supervisor.end_strays();
                    // Whose command was killed could not take its group away.
                    let _ = self.group(at).map(|group| group.remove_empty());
                    self.checks.forget(at, &mut self.supervisor);
                    self.roster.ended(at, ended, now);
                }
                None => {
                    if let Some(at) = self.asides.iter().position(|&id| id == child) {
                        self.rested.push(self.asides.swap_remove(at));
                    } else if let Some((at, well)) = self.checks.ended(child, ended.success(), now) {
                        self.examined(at, well, now);
                    }
                }
            },
        }
    }

    fn examined(&mut self, at: usize, well: bool, now: Instant) {
        let was = self.roster.at(at).health;
        self.roster.examined(at, well, now);
        if was != Some(Health::Unwell) && self.roster.at(at).health == Some(Health::Unwell) {
            self.news.push_back(News::Unwell { unit: self.name(at) });
        }
    }

    fn said(&mut self, at: usize, notice: Notice, now: Instant) {
        match notice {
            Notice::Ready => drop(self.roster.said_ready(at, now)),
            Notice::Anew(why) => {
                if self.roster.anew(at, why, now) {
                    self.checks.forget(at, &mut self.supervisor);
                    self.checks.add(at, self.roster.at(at), now);
                }
            }
            Notice::Rests(how) => {
                if self.roster.rests(at, how) {
                    let member = self.roster.at(at);
                    let (unit, phase) = (member.unit.name.clone(), member.phase.clone());
                    self.news.push_back(News::Moved { unit, phase });
                }
            }
        }
    }

    fn carry_out(&mut self) {
        loop {
            let now = Instant::now();
            let orders = self.roster.settle(now);
            if orders.is_empty() {
                return;
            }
            for order in orders {
                match order {
                    Order::Start(at) => match self.start(at) {
                        Ok(()) => {
                            self.roster.started(at, now);
                            self.checks.add(at, self.roster.at(at), now);
                        }
                        Err(error) => self.roster.could_not_start(at, error.to_string(), now),
                    },
                    // What cannot be told has ended, which will be heard.
                    Order::Stop(at, grace) => {
                        // What stands still hears nothing.
                        let name = self.name(at);
                        let _ = self.pause(&name, false);
                        if let Some(&id) = self.children.get(&at) {
                            let _ = self.supervisor.stop(id, grace);
                        }
                    }
                }
                // Each step is told, also one that is over at once.
                self.tell();
            }
        }
    }

    fn start(&mut self, at: usize) -> io::Result<()> {
        let unit = &self.roster.at(at).unit;
        let mut spec = unit.spec.clone().args(&self.roster.at(at).more);
        if let (Readiness::Notified, Some(socket)) = (unit.ready, &self.socket) {
            spec = spec.env("NOTIFY_SOCKET", socket);
        }
        match &unit.log {
            Some(log) => drop(self.logs.insert(at, Log::open(log.clone())?)),
            None => drop(self.logs.remove(&at)),
        }
        match self.children.get(&at) {
            Some(&id) => self.supervisor.replace(id, spec),
            None => {
                let id = self.supervisor.start(spec)?;
                self.children.insert(at, id);
                self.units.insert(id, at);
                Ok(())
            }
        }
    }

    fn keep(&mut self, at: usize, text: &str) {
        let Some(log) = self.logs.get_mut(&at) else { return };
        if let Err(error) = log.add(text) {
            self.not_kept(at, &error);
        }
    }

    /// What came together is written together: a file is not written to for each line.
    fn flush(&mut self) {
        let flushed = self.logs.iter_mut().filter_map(|(&at, log)| Some((at, log.flush().err()?)));
        for (at, error) in flushed.collect::<Vec<_>>() {
            self.not_kept(at, &error);
        }
    }

    /// Said once, and not for each line.
    fn not_kept(&mut self, at: usize, why: &io::Error) {
        self.logs.remove(&at);
        self.news.push_back(News::LogFailed { unit: self.name(at), why: why.to_string() });
    }

    fn name(&self, at: usize) -> String {
        self.roster.at(at).unit.name.clone()
    }

    fn tell(&mut self) {
        for at in 0..self.roster.count() {
            let member = self.roster.at(at);
            match self.told.get_mut(at) {
                None => {
                    self.told.push((member.phase.clone(), member.health));
                    if member.phase == Phase::Idle {
                        continue;
                    }
                }
                Some((phase, health)) => {
                    // That it is not known yet is no news.
                    let is_same = *health == member.health || matches!(member.health, None | Some(Health::Unknown));
                    *health = member.health;
                    if *phase == member.phase && is_same {
                        continue;
                    }
                    *phase = member.phase.clone();
                }
            }
            self.news.push_back(News::Moved { unit: member.unit.name.clone(), phase: member.phase.clone() });
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::print_stdout)]
    use super::*;
    use crate::{Readiness, Restart};

    /// A job that has only just begun has no group yet when it is paused.
    #[test]
    fn what_was_held_before_it_had_a_group_goes_on_when_it_has_one() {
        let Some(ground) = Ground::mine() else { return println!("skipped: this process may make no control group") };
        let name = format!("nixbox-late.{}", std::process::id());
        let folder = tempfile::tempdir().unwrap();
        let said = folder.path().join("said");
        let unit = Unit {
            name: "late".into(),
            spec: Spec::new("/bin/sh").args(["-c", "while :; do echo x >> said; sleep 0.01; done"]).cwd(folder.path()),
            needs: Vec::new(),
            ready: Readiness::Started,
            restart: Restart::default(),
            health: None,
            grace: Duration::from_secs(1),
            log: None,
            apart: false,
            group: Some(name.clone()),
            version: String::new(),
        };
        let mut conductor = Conductor::new(Supervisor::new(&[]).unwrap(), None).unwrap();
        conductor.take(vec![unit], true).unwrap();
        conductor.want(&["late".into()], false).unwrap();
        conductor.settle();
        let length = || std::fs::metadata(&said).map_or(0, |file| file.len());
        let grows = || {
            let (before, end) = (length(), Instant::now() + Duration::from_secs(20));
            while length() == before && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(5));
            }
            length() > before
        };
        assert!(grows());
        assert!(conductor.pause("late", true).unwrap());
        let group = ground.make(&name).unwrap();
        let held = length();
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(length(), held);
        assert!(conductor.pause("late", false).unwrap());
        let goes_on = grows();
        group.remove().unwrap();
        conductor.kill_all().unwrap();
        assert!(goes_on);
    }
}
