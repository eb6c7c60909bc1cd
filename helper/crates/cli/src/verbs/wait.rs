use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use nixbox_control::Status;
use nixbox_report::Report;
use schemars::JsonSchema;
use serde::Serialize;

use super::DONE;
use crate::changes::{Changes, Place};
use crate::context::Context;
use crate::output::Tone;
use crate::presence::deadline;
use crate::readiness::{NotReady, not_ready, until_ready};
use crate::select::{self, Unnamed};

/// Wait until instances are ready
///
/// Listens to the owner and returns as soon as it says so. An owner that does not run yet, or dies and is
/// restarted, is waited for too.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  nixbox-helper wait sandbox && make test\n  nixbox-helper wait --all --timeout 120\n  nixbox-helper wait --timeout 0          # for as long as it takes"
)]
pub struct Args {
    /// The instances [default: the default one]
    pub names: Vec<String>,
    /// Every enabled instance
    #[arg(short, long, conflicts_with = "names")]
    pub all: bool,
    /// Seconds until it gives up; 0 waits for ever
    #[arg(short, long, value_name = "SECONDS", default_value_t = 60.0, value_parser = seconds)]
    pub timeout: f64,
}

#[derive(Serialize, JsonSchema)]
pub struct Answer {
    pub ready: Vec<Ready>,
}

#[derive(Serialize, JsonSchema)]
pub struct Ready {
    pub instance: String,
    pub pid: i32,
    pub waited_ms: u64,
}

pub fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=1e9).contains(&seconds) => Ok(seconds),
        _ => Err("give seconds, such as 2 or 0.5".into()),
    }
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let project = context.project()?;
    let unnamed = if args.all { Unnamed::AllEnabled } else { Unnamed::Default };
    let instances = select::many(&project, &args.names, unnamed)?;
    let (begun, until) = (Instant::now(), deadline(args.timeout));
    let changes = Arc::new(Changes::new(&project, &instances, Place::Apart)?);

    let (tell, told) = mpsc::channel::<(usize, Result<Status, NotReady>)>();
    for (index, instance) in instances.iter().enumerate() {
        let (tell, changes, instance) = (tell.clone(), Arc::clone(&changes), (*instance).clone());
        std::thread::Builder::new().stack_size(256 * 1024).spawn(move || {
            let _ = tell.send((index, until_ready(&instance, &changes, until)));
        })?;
    }
    let mut outcome: Vec<Option<Result<Ready, NotReady>>> = instances.iter().map(|_| None).collect();
    while outcome.iter().any(Option::is_none) {
        // A moment longer than they themselves wait: whoever then is silent hangs in `connect`.
        let next = match until {
            Some(at) => {
                told.recv_timeout((at + Duration::from_millis(200)).saturating_duration_since(Instant::now())).ok()
            }
            None => told.recv().ok(),
        };
        let Some((index, result)) = next else { break };
        let name = &instances[index].name;
        outcome[index] = Some(result.map(|status| {
            let waited = begun.elapsed();
            let word = context.output.paint_note(Tone::Good, "ready");
            context.output.note(format!("{name}: {word} (process {}, after {:.0?})", status.pid, waited));
            Ready { instance: name.clone(), pid: status.pid, waited_ms: waited.as_millis() as u64 }
        }));
    }
    let mut answer = Answer { ready: Vec::new() };
    let mut failures = Vec::new();
    for (instance, outcome) in instances.iter().zip(outcome) {
        match outcome.unwrap_or(Err(NotReady::Silent)) {
            Ok(ready) => answer.ready.push(ready),
            Err(why) => failures.push(not_ready(&instance.name, why, &instance.paths.log)),
        }
    }
    if !failures.is_empty() {
        return Err(failures.into());
    }
    if context.output.json {
        context.output.json(answer)?;
    }
    Ok(DONE)
}
