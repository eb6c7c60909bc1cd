use nixbox_report::{Report, codes};
use nixbox_supervisor::HookFailure;
use schemars::JsonSchema;
use serde::Serialize;

use super::DONE;
use crate::context::{Context, io_failure};
use crate::logs::{Chain, Said, merged};
use crate::output::{Cell, Tone, harmless};
use crate::select;
use crate::times::{self, Moment};

/// Show which commands of `hooks` have failed
///
/// They are run when something has happened, and hold up nobody: one that fails, does not end in time or is not there is
/// on record here, the oldest first. Only the last ones are kept.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  nixbox-helper hooks\n  nixbox-helper hooks sandbox --since 1h --json")]
pub struct Args {
    /// The instance [default: the default one]
    pub name: Option<String>,
    /// Only so many of the last
    #[arg(short = 'n', long, value_name = "FAILURES")]
    pub tail: Option<usize>,
    /// Only from then on: a time such as 2026-11-21T06:45:00Z, or how long ago, such as 10m
    #[arg(long, value_name = "TIME", value_parser = times::parse)]
    pub since: Option<Moment>,
}

#[derive(Serialize, JsonSchema)]
pub struct Answer {
    pub instance: String,
    /// The oldest first
    pub failures: Vec<Failed>,
}

#[derive(Serialize, JsonSchema)]
pub struct Failed {
    /// RFC 3339
    pub time: String,
    pub event: String,
    /// Empty where none came so far
    pub command: Vec<String>,
    /// Of the catalogue of failures
    pub code: String,
    pub why: String,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let project = context.project()?;
    let instance = select::any(&project, args.name.as_deref())?;
    let since = args.since.map(|moment| times::for_logs(moment.0));
    let mut failures = Vec::new();
    merged(&mut [Chain::of(&instance.paths.hooks)], since.as_deref(), args.tail, |Said { time, line, .. }| {
        // What is torn says nothing.
        if let Ok(HookFailure { event, command, why }) = serde_json::from_str(&line) {
            failures.push(Failed { time, event, command, code: codes::HOOK_FAILED.id.into(), why });
        }
        Ok(true)
    })
    .map_err(|error| io_failure("read", &instance.paths.hooks, error))?;
    let output = &context.output;
    if output.json {
        output.json(Answer { instance: instance.name.clone(), failures })?;
    } else if failures.is_empty() {
        output.note(format!("{}: no command of `hooks` has failed", instance.name));
    } else {
        let row = |one: &Failed| {
            let why = Cell::new(harmless(&one.why), Tone::Bad);
            vec![one.time.as_str().into(), one.event.as_str().into(), harmless(&one.command.join(" ")).into(), why]
        };
        output.table(&["TIME", "EVENT", "COMMAND", "WHY"], failures.iter().map(row).collect())?;
    }
    Ok(DONE)
}
