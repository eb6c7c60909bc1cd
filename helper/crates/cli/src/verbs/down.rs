use std::time::Duration;

use nixbox_config::Instance;
use nixbox_report::Report;
use schemars::JsonSchema;
use serde::Serialize;

use super::DONE;
use crate::context::Context;
use crate::stopping::{End, Outcome, stop};
use crate::{recorded, select};

/// Stop owners, all at the same time, and clear up what killed ones left
///
/// Returns when they are really gone: processes ended, mounts away, locks free. It does not matter who started
/// them, nor whether the configuration declares them still. With nothing to stop it says so and exits 0.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  nixbox-helper down\n  nixbox-helper down sandbox --timeout 30\n  nixbox-helper down scratch --keep    # an ephemeral one, as its database"
)]
pub struct Args {
    /// The instances [default: every one]
    pub names: Vec<String>,
    /// Seconds to stop in; after that an owner is killed
    #[arg(short, long, value_name = "SECONDS", default_value_t = 10.0, value_parser = super::wait::seconds)]
    pub timeout: f64,
    /// Save ephemeral instances as their databases first; nothing is stopped where one is there already
    #[arg(long)]
    pub keep: bool,
}

#[derive(Serialize, JsonSchema)]
pub struct Answer {
    pub instances: Vec<Stopped>,
}

#[derive(Serialize, JsonSchema)]
pub struct Stopped {
    pub instance: String,
    pub outcome: Word,
    /// A dead mount was taken away
    pub repaired: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    NotRunning,
    Stopped,
    Killed,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let mut project = context.project()?;
    recorded::adopt_undeclared(&mut project);
    let instances = select::any_of(&project, &args.names)?;
    let grace = Duration::from_secs_f64(args.timeout);
    let outcomes: Vec<Result<Outcome, Report>> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            instances.iter().map(|instance| scope.spawn(move || stop(instance, grace, args.keep))).collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined
            .map(|one| one.unwrap_or_else(|_| Err(std::io::Error::other("a thread ended unexpectedly").into())))
            .collect()
    });
    let mut answer = Answer { instances: Vec::new() };
    let mut failures = Vec::new();
    for (instance, outcome) in instances.into_iter().zip(outcomes) {
        match outcome {
            Ok(outcome) => answer.instances.push(tell(instance, outcome, context)),
            Err(report) => failures.extend(report.failures),
        }
    }
    if !failures.is_empty() {
        return Err(failures.into());
    }
    if answer.instances.iter().all(|one| one.outcome == Word::NotRunning && !one.repaired) {
        context.output.note("nothing was running");
    }
    if context.output.json {
        context.output.json(answer)?;
    }
    Ok(DONE)
}

pub fn tell(instance: &Instance, outcome: Outcome, context: &Context) -> Stopped {
    let name = &instance.name;
    let word = match outcome.end {
        End::WasNotRunning => Word::NotRunning,
        End::Stopped => Word::Stopped,
        End::Killed => Word::Killed,
    };
    match word {
        Word::NotRunning => {}
        Word::Stopped => context.output.note(format!("{name}: stopped")),
        Word::Killed => context.output.warn(format!("{name}: did not stop in time and was killed")),
    }
    if let (true, Some(mount)) = (outcome.repaired, &instance.mount) {
        context.output.note(format!("{name}: removed the dead mount at {}", mount.path.display()));
    }
    Stopped { instance: name.clone(), outcome: word, repaired: outcome.repaired }
}
