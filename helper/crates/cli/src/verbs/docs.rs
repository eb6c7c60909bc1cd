use clap::ValueEnum;
use nixbox_report::Report;

use super::DONE;
use crate::context::Context;
use crate::reference;

/// Print a page of the reference, as Markdown
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(value_enum)]
    pub page: Page,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Page {
    Cli,
    Env,
    Errors,
    Config,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    context.output.data(match args.page {
        Page::Cli => reference::cli(),
        Page::Env => reference::env(),
        Page::Errors => reference::errors(),
        Page::Config => reference::config(),
    })?;
    Ok(DONE)
}
