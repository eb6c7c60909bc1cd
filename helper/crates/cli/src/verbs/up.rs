use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use nixbox_config::Instance;
use nixbox_report::Report;
use nixbox_supervisor::{Placement, Sink, Spec, Supervisor};

use super::{DONE, ps};
use crate::changes::{Changes, Place};
use crate::context::Context;
use crate::owner_binary;
use crate::presence::{Presence, deadline, presences};
use crate::select::{self, Unnamed};
use crate::watching::{Crew, Turn};

/// devenv kills after five seconds; whoever stops us must find everything gone before that.
const GRACE: Duration = Duration::from_millis(4500);

/// Start owners, show them come ready, and stop them on Ctrl-C
///
/// For machines without a process manager. In the foreground their output is shown until Ctrl-C, TERM or HUP, which
/// stops all of them at once; a second Ctrl-C kills them. An owner that ends by itself is reported, the others go
/// on, and the exit code at the end is 1. Instances that have an owner already are left to whoever started it.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  nixbox-helper up\n  nixbox-helper up sandbox other\n  nixbox-helper up -d && make test; nixbox-helper down"
)]
pub struct Args {
    /// The instances [default: every enabled one]
    pub names: Vec<String>,
    /// Leave them running and return once they are ready
    #[arg(short, long)]
    pub detach: bool,
    /// Seconds that they have to become ready; 0 is for ever
    #[arg(short, long, value_name = "SECONDS", default_value_t = 60.0, value_parser = super::wait::seconds)]
    pub timeout: f64,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let project = context.project()?;
    let instances = select::many(&project, &args.names, Unnamed::AllEnabled)?;
    let owner = owner_binary::find()?;
    // Before any thread exists, or it would be that thread which Ctrl-C ends.
    let supervisor = Supervisor::new(&[Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP])?;
    let changes = Changes::new(&project, &instances, Place::Here)?;
    let mut crew = Crew::new(context, supervisor, changes, deadline(args.timeout));

    let mut begun = Vec::new();
    for (instance, found) in instances.iter().zip(presences(&instances, Duration::from_secs(2))) {
        match found? {
            Presence::Nobody => {
                let words = context.forwarded(&project)?;
                crew.start(instance, spec(&owner, instance, args.detach).args(words))?;
                begun.push(*instance);
            }
            Presence::Here(status) => {
                let left = if args.detach { "" } else { "; it is not ours and stays when we stop" };
                context.output.note(format!("{}: already running (process {}){left}", instance.name, status.pid));
                crew.follow(instance);
            }
            Presence::Silent(holder) => return Err(crate::presence::silent(&instance.name, holder.as_ref()).into()),
        }
    }
    let settled = settle(&mut crew)?;
    if settled == Settled::Ready {
        ps::show(ps::Answer { instances: ps::rows(&instances)? }, context)?;
    }
    match (args.detach, settled) {
        (true, Settled::Ready) => Ok(DONE),
        (true, Settled::Failed) | (_, Settled::Interrupted(_)) => {
            crew.stop(GRACE)?;
            Ok(match settled {
                Settled::Interrupted(signal) if args.detach => 128 + signal as u8,
                _ => crew.exit(),
            })
        }
        (false, _) if begun.is_empty() => Ok(crew.exit()),
        (false, _) => {
            if crew.running() > 0 {
                context.output.note("Ctrl-C stops them");
            }
            stay(&mut crew)?;
            Ok(crew.exit())
        }
    }
}

fn spec(owner: &Path, instance: &Instance, detach: bool) -> Spec {
    let spec = Spec::new(owner).args(["serve", &instance.name]);
    match detach {
        true => spec.placement(Placement::Detached).output(Sink::Append(instance.paths.log.clone())),
        false => spec,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Settled {
    Ready,
    Failed,
    Interrupted(Signal),
}

/// Until each of them is ready, or will not be.
fn settle(crew: &mut Crew<'_>) -> Result<Settled, Report> {
    while crew.unsettled() > 0 {
        if let Turn::Signal(signal) = crew.turn()? {
            return Ok(Settled::Interrupted(signal));
        }
    }
    Ok(if crew.exit() == DONE { Settled::Ready } else { Settled::Failed })
}

/// Until somebody wants us to stop, or nothing is left to watch.
fn stay(crew: &mut Crew<'_>) -> Result<(), Report> {
    while crew.running() > 0 {
        if let Turn::Signal(_) = crew.turn()? {
            return crew.stop(GRACE);
        }
    }
    Ok(())
}
