use std::collections::BTreeMap;
use std::time::Duration;

use nixbox_config::Project;
use nixbox_report::Report;
use schemars::JsonSchema;
use serde::Serialize;

use super::DONE;
use crate::context::Context;
use crate::output::Cell;
use crate::progress::size;
use crate::select;
use crate::supervise::{self, Client, Follow, Heard, Places, UnitStatus};
use crate::usage::Usage;

/// Show what instances and jobs take of the machine, and what is asked of their files
///
/// Processors and memory of each with all that it has started, of how much where it is held to something, and for instances
/// what is read and written, by whomever, and how large the database is. Again every second until Ctrl-C, or once with
/// --no-stream. With --json each look is an object on a line of its own; once, it is one answer. For what `up` keeps up.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  nixbox-helper stats --no-stream\n  nixbox-helper stats --no-stream --json | jq '.units[] | select(.cpu_percent > 50)'"
)]
pub struct Args {
    /// Only these instances and jobs
    pub names: Vec<String>,
    /// Once
    #[arg(long)]
    pub no_stream: bool,
}

#[derive(Serialize, JsonSchema)]
pub struct Answer {
    pub units: Vec<Row>,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Row {
    pub name: String,
    pub pid: i32,
    /// How many processes it is
    pub processes: usize,
    /// Of one processor, since the last look
    pub cpu_percent: f64,
    /// What of it is in memory
    pub memory_bytes: u64,
    /// Processes and threads of a job's command, where it has a control group
    pub pids: Option<u64>,
    /// What that may take, where it is held to anything
    pub limits: Option<Limits>,
    /// Of an instance, as its owner counts it
    pub files: Option<Files>,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Limits {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids: Option<u64>,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Files {
    /// What was asked of them since the owner started, by the mount, verbs and tools
    pub operations: u64,
    pub operations_per_second: f64,
    pub reads: u64,
    pub read_bytes: u64,
    pub read_bytes_per_second: f64,
    pub writes: u64,
    pub written_bytes: u64,
    pub written_bytes_per_second: f64,
    pub open_files: u64,
    pub database_bytes: u64,
    /// Of its log, which is not yet in the database file
    pub log_bytes: u64,
}

/// From one look to the next: less says little of a processor.
pub const BETWEEN: Duration = Duration::from_secs(1);
pub const HEADING: [&str; 9] =
    ["NAME", "PID", "PROCESSES", "CPU", "MEMORY", "OPERATIONS/S", "READ/S", "WRITTEN/S", "DATABASE"];

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let project = context.project()?;
    let names = select::all_full(&project, &args.names)?;
    let mut follow = begin(&names, &project)?;
    stream(&names, args.no_stream, |_| {}, &mut follow, &project, context)
}

/// To whoever keeps them up, if these are names of what there is.
pub fn begin(names: &[String], project: &Project) -> Result<Follow, Report> {
    let is_known = |name: &&String| project.instances.contains_key(*name) || project.jobs.contains_key(*name);
    if let Some(name) = names.iter().find(|name| !is_known(name)) {
        return Err(supervise::unknown(project, name).into());
    }
    Client::needed(&Places::of(project)).map(|(_, follow)| follow)
}

/// Look after look, sorted by `sort`.
pub fn stream(
    names: &[String],
    once: bool,
    sort: impl Fn(&mut Vec<Row>),
    follow: &mut Follow,
    project: &Project,
    context: &Context,
) -> Result<u8, Report> {
    let mut usage = Usage::default();
    usage.look_into(&follow.units, project);
    loop {
        let until = std::time::Instant::now() + BETWEEN;
        loop {
            match follow.next(Some(until), None)? {
                Heard::Deadline => break,
                Heard::Over => return Ok(DONE),
                _ => {}
            }
        }
        usage.look_into(&follow.units, project);
        let mut units = rows(&follow.units, names, &usage);
        sort(&mut units);
        let answer = Answer { units };
        if once {
            show(answer, context)?;
            return Ok(DONE);
        }
        if context.output.json {
            let line = serde_json::to_string(&answer).map_err(std::io::Error::other)? + "\n";
            if !context.output.open_data(line)? {
                return Ok(DONE);
            }
        } else {
            show(answer, context)?;
        }
    }
}

/// Of what runs, by name.
pub fn rows(units: &[UnitStatus], names: &[String], usage: &Usage) -> Vec<Row> {
    let wanted = units.iter().filter(|unit| names.is_empty() || names.contains(&unit.name));
    let row = |unit: &UnitStatus| {
        let taken = usage.of(&unit.name)?;
        let row = Row {
            name: unit.name.clone(),
            pid: unit.pid?,
            processes: taken.processes,
            cpu_percent: tenths(taken.cpu),
            memory_bytes: taken.memory,
            pids: taken.pids,
            limits: Limits::of(taken.limits),
            files: taken.files.map(|files| Files {
                operations: files.so_far.operations,
                operations_per_second: tenths(files.operations),
                reads: files.so_far.reads,
                read_bytes: files.so_far.read_bytes,
                read_bytes_per_second: files.read.round(),
                writes: files.so_far.writes,
                written_bytes: files.so_far.written_bytes,
                written_bytes_per_second: files.written.round(),
                open_files: files.so_far.open_files,
                database_bytes: files.so_far.database_bytes,
                log_bytes: files.so_far.log_bytes,
            }),
        };
        Some((unit.name.clone(), row))
    };
    wanted.filter_map(row).collect::<BTreeMap<_, _>>().into_values().collect()
}

fn tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

impl Limits {
    fn of(limits: nixbox_supervisor::Limits) -> Option<Self> {
        let nixbox_supervisor::Limits { cpu, memory, pids } = limits;
        let some = Self { cpu: cpu.map(|cpu| cpu as f64 / 1000.0), memory_bytes: memory, pids };
        (!limits.is_none()).then_some(some)
    }
}

impl Row {
    /// In the order of `HEADING`.
    pub fn cells(&self) -> [String; 9] {
        let dash = || "-".to_owned();
        let of = |of: fn(&Files) -> String| self.files.as_ref().map_or_else(dash, of);
        [
            self.name.clone(),
            self.pid.to_string(),
            self.processes.to_string(),
            self.cpu(),
            self.memory(),
            of(|files| format!("{:.0}", files.operations_per_second)),
            of(|files| size(files.read_bytes_per_second as u64)),
            of(|files| size(files.written_bytes_per_second as u64)),
            of(|files| size(files.database_bytes + files.log_bytes)),
        ]
    }

    fn cpu(&self) -> String {
        match self.limits.as_ref().and_then(|limits| limits.cpu) {
            Some(most) => format!("{:.1} of {:.0} %", self.cpu_percent, most * 100.0),
            None => format!("{:.1} %", self.cpu_percent),
        }
    }

    /// And of how much.
    fn memory(&self) -> String {
        match self.limits.as_ref().and_then(|limits| limits.memory_bytes) {
            Some(most) => format!("{} of {}", size(self.memory_bytes), size(most)),
            None => size(self.memory_bytes),
        }
    }
}

fn show(answer: Answer, context: &Context) -> Result<(), Report> {
    if context.output.json {
        return context.output.json(answer);
    }
    let rows = answer.units.iter().map(|row| row.cells().into_iter().map(Cell::from).collect()).collect();
    context.output.table(&HEADING, rows)
}
