use std::path::PathBuf;

use nixbox_report::Report;

use super::DONE;
use crate::changes;

/// Write a byte for each change in some folders, until standard input ends
///
/// What `wait` runs beside itself; not for people.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(required = true)]
    pub folders: Vec<PathBuf>,
}

pub fn run(args: Args) -> Result<u8, Report> {
    changes::tell(&args.folders)?;
    Ok(DONE)
}
