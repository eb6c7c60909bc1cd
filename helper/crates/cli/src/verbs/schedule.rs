use std::path::PathBuf;

use jiff::Timestamp;
use nixbox_calendar::look;
use nixbox_config::{Project, Schedule, What, When};
use nixbox_report::{Failure, Report, codes};
use nixbox_state::Lock;
use schemars::JsonSchema;
use serde::Serialize;

use super::DONE;
use crate::context::Context;
use crate::output::{Cell, Tone};
use crate::schedule::{self, Recorded, Records, Weight};
use crate::times;

mod keep;
mod run;

pub use run::Ran;

/// What is run at certain times: when, and what became of it
///
/// `[schedules.NAME]` says what is run, and when. `up` keeps the times for as long as it runs; on NixOS and with
/// home-manager systemd does.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  nixbox-helper schedule ls\n  nixbox-helper schedule run nightly\n  nixbox-helper schedule pause nightly && nixbox-helper schedule resume nightly"
)]
pub struct Args {
    #[command(subcommand)]
    pub what: Verb,
}

#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Show them, with when each is due next and how it ended last
    #[command(
        after_help = "Examples:\n  nixbox-helper schedule ls\n  nixbox-helper schedule ls --json | jq -r '.schedules[].next'"
    )]
    Ls,
    /// Run one now, and end as it does
    ///
    /// Whoever keeps the times need not be there, and one that is paused is run as well. While it runs already, it is not
    /// run beside that, unless its `overlap` allows it: `skip` refuses (exit 4), `queue` waits. When it has ended, nothing
    /// that it has started stays behind.
    #[command(
        after_help = "Examples:\n  nixbox-helper schedule run nightly\n  nixbox-helper schedule run nightly --json | jq .exit_code"
    )]
    Run(run::Args),
    /// Do not run it when its time comes, until `resume`
    #[command(after_help = "Examples:\n  nixbox-helper schedule pause nightly")]
    Pause {
        /// The schedules
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Run it again when its time comes; what has come meanwhile is not caught up with
    #[command(after_help = "Examples:\n  nixbox-helper schedule resume nightly")]
    Resume {
        /// The schedules
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Keep the times, for a process manager that runs it as one more process
    ///
    /// Where one process is to do that and `up` is none. Runs until it is told to end.
    #[command(after_help = "Examples:\n  nixbox-helper schedule keep")]
    Keep,
}

#[derive(Serialize, JsonSchema)]
pub struct Listed {
    pub schedules: Vec<Row>,
    /// Somebody keeps their times now, and runs them: `up`, or `schedule keep`. What systemd does is not known here
    pub kept: bool,
}

#[derive(Serialize, JsonSchema)]
pub struct Row {
    pub schedule: String,
    pub enabled: bool,
    pub paused: bool,
    pub running: bool,
    pub cron: Option<String>,
    pub at: Option<String>,
    pub timezone: Option<String>,
    /// A verb of nixbox-helper, or the command of `exec`
    pub command: Vec<String>,
    /// The instance of `exec`
    pub instance: Option<String>,
    /// RFC 3339; null where it is never due again, or not by itself
    pub next: Option<String>,
    pub last: Option<Last>,
    /// How often its time came while it still ran
    pub left_out: u64,
    /// The last time that was missed and not caught up with, RFC 3339
    pub missed: Option<String>,
    /// What it says
    pub log: PathBuf,
}

#[derive(Serialize, JsonSchema)]
pub struct Last {
    /// RFC 3339
    pub started: String,
    /// Null while it runs, or where it was killed
    pub ended: Option<String>,
    pub exit_code: Option<i32>,
    /// Somebody has asked for it
    pub by_hand: bool,
}

#[derive(Serialize, JsonSchema)]
pub struct Changed {
    /// Those for which that was new
    pub changed: Vec<String>,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    match args.what {
        Verb::Ls => ls(context),
        Verb::Run(args) => run::run(args, context),
        Verb::Pause { names } => change(&names, true, context),
        Verb::Resume { names } => change(&names, false, context),
        Verb::Keep => keep::run(context),
    }
}

fn checked(context: &Context) -> Result<Project, Report> {
    let loaded = context.load()?;
    schedule::check(&loaded)?;
    Ok(loaded.project)
}

fn ls(context: &Context) -> Result<u8, Report> {
    let project = checked(context)?;
    let records = Records::of(&project);
    let kept = Lock::live_holder(&records.keeper_lock()).is_some();
    let rows = project.schedules.values().map(|schedule| row(schedule, &records.read(&schedule.name)));
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    let output = &context.output;
    if output.json {
        output.json(Listed { schedules: rows, kept })?;
        return Ok(DONE);
    }
    if rows.is_empty() {
        output.note(format!("{} declares no schedules", project.file.display()));
        return Ok(DONE);
    }
    let is_any = rows.iter().any(|row| row.next.is_some());
    output.table(&["SCHEDULE", "STATE", "WHEN", "NEXT", "LAST", "COMMAND"], rows.iter().map(cells).collect())?;
    if !kept && is_any {
        output.note("nothing keeps their times here: `nixbox-helper up` does");
    }
    Ok(DONE)
}

fn row(schedule: &Schedule, record: &Recorded) -> Result<Row, Report> {
    let calendar = schedule::calendar(schedule)?;
    let now = Timestamp::now();
    let seen = record.seen.and_then(|seen| Timestamp::from_millisecond(seen).ok()).unwrap_or(now);
    let looked = look(&calendar, seen, now, std::time::Duration::MAX, schedule.catch_up);
    let next = looked.next.filter(|_| schedule.enable && !record.paused);
    let at = |millis: i64| times::rfc3339(millis as f64 / 1000.0);
    let (cron, once, timezone) = match &schedule.when {
        When::Cron { cron, timezone } => (Some(cron.clone()), None, timezone.clone()),
        When::At(once) => (None, Some(once.clone()), None),
    };
    let (command, instance) = match &schedule.what {
        What::Verb(words) => (words.clone(), None),
        What::Exec { instance, words } => (words.clone(), Some(instance.clone())),
    };
    Ok(Row {
        schedule: schedule.name.clone(),
        enabled: schedule.enable,
        paused: record.paused,
        running: record.last.as_ref().is_some_and(schedule::Run::is_running),
        cron,
        at: once,
        timezone,
        command,
        instance,
        next: next.map(|next| at(next.as_millisecond())),
        last: record.last.as_ref().map(|run| Last {
            started: at(run.started),
            ended: run.ended.map(at),
            exit_code: run.exit_code,
            by_hand: run.by_hand,
        }),
        left_out: record.left_out,
        missed: record.missed_at.map(at),
        log: schedule.log.clone(),
    })
}

fn cells(row: &Row) -> Vec<Cell> {
    let (state, tone) = match row {
        Row { running: true, .. } => ("running", Tone::Good),
        Row { enabled: false, .. } => ("disabled", Tone::Dim),
        Row { paused: true, .. } => ("paused", Tone::Odd),
        Row { next: None, .. } => ("over", Tone::Dim),
        _ => ("waiting", Tone::Strong),
    };
    let last = match &row.last {
        None => Cell::from("-"),
        Some(last) => match (last.exit_code, &last.ended) {
            (Some(0), Some(ended)) => Cell::new(format!("{ended} (0)"), Tone::Good),
            (Some(code), Some(ended)) => Cell::new(format!("{ended} ({code})"), Tone::Bad),
            _ if row.running => Cell::from(last.started.as_str()),
            _ => Cell::new(format!("{} (killed)", last.started), Tone::Bad),
        },
    };
    let when = [row.cron.as_deref(), row.at.as_deref(), row.timezone.as_deref()];
    let when = when.into_iter().flatten().collect::<Vec<_>>().join(" ");
    vec![
        Cell::from(row.schedule.as_str()),
        Cell::new(state, tone),
        when.into(),
        row.next.clone().unwrap_or_else(|| "-".into()).into(),
        last,
        crate::output::harmless(&row.command.join(" ")).into(),
    ]
}

fn change(names: &[String], is_paused: bool, context: &Context) -> Result<u8, Report> {
    let project = context.project()?;
    for name in names {
        schedule::of(&project, name)?;
    }
    let (records, mut changed) = (Records::of(&project), Vec::new());
    for name in names {
        let now = Timestamp::now().as_millisecond();
        let mut is_new = false;
        records.change(name, Weight::Durable, |record| {
            is_new = record.paused != is_paused;
            record.paused = is_paused;
            if is_new && !is_paused {
                record.seen = record.seen.map(|seen| seen.max(now));
            }
        })?;
        if is_new {
            context.output.note(format!("{name}: {}", if is_paused { "paused" } else { "goes on" }));
            changed.push(name.clone());
        }
    }
    if context.output.json {
        context.output.json(Changed { changed })?;
    }
    Ok(DONE)
}

fn running(schedule: &Schedule, record: &Recorded) -> Failure {
    let run = record.last.as_ref().filter(|run| run.is_running());
    let process = run.map(|run| format!(" (process {})", run.process.pid)).unwrap_or_default();
    Failure::new(&codes::SCHEDULE_RUNNING, format!("`{}` runs already{process}", schedule.name))
        .why("its `overlap` is `skip`, so there is one at a time")
        .help("wait for its end, or set `overlap` to `queue` or `allow`")
}
