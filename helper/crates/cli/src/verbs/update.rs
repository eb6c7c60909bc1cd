use nixbox_report::{Failure, Report, codes};
use schemars::JsonSchema;
use serde::Serialize;

use super::DONE;
use crate::confine::{self, Wanted};
use crate::context::Context;
use crate::supervise::{self, Client, Order, Places};

/// Change what jobs may take while they run
///
/// At once, and at each start that follows, until the job's declaration changes or `down`. What is not named here stays as it
/// is. For good, write it into the configuration: `limits` of the job.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  nixbox-helper update worker --memory 2GiB\n  nixbox-helper update worker indexer --cpu 0.5 --pids 100"
)]
pub struct Args {
    /// The jobs
    #[arg(required = true)]
    pub names: Vec<String>,
    #[command(flatten)]
    pub wanted: Wanted,
}

#[derive(Serialize, JsonSchema)]
pub struct Answer {
    /// Those for which it holds now
    pub changed: Vec<String>,
    /// Those for which it holds when they are started again
    pub later: Vec<String>,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    if args.wanted == Wanted::default() {
        return Err(Failure::new(&codes::USAGE, "nothing to change")
            .help("name a limit: --cpu, --memory or --pids")
            .into());
    }
    let project = context.project()?;
    for name in &args.names {
        if project.instances.contains_key(name) {
            return Err(Failure::new(&codes::UNIT_LIMITS, format!("`{name}` is an instance"))
                .why("its owner is held to nothing; its limits are those of each command in it")
                .help(format!("name a job, or write `limits` into [instances.{name}]"))
                .into());
        }
        if !project.jobs.contains_key(name) {
            return Err(supervise::unknown(&project, name).into());
        }
    }
    let (client, mut follow) = Client::needed(&Places::of(&project))?;
    let limits = confine::limits(&args.wanted.over(Default::default()));
    let words = args.wanted.words().into_iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let changed = client.order(&Order::Limit { names: args.names.clone(), limits, words }, &mut follow)?.names;
    let later: Vec<_> = args.names.into_iter().filter(|name| !changed.contains(name)).collect();
    for name in &changed {
        context.output.note(format!("{name}: changed"));
    }
    for name in &later {
        context.output.warn(format!("{name}: holds when it is started again, for it has no control group now"));
    }
    if context.output.json {
        context.output.json(Answer { changed, later })?;
    }
    Ok(DONE)
}
