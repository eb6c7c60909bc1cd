//! What became of each unit, as a file: for those who look while nobody keeps the project up, and for who does so next.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use nixbox_config::Project;
use nixbox_report::Report;
use nixbox_state::{Process, clear_begun, publish_json, read_json, write_json};
use nixbox_supervisor::end_tree;
use serde::{Deserialize, Serialize};

use super::message::{State, UnitStatus};
use super::places::Places;
use crate::context::io_failure;

/// The version of the file; another one is left alone.
const VERSION: u32 = 1;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Recorded {
    version: u32,
    /// Processes of before the machine was started mean nothing.
    boot: String,
    /// Who keeps them up: the process that does, and the one that looks after that.
    pub processes: Vec<Process>,
    pub units: BTreeMap<String, UnitStatus>,
}

impl Recorded {
    /// What is on record, with what is no longer true set right: a process that is gone runs no more.
    pub fn load(places: &Places) -> Option<Self> {
        // One that is torn or of another version is as if it were not there: it says nothing that could not be lost.
        let mut found: Self = read_json(&places.state).ok().flatten().filter(|one: &Self| one.version == VERSION)?;
        let is_of_now = found.boot == boot();
        found.processes.retain(|process| is_of_now && process.is_alive());
        for unit in found.units.values_mut().filter(|unit| unit.state.is_busy()) {
            if !is_of_now || !unit.process().is_some_and(|process| process.is_alive()) {
                (unit.state, unit.pid, unit.start_time) = (State::Stopped, None, None);
            }
        }
        Some(found)
    }

    /// Ends what runs and nobody keeps up any more. Owners are found by their locks; commands have none.
    pub fn end_orphans(&self, project: &Project) -> Vec<String> {
        // The unit of a made instance is not its owner, but a command that has one.
        let is_owner = |name: &str| project.instances.get(name).is_some_and(|instance| instance.made.is_none());
        let orphans = self.units.values().filter(|unit| !is_owner(&unit.name));
        let orphans = orphans.filter_map(|unit| Some((unit.name.clone(), unit.process().filter(Process::is_alive)?)));
        orphans.map(|(name, process)| (name, end_tree(process)).0).collect()
    }
}

#[derive(Debug)]
pub struct Record {
    path: PathBuf,
    now: Recorded,
    is_new: bool,
    /// Something has ended, which is to be known also after the machine was switched off.
    is_weighty: bool,
}

impl Record {
    /// Goes on with what is there.
    pub fn begin(places: &Places, processes: Vec<Process>) -> Result<Self, Report> {
        clear_begun(&places.state);
        let units = Recorded::load(places).map(|found| found.units).unwrap_or_default();
        let now = Recorded { version: VERSION, boot: boot(), processes, units };
        let mut record = Self { path: places.state.clone(), now, is_new: true, is_weighty: true };
        record.save()?;
        Ok(record)
    }

    pub fn note(&mut self, unit: UnitStatus) {
        self.is_new = true;
        self.is_weighty |= matches!(unit.state, State::Stopped | State::Completed | State::Failed);
        self.now.units.insert(unit.name.clone(), unit);
    }

    /// Where something was noted since.
    pub fn save(&mut self) -> Result<(), Report> {
        if !std::mem::take(&mut self.is_new) {
            return Ok(());
        }
        let done = match std::mem::take(&mut self.is_weighty) {
            true => write_json(&self.path, &self.now, 0o600),
            false => publish_json(&self.path, &self.now, 0o600),
        };
        done.map_err(|error| io_failure("write", &self.path, error))
    }

    /// Nobody keeps anything up any more.
    pub fn end(mut self) -> Result<(), Report> {
        self.now.processes.clear();
        (self.is_new, self.is_weighty) = (true, true);
        self.save()
    }
}

fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}
