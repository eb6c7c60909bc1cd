use std::time::Duration;

use nixbox_report::Report;
use schemars::JsonSchema;
use serde::Serialize;

use super::DONE;
use crate::context::Context;
use crate::presence::deadline;
use crate::select;
use crate::supervise::{self, Client, Order, Places};

/// Stop instances and jobs and start them again
///
/// What lives in an instance stops before it and comes again with it. Returns when all are ready. For what `up` keeps up;
/// what another process manager does is for that to restart.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  nixbox-helper restart worker\n  nixbox-helper restart    # everything")]
pub struct Args {
    /// The instances and jobs [default: every one that is up]
    pub names: Vec<String>,
    /// Seconds that each has to stop in; after that it is killed
    #[arg(short, long, value_name = "SECONDS", value_parser = super::wait::seconds)]
    pub timeout: Option<f64>,
    /// Seconds that all have to become ready; 0 is for ever
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0, value_parser = super::wait::seconds)]
    pub ready: f64,
}

#[derive(Serialize, JsonSchema)]
pub struct Answered {
    pub restarted: Vec<String>,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let project = context.project()?;
    let (client, mut follow) = Client::needed(&Places::of(&project))?;
    let starts: Vec<_> = follow.units.iter().map(|unit| (unit.name.clone(), unit.starts)).collect();
    let grace_ms = args.timeout.map(|seconds| Duration::from_secs_f64(seconds).as_millis() as u64);
    let names =
        client.order(&Order::Restart { names: select::all_full(&project, &args.names)?, grace_ms }, &mut follow)?.names;
    let before = |name: &str| starts.iter().find(|(known, _)| known == name).map_or(0, |(_, starts)| *starts);
    supervise::until_up(&mut follow, &names, &before, &project, deadline(args.ready), context)?;
    if context.output.json {
        context.output.json(Answered { restarted: names })?;
    }
    Ok(DONE)
}
