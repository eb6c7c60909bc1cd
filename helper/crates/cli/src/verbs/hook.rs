use std::time::Duration;

use nixbox_config::HookEvent;
use nixbox_report::{Failure, Report, codes};
use nixbox_supervisor::Hooks;

use super::DONE;
use crate::context::Context;
use crate::select;

/// Run the commands of `hooks` for one event
///
/// By who keeps an instance up, for what that alone knows of it.
#[derive(Debug, clap::Args)]
pub struct Args {
    pub instance: String,
    pub event: HookEvent,
    /// What they hear, a JSON object
    pub told: String,
}

/// Each has a time of its own, which ends before.
const ALL_OF_THEM: Duration = Duration::from_secs(3600);

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let project = context.project()?;
    let instance = select::any(&project, Some(&args.instance))?;
    let told = serde_json::from_str(&args.told)
        .map_err(|error| Failure::new(&codes::USAGE, "what is to be told is no JSON").why(error))?;
    let commands = instance.hooks.iter().map(|(event, commands)| (event.to_string(), commands.clone())).collect();
    let hooks = Hooks::new(&instance.name, commands, project.root.clone(), instance.paths.hooks.clone(), |_| {});
    hooks.fire(args.event.as_str(), told);
    hooks.finish(ALL_OF_THEM);
    Ok(DONE)
}
