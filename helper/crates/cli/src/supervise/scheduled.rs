//! What a session runs at certain times: each run is a unit that nobody keeps up, with a log and events of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use nixbox_config::{Overlap, Schedule};
use nixbox_report::Report;
use nixbox_supervisor::Phase;

use super::plan;
use super::session::Session;
use crate::schedule::{Begun, Keeper, Task};

/// So many runs of one schedule at a time.
const MOST: usize = 16;
/// What could not be written down, for one, may be possible later.
const TRY_AGAIN: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(super) struct Scheduled {
    keeper: Option<Box<Keeper>>,
    /// What has been run, by the name of its unit.
    runs: BTreeMap<String, Schedule>,
    /// Those that run once more when they have ended.
    queued: BTreeSet<String>,
}

impl Scheduled {
    pub(super) fn has(&self, unit: &str) -> bool {
        self.runs.contains_key(unit)
    }
}

impl Session<'_> {
    /// The times of all that are declared now are kept from here on, as far as nobody else does.
    pub fn keep_schedules(&mut self) -> Result<(), Report> {
        match &mut self.scheduled.keeper {
            Some(keeper) => keeper.take(&self.project)?,
            None => self.begin()?,
        }
        if self.scheduled.keeper.as_ref().is_some_and(|keeper| keeper.is_idle()) {
            self.scheduled.keeper = None;
        }
        self.run_due();
        Ok(())
    }

    fn begin(&mut self) -> Result<(), Report> {
        match Keeper::begin(&self.project)? {
            Begun::Kept(keeper) => self.scheduled.keeper = Some(keeper),
            Begun::Nothing => {}
            Begun::Held(holder) => {
                let process = holder.map(|holder| format!(" (process {})", holder.process.pid)).unwrap_or_default();
                self.note(format!("another process{process} keeps the schedules"));
            }
        }
        Ok(())
    }

    pub fn keeps_schedules(&self) -> bool {
        self.scheduled.keeper.is_some()
    }

    pub(super) fn leave_schedules(&mut self) {
        self.scheduled.keeper = None;
        self.scheduled.queued.clear();
    }

    /// For one that has nothing else left to do, because that has failed.
    pub fn leave_schedules_alone(&mut self) {
        if !self.conductor.is_busy() {
            self.leave_schedules();
        }
    }

    /// Begins what has come, and sets the alarm for what comes next. Where that cannot be done, all else goes on.
    pub(super) fn run_due(&mut self) {
        if let Err(report) = self.try_run_due() {
            self.complain(&report);
            let _ = self.conductor.wake_at(SystemTime::now() + TRY_AGAIN);
        }
    }

    fn try_run_due(&mut self) -> Result<(), Report> {
        let Some(keeper) = &mut self.scheduled.keeper else { return Ok(()) };
        let (tasks, next) = keeper.look(Timestamp::now())?;
        for task in tasks {
            match task {
                Task::Missed(name, at) => self.note(format!("{name}: missed {at}, and is not caught up with")),
                Task::Run(schedule) => self.run(schedule)?,
            }
        }
        if let Some(next) = next {
            self.conductor.wake_at(SystemTime::from(next))?;
        }
        Ok(())
    }

    fn run(&mut self, schedule: Schedule) -> Result<(), Report> {
        let name = schedule.name.clone();
        let runs = |unit: &str| self.conductor.member(unit).is_ok_and(|member| member.is_busy());
        let unit = match schedule.overlap {
            _ if !runs(&name) => name,
            Overlap::Queue => {
                self.scheduled.queued.insert(name);
                return Ok(());
            }
            Overlap::Allow => match (2..=MOST).map(|number| format!("{name}.{number}")).find(|unit| !runs(unit)) {
                Some(unit) => unit,
                None => return self.leave_out(&name),
            },
            Overlap::Skip => return self.leave_out(&name),
        };
        self.start(unit, schedule)
    }

    fn leave_out(&mut self, name: &str) -> Result<(), Report> {
        self.note(format!("{name}: its time has come, and it still runs"));
        self.scheduled.keeper.as_ref().map_or(Ok(()), |keeper| keeper.leave_out(name))
    }

    fn start(&mut self, name: String, schedule: Schedule) -> Result<(), Report> {
        let unit = plan::run(&name, &schedule, &self.project, self.context)?;
        self.scheduled.runs.insert(name.clone(), schedule);
        self.up(vec![unit], &[name], true, false)?;
        self.conductor.settle();
        Ok(())
    }

    /// Of a run: told in a line, and no failure of what is kept up.
    pub(super) fn run_moved(&mut self, unit: &str, phase: &Phase) {
        match phase {
            Phase::Completed => self.note(format!("{unit}: has run")),
            Phase::Failed(why) => self.warn(format!("{unit}: {why}")),
            Phase::Stopped => self.note(format!("{unit}: stopped")),
            _ => return,
        }
        if self.scheduled.queued.remove(unit)
            && self.scheduled.keeper.as_ref().is_some_and(|keeper| keeper.has(unit))
            && let Some(schedule) = self.scheduled.runs.get(unit)
            && let Err(report) = self.start(unit.to_owned(), schedule.clone())
        {
            self.complain(&report);
        }
    }
}
