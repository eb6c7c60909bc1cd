use std::io;

use nixbox_report::Report;
use serde::{Deserialize, Serialize};

use super::DONE;
use crate::context::{Context, io_failure};
use crate::logs::{Chain, Said, Watched, merged};
use crate::output::Tone;
use crate::supervise::{Health, Places, State, UnitStatus};
use crate::times::{self, Moment};

/// Show what has become of instances and jobs
///
/// Each start, each end and all in between that `up` has seen, the oldest first. With --json each is an object on a line
/// of its own: the time, and the unit as `ps` knows it.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  nixbox-helper events --since 1h\n  nixbox-helper events --follow --json | jq -r 'select(.unit.state == \"failed\") | .unit.name'"
)]
pub struct Args {
    /// Only of these instances and jobs
    pub names: Vec<String>,
    /// Go on with what comes
    #[arg(short, long)]
    pub follow: bool,
    /// Only so many of the last
    #[arg(short = 'n', long, value_name = "EVENTS")]
    pub tail: Option<usize>,
    /// Only from then on: a time such as 2026-11-21T06:45:00Z, or how long ago, such as 10m
    #[arg(long, value_name = "TIME", value_parser = times::parse)]
    pub since: Option<Moment>,
}

#[derive(Serialize, Deserialize)]
struct Event {
    time: String,
    unit: UnitStatus,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let project = context.project()?;
    let places = Places::of(&project);
    let failed = |error: io::Error| io_failure("read", &places.events, error);
    let watched = match (args.follow, places.events.parent()) {
        (true, Some(folder)) => {
            places.prepare()?;
            Some(Watched::folder(folder).map_err(failed)?)
        }
        _ => None,
    };
    let chain = watched.as_ref().map_or_else(|| Chain::of(&places.events), |watched| watched.chain(&places.events));
    let since = args.since.map(|moment| times::for_logs(moment.0));
    let mut chains = [chain];
    let mut goes_on = true;
    let tell = |said: Said| -> io::Result<bool> {
        // Of another version, or torn.
        let Ok(unit) = serde_json::from_str::<UnitStatus>(&said.line) else { return Ok(true) };
        if !args.names.is_empty() && !args.names.contains(&unit.name) {
            return Ok(true);
        }
        shown(Event { time: said.time, unit }, context)
    };
    merged(&mut chains, since.as_deref(), args.tail, |said| {
        goes_on = tell(said)?;
        Ok(goes_on)
    })
    .map_err(failed)?;
    while args.follow && goes_on {
        let line = chains[0].wait().map_err(failed)?;
        goes_on = tell(Said::of(0, line)).map_err(failed)?;
    }
    Ok(DONE)
}

fn shown(event: Event, context: &Context) -> io::Result<bool> {
    let output = &context.output;
    let text = if output.json {
        serde_json::to_string(&event)? + "\n"
    } else {
        let unit = &event.unit;
        let tone = match unit.state {
            _ if unit.paused => Tone::Odd,
            State::Ready if unit.health == Some(Health::Unhealthy) => Tone::Bad,
            State::Ready => Tone::Good,
            State::Failed | State::BackingOff => Tone::Bad,
            _ => Tone::Strong,
        };
        let why = unit.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        let process = unit.pid.map(|pid| format!(" (process {pid})")).unwrap_or_default();
        let state = output.paint(tone, if unit.paused { "paused" } else { unit.state.word() });
        let health = match unit.health.filter(|_| unit.state == State::Ready) {
            Some(Health::Healthy) => ", healthy",
            Some(Health::Unhealthy) => ", unhealthy",
            Some(Health::Unknown) | None => "",
        };
        format!("{} {} {state}{process}{health}{why}\n", output.paint(Tone::Dim, &event.time), unit.name)
    };
    output.open_data(text).map_err(|_| io::ErrorKind::WriteZero.into())
}
