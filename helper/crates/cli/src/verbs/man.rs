use std::path::PathBuf;

use nixbox_report::Report;

use super::DONE;
use crate::cli;
use crate::context::{Context, io_failure};

/// Print the manual page, or write those of every verb into a folder
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  nixbox-helper man | man -l -\n  nixbox-helper man ~/.local/share/man/man1")]
pub struct Args {
    /// Write nixbox-helper.1, nixbox-helper-up.1 and so on here
    pub dir: Option<PathBuf>,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let Some(dir) = args.dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(cli::command()).render(&mut page)?;
        context.output.data(page)?;
        return Ok(DONE);
    };
    std::fs::create_dir_all(&dir).map_err(|error| io_failure("create", &dir, error))?;
    clap_mangen::generate_to(cli::command(), &dir).map_err(|error| io_failure("write the pages into", &dir, error))?;
    context.output.note(format!("wrote the manual pages into {}", dir.display()));
    Ok(DONE)
}
