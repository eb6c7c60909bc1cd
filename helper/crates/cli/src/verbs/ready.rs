use std::time::Duration;

use nixbox_control::{Phase, Status};
use nixbox_report::{Failure, Report, codes};
use schemars::JsonSchema;
use serde::Serialize;

use super::DONE;
use crate::context::Context;
use crate::presence::{self, Presence, presence};
use crate::select;

/// Ask once whether an instance is ready: exit 0 if it is
///
/// For process managers that poll. It has a deadline of its own and never touches the mount, so it cannot hang on
/// a dead one. Exit 3: nobody serves the instance. Exit 6: somebody does, and is not ready or does not answer.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  nixbox-helper ready sandbox\n  nixbox-helper ready sandbox --timeout 0.5 && echo yes"
)]
pub struct Args {
    /// The instance [default: the default one]
    pub name: Option<String>,
    /// Seconds to wait for the owner's answer
    #[arg(short, long, value_name = "SECONDS", default_value_t = 2.0, value_parser = super::wait::seconds)]
    pub timeout: f64,
}

#[derive(Serialize, JsonSchema)]
pub struct Answer {
    pub instance: String,
    pub ready: bool,
    pub pid: i32,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let project = context.project()?;
    let instance = select::one(&project, args.name.as_deref())?;
    let name = &instance.name;
    // Zero would mean no deadline elsewhere; a probe always has one.
    let patience = Duration::from_secs_f64(args.timeout.max(0.001));
    let status = match presence(instance, patience)? {
        Presence::Here(status) if status.is_ready() => status,
        Presence::Here(status) => return Err(not_yet(name, &status).into()),
        Presence::Silent(holder) => return Err(presence::silent(name, holder.as_ref()).into()),
        Presence::Nobody => return Err(presence::not_running(name).into()),
    };
    if context.output.json {
        context.output.json(Answer { instance: name.clone(), ready: true, pid: status.pid })?;
    }
    Ok(DONE)
}

fn not_yet(name: &str, status: &Status) -> Failure {
    let doing = if status.phase == Phase::Stopping { "stopping" } else { "still starting" };
    Failure::new(&codes::OWNER_NOT_READY, format!("instance `{name}` is not ready"))
        .why(format_args!("its owner, process {}, is {doing}", status.pid))
        .help(format!("`nixbox-helper wait {name}` returns as soon as it is"))
}
