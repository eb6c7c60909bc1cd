use nixbox_report::Report;

use super::{DONE, stats};
use crate::context::Context;
use crate::select;
use crate::view::{self, Sort};

/// Show what takes most of the machine, and keep showing it
///
/// As `stats` tells it, but sorted, drawn anew each second, and with keys: c, m, o, r, w and n sort by processors, memory,
/// operations, bytes read, bytes written and name; q leaves. Where it is not on a terminal it prints what `stats` does.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  nixbox-helper top\n  nixbox-helper top --sort memory --no-stream\n  nixbox-helper top --no-stream --json | jq '.units[0].name'"
)]
pub struct Args {
    /// Only these instances and jobs
    pub names: Vec<String>,
    /// Once, without a picture
    #[arg(long)]
    pub no_stream: bool,
    /// What comes first
    #[arg(long, value_name = "WHAT", value_enum, default_value_t)]
    pub sort: Sort,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let project = context.project()?;
    let names = select::all_full(&project, &args.names)?;
    let mut follow = stats::begin(&names, &project)?;
    if args.no_stream || !view::is_possible(&context.output) {
        let sort = |rows: &mut Vec<stats::Row>| args.sort.apply(rows);
        return stats::stream(&names, args.no_stream, sort, &mut follow, &project, context);
    }
    view::top(&mut follow, &names, args.sort, &project)?;
    Ok(DONE)
}
