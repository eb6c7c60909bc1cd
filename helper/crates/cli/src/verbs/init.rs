use std::process::{Command, Stdio};

use nixbox_config::{Instance, Mode};
use nixbox_report::{Exit, Failure, Report, codes};
use nixbox_state::Lock;
use schemars::JsonSchema;
use serde::Serialize;

use super::DONE;
use crate::context::Context;
use crate::select::{self, Unnamed};
use crate::{owner_binary, presence};

/// Create the databases of instances, without serving them
///
/// Nothing happens to a database that exists. Several calls at the same time are fine: they take turns.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  nixbox-helper init\n  nixbox-helper init sandbox")]
pub struct Args {
    /// The instance [default: every enabled one]
    pub name: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub struct Answer {
    pub instances: Vec<Initialised>,
}

#[derive(Serialize, JsonSchema)]
pub struct Initialised {
    pub instance: String,
    pub database: String,
    /// False where it was there already
    pub created: bool,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let project = context.project()?;
    let names: Vec<String> = args.name.into_iter().collect();
    let instances = select::many(&project, &names, Unnamed::AllEnabled)?;
    let owner = owner_binary::find()?;
    let mut answer = Answer { instances: Vec::new() };
    for instance in instances {
        if instance.mode == Mode::Ephemeral {
            context.output.note(format!("{}: ephemeral, nothing to create", instance.name));
            continue;
        }
        let created = !instance.paths.db.exists();
        // With an owner serving it there is nothing left to create.
        if created || Lock::live_holder(&instance.paths.lock).is_none() {
            let mut command = Command::new(&owner);
            command.arg("init").arg(&instance.name).args(context.forwarded(&project)?);
            command.stdin(Stdio::null()).stdout(Stdio::null());
            create(command, instance)?;
        }
        let database = instance.paths.db.display().to_string();
        context.output.note(format!("{}: {} {database}", instance.name, if created { "created" } else { "exists" }));
        answer.instances.push(Initialised { instance: instance.name.clone(), database, created });
    }
    if context.output.json {
        context.output.json(answer)?;
    }
    Ok(DONE)
}

fn create(mut command: Command, instance: &Instance) -> Result<(), Report> {
    let ended = command
        .output()
        .map_err(|error| Failure::new(&codes::OWNER_MISSING, "nixbox-owner cannot be run").why(error))?;
    match ended.status.code() {
        Some(0) => Ok(()),
        // Somebody else was about to create or serve it, and has.
        Some(code) if code == Exit::Held as i32 && instance.paths.db.exists() => Ok(()),
        code => Err(presence::owner_failed(&instance.name, code, &String::from_utf8_lossy(&ended.stderr))),
    }
}
