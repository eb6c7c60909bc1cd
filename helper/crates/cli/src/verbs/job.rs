use std::path::PathBuf;

use nixbox_config::Share;
use nixbox_report::{Failure, Report, codes};

use nix::sys::signal::SigSet;
use nixbox_supervisor::PASSED_ON;

use super::exec::{self, Inside};
use super::job_watched::Watched;
use crate::confine::{self, Wanted};
use crate::context::Context;
use crate::supervise::unknown;

/// Run one job in the foreground
///
/// As `up` and process managers do: the command sees its instance, which has to be ready, in the place of the project
/// folder. TERM and other signals are passed on. When the command has ended, nothing that it has started stays behind.
/// It may take what its `limits` and those of its instance say, and the flags here before those. One with a `watch` is
/// started anew when something of that changes, and when its command has ended by itself it waits for that. Exit codes
/// are those of `exec`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  nixbox-helper job worker\n  nixbox-helper job --probe worker && echo it is well")]
pub struct Args {
    /// The job
    pub name: String,
    /// Run its health check instead, once
    #[arg(long)]
    pub probe: bool,
    /// Where whoever keeps it up hears that it is started anew
    #[arg(long, value_name = "SOCKET", hide = true)]
    pub notices: Option<PathBuf>,
    #[command(flatten)]
    pub wanted: Wanted,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    // What comes before the command runs is for the command: it is passed on when that does.
    SigSet::from_iter(PASSED_ON).thread_block().map_err(std::io::Error::from)?;
    exec::ended(job(&args, context), context)
}

fn job(args: &Args, context: &Context) -> Result<u8, Report> {
    let project = context.project()?;
    let Some(job) = project.jobs.get(&args.name) else { return Err(unknown(&project, &args.name).into()) };
    let words = match (args.probe, &job.health) {
        (false, _) => &job.exec,
        (true, Some(nixbox_config::Health { probe: nixbox_config::Probe::Exec(words), .. })) => words,
        (true, Some(nixbox_config::Health { probe: nixbox_config::Probe::Http(address), .. })) => {
            return super::ask_http::run(super::ask_http::Args { address: address.clone() }, context);
        }
        (true, None) => {
            return Err(Failure::new(&codes::USAGE, format!("job `{}` has no health check", job.name))
                .help(format!("declare one with a table `[jobs.{}.health]`", job.name))
                .into());
        }
    };
    let Some(instance) = project.instances.get(&job.instance) else {
        return Err(unknown(&project, &job.instance).into());
    };
    let inside = Inside {
        project: &project,
        instance,
        command: words.iter().map(Into::into).collect(),
        // Where it was started from says nothing of where it belongs.
        cwd: Some(job.cwd.clone().unwrap_or_default()),
        env: job.env.iter().map(|(name, value)| format!("{name}={value}")).collect(),
        user: job.user.clone(),
        stdin: if args.probe { None } else { job.stdin.clone() },
        is_recorded: !args.probe,
        binds: Vec::new(),
        spares: None,
        group: (!args.probe).then(|| confine::group_of(&project, &job.name)),
        share: if args.probe { Share::default() } else { args.wanted.over(project.share_of(job)) },
    };
    match &job.watch {
        Some(watch) if !args.probe => Watched { inside, job, watch, notices: args.notices.clone() }.run(context),
        _ => inside.run_to_the_end(context),
    }
}
