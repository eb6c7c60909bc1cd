use nixbox_report::Report;

use super::{DONE, logs};
use crate::context::Context;
use crate::supervise::{Client, Places};
use crate::view::{self, Left};

/// Return to what `up -d` has left running
///
/// On a terminal as the picture that `up` shows, elsewhere as the lines that come from now on. Leaving it, with `q` or
/// Ctrl-C, changes nothing: all goes on running.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  nixbox-helper attach\n  nixbox-helper attach | tee up.log")]
pub struct Args {}

pub fn run(_: Args, context: &Context) -> Result<u8, Report> {
    let project = context.project()?;
    let (client, mut follow) = Client::needed(&Places::of(&project))?;
    if !view::is_possible(&context.output) {
        let args = logs::Args { names: Vec::new(), follow: true, tail: Some(0), since: None, timestamps: false };
        return logs::run(args, context);
    }
    if view::show(&client, &mut follow, &project, "leave")? == Left::Over {
        context.output.note("all has ended");
    }
    Ok(DONE)
}
