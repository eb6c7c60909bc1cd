use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use nixbox_config::Project;
use nixbox_control::Status;
use nixbox_report::{Failure, Report, codes};
use schemars::JsonSchema;
use serde::Serialize;

use super::DONE;
use crate::changes::{Changes, Place};
use crate::context::Context;
use crate::output::Tone;
use crate::presence::deadline;
use crate::readiness::{NotReady, not_ready, until_ready};
use crate::select::{self, Unnamed};
use crate::supervise::{self, Client, Heard, Places, Recorded, State, UnitStatus};

/// Wait until instances and jobs are ready, or until jobs have ended
///
/// Listens to the owner and returns as soon as it says so. An owner that does not run yet, or dies and is
/// restarted, is waited for too. With --exit it waits until jobs have ended for good, and ends as the first of them did
/// that did not end well: with its exit code, or 128 and the signal that ended it.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  nixbox-helper wait sandbox && make test\n  nixbox-helper wait --all --timeout 120\n  nixbox-helper wait --timeout 0          # for as long as it takes\n  nixbox-helper wait --exit seed          # and end as it does"
)]
pub struct Args {
    /// The instances and jobs [default: the default instance]
    pub names: Vec<String>,
    /// Every enabled instance
    #[arg(short, long, conflicts_with = "names")]
    pub all: bool,
    /// Wait until the jobs have ended
    #[arg(short, long, requires = "names", conflicts_with = "all")]
    pub exit: bool,
    /// Seconds until it gives up; 0 waits for ever
    #[arg(short, long, value_name = "SECONDS", default_value_t = 60.0, value_parser = seconds)]
    pub timeout: f64,
}

#[derive(Serialize, JsonSchema)]
pub struct Answer {
    pub ready: Vec<Ready>,
    /// The jobs that were waited for, and how they are
    pub jobs: Vec<UnitStatus>,
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
    let (begun, until) = (Instant::now(), deadline(args.timeout));
    let named = select::all_full(&project, &args.names)?;
    // The command that a made instance was left with has an end as a job has.
    let is_job = |name: &String| {
        let is_made = || project.instances.get(name).is_some_and(|instance| instance.made.is_some());
        project.jobs.contains_key(name) || args.exit && is_made()
    };
    let (jobs, names): (Vec<_>, Vec<_>) = named.into_iter().partition(is_job);
    if args.exit {
        return until_ended(&project, &jobs, &names, until, context);
    }
    let instances = match names.is_empty() && !jobs.is_empty() {
        true => Vec::new(),
        false => select::many(&project, &names, unnamed)?,
    };
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
    let mut answer = Answer { ready: Vec::new(), jobs: Vec::new() };
    let mut failures = Vec::new();
    if !jobs.is_empty() {
        answer.jobs = kept_up(&project, &jobs, until, |state| !state.is_coming())?;
        for unit in answer.jobs.iter().filter(|unit| !matches!(unit.state, State::Ready | State::Completed)) {
            failures.extend(supervise::unit_failed(unit, false, false).failures);
        }
    }
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

/// These jobs, once each of them is as wanted.
fn kept_up(
    project: &Project,
    jobs: &[String],
    until: Option<Instant>,
    wanted: impl Fn(State) -> bool,
) -> Result<Vec<UnitStatus>, Report> {
    let places = Places::of(project);
    let recorded = || Recorded::load(&places).map(|found| found.units.into_values().collect()).unwrap_or_default();
    let mut follow = Client::reach(&places).ok().flatten().map(|(_, follow)| follow);
    loop {
        let known: Vec<UnitStatus> = follow.as_ref().map_or_else(recorded, |follow| follow.units.clone());
        let found: Vec<_> = jobs.iter().map(|job| known.iter().find(|unit| unit.name == *job)).collect();
        if let Some(missing) = found.iter().position(Option::is_none) {
            return Err(supervise::job_not_running(&jobs[missing]).into());
        }
        if found.iter().flatten().all(|unit| wanted(unit.state)) {
            return Ok(found.into_iter().flatten().cloned().collect());
        }
        match follow.as_mut().map(|follow| follow.next(until, None)).transpose()? {
            Some(Heard::Deadline) => {
                let late = found.into_iter().flatten().filter(|unit| !wanted(unit.state));
                return Err(late.flat_map(|unit| supervise::late(unit, None).failures).collect::<Vec<_>>().into());
            }
            // What became of them then is on record.
            Some(Heard::Over) | None => {
                if follow.take().is_none() {
                    return Ok(known.into_iter().filter(|unit| jobs.contains(&unit.name)).collect());
                }
            }
            Some(_) => {}
        }
    }
}

fn until_ended(
    project: &Project,
    jobs: &[String],
    others: &[String],
    until: Option<Instant>,
    context: &Context,
) -> Result<u8, Report> {
    if let Some(name) = others.first() {
        return Err(match project.instances.contains_key(name) {
            true => Failure::new(&codes::USAGE, format!("`{name}` is an instance, and has no end to wait for"))
                .help("name jobs"),
            false => supervise::unknown(project, name),
        }
        .into());
    }
    let ended = kept_up(project, jobs, until, |state| !state.is_busy())?;
    for unit in &ended {
        let how = match (unit.exit_code, unit.signal) {
            (Some(code), _) => format!("exit code {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => unit.why.clone().unwrap_or_else(|| unit.state.word().to_owned()),
        };
        context.output.note(format!("{}: {how}", unit.name));
    }
    let code = |unit: &UnitStatus| match (unit.exit_code, unit.signal) {
        (Some(code), _) => u8::try_from(code).unwrap_or(u8::MAX),
        (None, Some(signal)) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
        (None, None) => codes::UNIT_FAILED.exit as u8,
    };
    let first = ended.iter().map(code).find(|code| *code != DONE).unwrap_or(DONE);
    if context.output.json {
        context.output.json(Answer { ready: Vec::new(), jobs: ended })?;
    }
    Ok(first)
}
