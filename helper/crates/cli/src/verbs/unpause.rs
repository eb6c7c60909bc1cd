use nixbox_report::Report;

use super::pause;
use crate::context::Context;

/// Have what stands still go on
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  nixbox-helper unpause worker")]
pub struct Args {
    /// The instances and jobs
    #[arg(required = true)]
    pub names: Vec<String>,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    pause::change(args.names, false, context)
}
