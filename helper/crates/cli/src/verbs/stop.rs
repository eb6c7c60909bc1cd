use std::time::Duration;

use nixbox_report::Report;

use super::{DONE, down};
use crate::context::Context;
use crate::stopping::{End, stop};
use crate::{presence, recorded, select};

/// Stop the owner of one instance
///
/// Like `down` for one, but exit 3 when nobody serves it.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  nixbox-helper stop sandbox\n  nixbox-helper stop sandbox --timeout 0    # kill it now"
)]
pub struct Args {
    /// The instance [default: the default one]
    pub name: Option<String>,
    /// Seconds to stop in; after that the owner is killed
    #[arg(short, long, value_name = "SECONDS", default_value_t = 10.0, value_parser = super::wait::seconds)]
    pub timeout: f64,
    /// Save an ephemeral instance as its database first; it goes on where one is there already
    #[arg(long)]
    pub keep: bool,
}

pub type Answer = down::Stopped;

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let mut project = context.project()?;
    recorded::adopt_undeclared(&mut project);
    let instance = select::any(&project, args.name.as_deref())?;
    let outcome = stop(instance, Duration::from_secs_f64(args.timeout), args.keep)?;
    let answer = down::tell(instance, outcome, context);
    if outcome.end == End::WasNotRunning {
        return Err(presence::not_running(&instance.name).into());
    }
    if context.output.json {
        context.output.json(answer)?;
    }
    Ok(DONE)
}
