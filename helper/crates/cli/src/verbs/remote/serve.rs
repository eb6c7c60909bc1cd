use std::os::unix::process::CommandExt;
use std::process::Command;

use nixbox_config::{KeySource, Project};
use nixbox_report::{Failure, Report, codes};

use super::one;
use crate::context::Context;
use crate::owner_binary;

/// Serve a remote in the foreground, until told to stop
///
/// READY=1 goes to NOTIFY_SOCKET, where that is set, when the server has answered a request. TERM, INT and HUP stop it. A
/// token is made where its file is not there yet, and a `tursodb` that dies is started again, a few times. Where the system
/// allows it, `tursodb` is in a network of its own, so that nobody reaches it past the token.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  nixbox-helper remote serve team\n  nixbox-helper remote serve        # the only one"
)]
pub struct Args {
    /// The remote [default: the only one that is served from here]
    pub name: Option<String>,
}

/// Whoever has it set writes past the server's lock.
const NO_LOCK: &str = "LIMBO_DISABLE_FILE_LOCK";
/// A token of a client's, which is no business of the server's.
const CLIENTS_TOKEN: &str = "TURSO_DB_AUTH_TOKEN";

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let project = context.project()?;
    let (name, _, _) = one(&project, args.name.as_deref())?;
    let mut command = command(context, &project, name)?;
    let error = command.exec();
    let program = std::path::Path::new(command.get_program()).display();
    Err(Failure::new(&codes::OWNER_MISSING, format!("{program} cannot be run")).why(error).into())
}

/// What serves it, with nothing in its environment that it must not have.
pub fn command(context: &Context, project: &Project, name: &str) -> Result<Command, Report> {
    let mut command = Command::new(owner_binary::find()?);
    command.arg("serve-remote").arg(name).args(context.forwarded(project)?).env_remove(NO_LOCK);
    let token = project.remotes.get(name).and_then(|remote| remote.token.as_ref());
    if !matches!(token, Some(KeySource::Variable(name)) if name == CLIENTS_TOKEN) {
        command.env_remove(CLIENTS_TOKEN);
    }
    Ok(command)
}
