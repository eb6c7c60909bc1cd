use nixbox_report::Report;
use schemars::JsonSchema;
use serde::Serialize;

use super::DONE;
use crate::context::Context;
use crate::select;
use crate::supervise::{self, Client, Order, Places};

/// Have instances and jobs stand still
///
/// With all that they have started, until `unpause`. They keep what they have, and take no part of a processor; whoever
/// uses the mount of an instance that stands still waits. Their health is not checked meanwhile.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  nixbox-helper pause worker && nixbox-helper unpause worker")]
pub struct Args {
    /// The instances and jobs
    #[arg(required = true)]
    pub names: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
pub struct Answer {
    /// Those for which that was new
    pub changed: Vec<String>,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    change(args.names, true, context)
}

pub fn change(names: Vec<String>, is_paused: bool, context: &Context) -> Result<u8, Report> {
    let project = context.project()?;
    let names = select::all_full(&project, &names)?;
    let (client, mut follow) = Client::needed(&Places::of(&project))?;
    for name in &names {
        if follow.unit(name).is_none_or(|unit| unit.pid.is_none()) {
            return Err(match project.instances.contains_key(name) || project.jobs.contains_key(name) {
                true => supervise::job_not_running(name),
                false => supervise::unknown(&project, name),
            }
            .into());
        }
    }
    let changed = client.order(&Order::Pause { names, is_paused }, &mut follow)?.names;
    for name in &changed {
        context.output.note(format!("{name}: {}", if is_paused { "paused" } else { "goes on" }));
    }
    if context.output.json {
        context.output.json(Answer { changed })?;
    }
    Ok(DONE)
}
