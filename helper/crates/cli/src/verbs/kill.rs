use nix::sys::signal::Signal;
use nixbox_report::Report;
use nixbox_supervisor::Handle;
use schemars::JsonSchema;
use serde::Serialize;

use super::DONE;
use crate::context::Context;
use crate::presence::{self, Presence};
use crate::select;
use crate::supervise::{self, Client, Order, Places};
use std::time::Duration;

/// Send a signal to instances and jobs
///
/// To the owner of an instance, to the process of a job, which passes it on to its command. What then ends is restarted
/// as its `restart` says; `stop` is for what is to stay down.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  nixbox-helper kill -s HUP worker\n  nixbox-helper kill worker    # KILL")]
pub struct Args {
    /// The instances and jobs
    #[arg(required = true)]
    pub names: Vec<String>,
    /// The signal, by name or number
    #[arg(short, long, default_value = "KILL", value_parser = signal)]
    pub signal: Signal,
}

#[derive(Serialize, JsonSchema)]
pub struct Answered {
    pub signalled: Vec<String>,
    pub signal: String,
}

fn signal(word: &str) -> Result<Signal, String> {
    let name = word.to_uppercase();
    let name = if name.starts_with("SIG") { name } else { format!("SIG{name}") };
    let by_number = word.parse::<i32>().ok().and_then(|number| Signal::try_from(number).ok());
    by_number.or_else(|| name.parse().ok()).ok_or_else(|| "give a signal, such as HUP, SIGTERM or 9".into())
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let project = context.project()?;
    let args = Args { names: select::all_full(&project, &args.names)?, ..args };
    let mut kept_up = Client::reach(&Places::of(&project))?;
    for name in &args.names {
        let by_another = kept_up.as_mut().filter(|(_, follow)| follow.unit(name).is_some());
        match (by_another, project.instances.get(name)) {
            (Some((client, follow)), _) => {
                client.order(&Order::Signal { name: name.clone(), signal: args.signal as i32 }, follow)?;
            }
            // Somebody else keeps it up.
            (_, Some(instance)) => match presence::presence(instance, Duration::from_secs(2))? {
                Presence::Here(_) | Presence::Silent(_) => {
                    let holder = nixbox_state::Lock::live_holder(&instance.paths.lock).filter(|holder| !holder.clears);
                    let handle = holder.map(|holder| Handle::of(holder.process)).transpose()?.flatten();
                    handle.ok_or_else(|| presence::not_running(name))?.signal(args.signal)?;
                }
                Presence::Nobody => return Err(presence::not_running(name).into()),
            },
            (_, None) if project.jobs.contains_key(name) => return Err(supervise::job_not_running(name).into()),
            (_, None) => return Err(supervise::unknown(&project, name).into()),
        }
        context.output.note(format!("{name}: {}", args.signal));
    }
    if context.output.json {
        context.output.json(Answered { signalled: args.names, signal: args.signal.to_string() })?;
    }
    Ok(DONE)
}
