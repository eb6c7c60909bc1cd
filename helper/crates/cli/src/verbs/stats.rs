use std::collections::BTreeMap;
use std::time::Duration;

use nixbox_report::Report;
use schemars::JsonSchema;
use serde::Serialize;

use super::DONE;
use crate::context::Context;
use crate::output::Cell;
use crate::select;
use crate::supervise::{self, Client, Heard, Places, UnitStatus};
use crate::usage::Usage;

/// Show what instances and jobs take of processors and memory
///
/// Each with all that it has started, and again every second until Ctrl-C, or once with --no-stream. With --json each look
/// is an object on a line of its own; once, it is one answer. For what `up` keeps up.
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

#[derive(Serialize, JsonSchema)]
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
}

#[derive(Serialize, JsonSchema)]
pub struct Limits {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids: Option<u64>,
}

impl Limits {
    pub fn of(limits: nixbox_supervisor::Limits) -> Option<Self> {
        let nixbox_supervisor::Limits { cpu, memory, pids } = limits;
        let some = Self { cpu: cpu.map(|cpu| cpu as f64 / 1000.0), memory_bytes: memory, pids };
        (!limits.is_none()).then_some(some)
    }
}

/// From one look to the next: less says little of a processor.
const BETWEEN: Duration = Duration::from_secs(1);

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let project = context.project()?;
    let args = Args { names: select::all_full(&project, &args.names)?, ..args };
    if let Some(name) =
        args.names.iter().find(|name| !project.instances.contains_key(*name) && !project.jobs.contains_key(*name))
    {
        return Err(supervise::unknown(&project, name).into());
    }
    let (_, mut follow) = Client::needed(&Places::of(&project))?;
    let mut usage = Usage::default();
    usage.look(&follow.units, &project);
    loop {
        let until = std::time::Instant::now() + BETWEEN;
        loop {
            match follow.next(Some(until), None)? {
                Heard::Deadline => break,
                Heard::Over => return Ok(DONE),
                _ => {}
            }
        }
        usage.look(&follow.units, &project);
        let answer = answer(&follow.units, &args.names, &usage);
        if args.no_stream {
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

fn answer(units: &[UnitStatus], names: &[String], usage: &Usage) -> Answer {
    let wanted = units.iter().filter(|unit| names.is_empty() || names.contains(&unit.name));
    let row = |unit: &UnitStatus| {
        let taken = usage.of(&unit.name)?;
        let pid = unit.pid?;
        Some((
            unit.name.clone(),
            Row {
                name: unit.name.clone(),
                pid,
                processes: taken.processes,
                cpu_percent: (taken.cpu * 10.0).round() / 10.0,
                memory_bytes: taken.memory,
                pids: taken.pids,
                limits: Limits::of(taken.limits),
            },
        ))
    };
    Answer { units: wanted.filter_map(row).collect::<BTreeMap<_, _>>().into_values().collect() }
}

/// And of how much.
fn memory(row: &Row) -> String {
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    match row.limits.as_ref().and_then(|limits| limits.memory_bytes) {
        Some(most) => format!("{:.1} of {:.0} MiB", mib(row.memory_bytes), mib(most)),
        None => format!("{:.1} MiB", mib(row.memory_bytes)),
    }
}

fn show(answer: Answer, context: &Context) -> Result<(), Report> {
    if context.output.json {
        return context.output.json(answer);
    }
    let cells = |row: Row| {
        vec![
            Cell::from(row.name.clone()),
            Cell::from(row.pid.to_string()),
            Cell::from(row.processes.to_string()),
            Cell::from(format!("{:.1} %", row.cpu_percent)),
            Cell::from(memory(&row)),
        ]
    };
    let rows = answer.units.into_iter().map(cells).collect();
    context.output.table(&["NAME", "PID", "PROCESSES", "CPU", "MEMORY"], rows)
}
