//! What a verb waits for after an order, and what it says meanwhile.

use std::time::{Duration, Instant};

use nixbox_config::{Instance, Project};
use nixbox_report::{Failure, Report, codes};

use super::client::{Follow, Heard};
use super::failure::unit_failed;
use super::message::{State, UnitStatus};
use super::places::Places;
use crate::context::Context;
use crate::output::Tone;
use crate::readiness::{NotReady, not_ready};

/// Until none of them runs any more. False when the deadline came first.
pub fn until_stopped(follow: &mut Follow, names: &[String], deadline: Option<Instant>) -> Result<bool, Report> {
    while names.iter().any(|name| follow.unit(name).is_some_and(|unit| unit.state.is_busy())) {
        match follow.next(deadline, None)? {
            Heard::Over => return Ok(true),
            Heard::Deadline => return Ok(false),
            _ => {}
        }
    }
    Ok(true)
}

/// Until each of them has been started anew, more often than `before`, and is ready or has ended well.
pub fn until_up(
    follow: &mut Follow,
    names: &[String],
    before: &dyn Fn(&str) -> u32,
    project: &Project,
    deadline: Option<Instant>,
    context: &Context,
) -> Result<(), Report> {
    let mut told: Vec<String> = Vec::new();
    loop {
        let mut waits = Vec::new();
        for name in names {
            match follow.unit(name) {
                Some(unit) if unit.state == State::Failed => {
                    let is_instance = project.instances.contains_key(name);
                    return Err(unit_failed(unit, is_instance, told.contains(name)));
                }
                Some(unit) if unit.starts > before(name) && !unit.state.is_coming() => {
                    if !told.contains(name) {
                        told.push(name.clone());
                        tell_ready(unit, context);
                    }
                }
                unit => waits.push((name, unit.cloned())),
            }
        }
        if waits.is_empty() {
            return Ok(());
        }
        match follow.next(deadline, None)? {
            Heard::Deadline => {
                let late = |(name, unit): &(&String, Option<UnitStatus>)| match unit {
                    Some(unit) => late(unit, project.instances.get(*name)).failures,
                    None => vec![not_answering()],
                };
                return Err(waits.iter().flat_map(late).collect::<Vec<_>>().into());
            }
            Heard::Over => return Err(not_answering().into()),
            _ => {}
        }
    }
}

pub fn tell_ready(unit: &UnitStatus, context: &Context) {
    let name = &unit.name;
    if unit.state == State::Completed {
        return context.output.note(format!("{name}: completed"));
    }
    context.output.note(format!("{name}: {}", ready(unit, context)));
}

/// `ready (process 7, after 31ms)`
pub fn ready(unit: &UnitStatus, context: &Context) -> String {
    let process = unit.pid.map(|pid| format!("process {pid}"));
    // What is ready as soon as it runs took no time to become it.
    let took =
        unit.ready_after_ms.filter(|took| *took > 0).map(|took| format!("after {:.0?}", Duration::from_millis(took)));
    let details: Vec<_> = process.into_iter().chain(took).collect();
    format!("{} ({})", context.output.paint_note(Tone::Good, "ready"), details.join(", "))
}

/// It has had its time.
pub fn late(unit: &UnitStatus, instance: Option<&Instance>) -> Report {
    match (instance, unit.state) {
        (Some(instance), State::Waiting) => not_ready(&unit.name, NotReady::Nobody, &instance.paths.log).into(),
        (Some(instance), _) => not_ready(&unit.name, NotReady::Starting, &instance.paths.log).into(),
        (None, state) => {
            Failure::new(&codes::UNIT_NOT_READY, format!("job `{}` did not become ready in time", unit.name))
                .why(unit.why.clone().unwrap_or_else(|| format!("it is {}", state.word())))
                .help("wait longer with `--timeout`, or look at its log")
                .into()
        }
    }
}

pub fn job_not_running(name: &str) -> Failure {
    Failure::new(&codes::UNIT_NOT_RUNNING, format!("job `{name}` does not run"))
        .why("nothing keeps this project's jobs up")
        .help(format!("start it with `nixbox-helper up {name}`"))
}

pub fn not_answering() -> Failure {
    Failure::new(&codes::SUPERVISOR_SILENT, "what keeps this project up has ended")
        .why("it closed the connection")
        .help("try again")
}

/// They were killed and are not gone: who waits for a slow disk cannot be ended before it has answered.
pub fn still_stopping(follow: &Follow, names: &[String]) -> Failure {
    let busy = names.iter().filter(|name| follow.unit(name).is_some_and(|unit| unit.state.is_busy()));
    let names: Vec<_> = busy.map(|name| format!("`{name}`")).collect();
    let what = if names.len() == 1 { "has not ended yet" } else { "have not ended yet" };
    Failure::new(&codes::SUPERVISOR_SILENT, format!("{} {what}", names.join(", ")))
        .why("the time to stop in is over, and the machine has not let go of its processes")
        .help("what keeps the project up goes on ending them; see `nixbox-helper ps`")
}

pub fn still_ending() -> Failure {
    Failure::new(&codes::SUPERVISOR_SILENT, "what keeps this project up has not ended yet")
        .why("all that it kept up has stopped, and the machine has not let go of its process")
        .help("it ends by itself; see `nixbox-helper ps`")
}

pub fn not_started(places: &Places) -> Failure {
    Failure::new(&codes::SUPERVISOR_SILENT, "what is to keep this project up did not come")
        .why(format_args!("nobody answers at {}", places.socket.display()))
        .help(format!("see {}", places.log.display()))
}
