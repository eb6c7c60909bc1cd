//! Whoever keeps the times of a project's schedules: one process at a time. It says what is to be run and when to look
//! again, and runs nothing itself.

use std::time::Duration;

use jiff::Timestamp;
use nixbox_calendar::{Calendar, look};
use nixbox_config::{Project, Schedule};
use nixbox_report::Report;
use nixbox_state::{Holder, Lock, LockError};

use super::record::{Records, Weight};
use crate::context::io_failure;
use crate::presence::now;

/// So late one may be that is run: the machine had something else to do.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Keeper {
    records: Records,
    kept: Vec<Kept>,
    _lock: Lock,
}

struct Kept {
    schedule: Schedule,
    calendar: Calendar,
    /// Nobody has kept it until now, so what has come before was missed.
    is_new: bool,
}

/// What came of the wish to keep them.
pub enum Begun {
    Kept(Box<Keeper>),
    /// There are none.
    Nothing,
    /// Somebody else does.
    Held(Option<Holder>),
}

/// What has come.
#[derive(Debug)]
pub enum Task {
    Run(Schedule),
    /// Too late for it.
    Missed(String, Timestamp),
}

impl Keeper {
    pub fn begin(project: &Project) -> Result<Begun, Report> {
        if !project.schedules.values().any(|schedule| schedule.enable) {
            return Ok(Begun::Nothing);
        }
        let records = Records::of(project);
        records.prepare()?;
        let lock = match Lock::acquire(&records.keeper_lock(), &Holder::me(now(), None)?) {
            Ok(lock) => lock,
            Err(LockError::Held(holder)) => return Ok(Begun::Held(holder)),
            Err(LockError::Io { path, source }) => return Err(io_failure("lock", &path, source)),
        };
        let mut keeper = Self { records, kept: Vec::new(), _lock: lock };
        keeper.take(project)?;
        Ok(Begun::Kept(Box::new(keeper)))
    }

    /// As they are declared now.
    pub fn take(&mut self, project: &Project) -> Result<(), Report> {
        let mut kept = Vec::new();
        for schedule in project.schedules.values().filter(|schedule| schedule.enable) {
            let before = self.kept.iter().find(|kept| kept.schedule.name == schedule.name);
            let (times, seen) = (format!("{:?}", schedule.when), Timestamp::now().as_millisecond());
            self.records.change(&schedule.name, Weight::Light, |record| {
                // The times of a new calendar begin now.
                if record.seen.is_none() || record.times.as_ref() != Some(&times) {
                    (record.seen, record.times) = (Some(seen), Some(times));
                }
            })?;
            let is_new = before.is_none_or(|kept| kept.is_new);
            kept.push(Kept { schedule: schedule.clone(), calendar: super::calendar(schedule)?, is_new });
        }
        self.kept = kept;
        Ok(())
    }

    pub fn is_idle(&self) -> bool {
        self.kept.is_empty()
    }

    pub fn has(&self, name: &str) -> bool {
        self.kept.iter().any(|kept| kept.schedule.name == name)
    }

    /// What has come by now, and when to look again.
    pub fn look(&mut self, now: Timestamp) -> Result<(Vec<Task>, Option<Timestamp>), Report> {
        let (mut tasks, mut next) = (Vec::new(), None);
        for Kept { schedule, calendar, is_new } in &mut self.kept {
            let name = &schedule.name;
            let patience = if std::mem::take(is_new) { Duration::ZERO } else { PATIENCE };
            let mut found = None;
            // With nobody in between who pauses it, or lets it go on.
            let record = self.records.change(name, Weight::Light, |record| {
                let seen = record.seen.and_then(|seen| Timestamp::from_millisecond(seen).ok()).unwrap_or(now);
                let looked = look(calendar, seen, now, patience, schedule.catch_up);
                record.seen = Some(looked.seen.as_millisecond());
                if let Some(missed) = looked.missed.filter(|_| !record.paused) {
                    record.missed_at = Some(missed.nominal.as_millisecond());
                }
                found = Some(looked);
            })?;
            let Some(looked) = found else { continue };
            next = [next, looked.next].into_iter().flatten().min();
            match (looked.run, looked.missed) {
                _ if record.paused => {}
                (Some(_), _) => tasks.push(Task::Run(schedule.clone())),
                (None, Some(missed)) => tasks.push(Task::Missed(name.clone(), missed.nominal)),
                (None, None) => {}
            }
        }
        Ok((tasks, next))
    }

    /// It came while it still ran.
    pub fn leave_out(&self, name: &str) -> Result<(), Report> {
        left_out(&self.records, name)
    }
}

/// On record as one that came while another still ran.
pub fn left_out(records: &Records, name: &str) -> Result<(), Report> {
    let now = Timestamp::now().as_millisecond();
    let change = |record: &mut super::Recorded| {
        record.left_out += 1;
        record.left_out_at = Some(now);
    };
    records.change(name, Weight::Light, change).map(drop)
}
