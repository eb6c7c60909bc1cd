use nixbox_report::Report;
use schemars::JsonSchema;
use serde::Serialize;

use super::DONE;
use crate::context::Context;
use crate::presence::deadline;
use crate::supervise::{self, Choice, Client, Order, Places, State, units};

/// Start instances and jobs that are not running, and what they need
///
/// Where an `up` of this project runs, by that; it returns when they are ready. Unlike `up` it starts nothing to keep
/// them up where nothing does.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  nixbox-helper start worker")]
pub struct Args {
    /// The instances and jobs
    #[arg(required = true)]
    pub names: Vec<String>,
    /// Seconds that they have to become ready; 0 is for ever
    #[arg(short, long, value_name = "SECONDS", default_value_t = 60.0, value_parser = super::wait::seconds)]
    pub timeout: f64,
}

#[derive(Serialize, JsonSchema)]
pub struct Answered {
    pub started: Vec<String>,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let project = context.project()?;
    let choice = Choice::of(&project, &args.names)?;
    let (client, mut follow) = Client::needed(&Places::of(&project))?;
    let ready: Vec<_> =
        follow.units.iter().filter(|unit| unit.state == State::Ready).map(|unit| unit.name.clone()).collect();
    let starts: Vec<_> = follow.units.iter().map(|unit| (unit.name.clone(), unit.starts)).collect();
    let units = units(&choice, &[], &project, context)?;
    let asked = choice.asked(&units);
    client.order(&Order::Up { units, names: asked.clone(), named: true, whole: false }, &mut follow)?;
    let names: Vec<_> = asked.into_iter().filter(|name| !ready.contains(name)).collect();
    let before = |name: &str| starts.iter().find(|(known, _)| known == name).map_or(0, |(_, starts)| *starts);
    supervise::until_up(&mut follow, &names, &before, &project, deadline(args.timeout), context)?;
    if context.output.json {
        context.output.json(Answered { started: names })?;
    }
    Ok(DONE)
}
