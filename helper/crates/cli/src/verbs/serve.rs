use std::os::unix::process::CommandExt;
use std::process::Command;

use nixbox_report::{Failure, Report, codes};

use crate::context::Context;
use crate::{owner_binary, select};

/// Become the owner of one instance, in the foreground
///
/// This process turns into `nixbox-owner`, so whoever supervises it supervises the owner itself. TERM, INT and HUP
/// stop it cleanly; READY=1 goes to NOTIFY_SOCKET where that is set.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  nixbox-helper serve sandbox\n  nixbox-helper --log-level debug serve sandbox\n  nixbox-helper serve scratch --keep    # an ephemeral one, to be kept"
)]
pub struct Args {
    /// The instance [default: the default one]
    pub name: Option<String>,
    /// Save an ephemeral instance as its database when it stops
    #[arg(long)]
    pub keep: bool,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let project = context.project()?;
    let instance = select::one(&project, args.name.as_deref())?;
    let owner = owner_binary::find()?;
    let mut command = Command::new(&owner);
    command.arg("serve").arg(&instance.name).args(context.forwarded(&project)?);
    if args.keep {
        command.arg("--keep");
    }
    let error = command.exec();
    Err(Failure::new(&codes::OWNER_MISSING, format!("{} cannot be run", owner.display())).why(error).into())
}
