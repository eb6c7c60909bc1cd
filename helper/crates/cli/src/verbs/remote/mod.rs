//! Remotes that are served from here.

mod backup;
mod restore;
mod serve;
mod status;

pub use backup::Answer as BackedUp;
pub use restore::Answer as Restored;
pub use status::{Answer, Ready};

use nixbox_config::{Project, Remote, Served};
use nixbox_report::{Failure, Report, codes};
use nixbox_state::{Holder, Lock, LockError};

use crate::context::Context;

/// Serve a remote from this machine, and look after it
///
/// One that is declared with a table `serve` is Turso's `tursodb` on a database in `DATA_DIR/remotes/NAME`, behind a proxy on
/// 127.0.0.1 that asks for the token. Instances sync with it, here and through a tunnel or a proxy with TLS from other
/// machines, and so do upstream's clients.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  nixbox-helper remote serve team\n  nixbox-helper remote status\n  nixbox-helper remote backup team --to /backups/team-monday"
)]
pub struct Args {
    #[command(subcommand)]
    pub what: What,
}

#[derive(Debug, clap::Subcommand)]
pub enum What {
    Serve(serve::Args),
    Status(status::Args),
    Ready(status::ReadyArgs),
    Backup(backup::Args),
    Restore(restore::Args),
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    match args.what {
        What::Serve(args) => serve::run(args, context),
        What::Status(args) => status::run(args, context),
        What::Ready(args) => status::ready(args, context),
        What::Backup(args) => backup::run(args, context),
        What::Restore(args) => restore::run(args, context),
    }
}

/// The served remote of that name, or the only one.
fn one<'p>(project: &'p Project, name: Option<&str>) -> Result<(&'p str, &'p Remote, &'p Served), Report> {
    let served: Vec<_> = project.served().map(|(name, _)| name.as_str()).collect();
    let listed = || match served.as_slice() {
        [] => "none is served from here".to_owned(),
        names => format!("served from here are {}", names.join(", ")),
    };
    let name = match (name, served.as_slice()) {
        (Some(name), _) => name,
        (None, [only]) => only,
        (None, _) => {
            return Err(Failure::new(&codes::REMOTE_UNKNOWN, "it is not said which remote is meant")
                .why(listed())
                .help("name one that is declared with a table `serve`")
                .into());
        }
    };
    let Some((name, remote)) = project.remotes.get_key_value(name) else {
        return Err(Failure::new(&codes::REMOTE_UNKNOWN, format!("no remote is named `{name}`"))
            .why(listed())
            .help(format!("declare it with a table `[remotes.{name}]`"))
            .into());
    };
    match &remote.serve {
        Some(served) => Ok((name, remote, served)),
        None => Err(Failure::new(&codes::REMOTE_NOT_SERVED, format!("the remote `{name}` is not served from here"))
            .why(format!("it is at {}", remote.address))
            .help(format!("add a table `[remotes.{name}.serve]`"))
            .into()),
    }
}

/// For work on its files while nobody serves it.
fn lock(name: &str, served: &Served) -> Result<Lock, Report> {
    let folder = &served.paths.dir;
    nixbox_state::create_private_dir(folder).map_err(|error| crate::context::io_failure("make", folder, error))?;
    let me = Holder::me(crate::presence::now(), None)?;
    Lock::acquire(&served.paths.lock, &me).map_err(|error| match error {
        LockError::Held(holder) => {
            let who = holder.map_or("another process".to_owned(), |holder| format!("process {}", holder.process.pid));
            Failure::new(&codes::REMOTE_HELD, format!("the remote `{name}` is held by {who}"))
                .why("its files are one process's at a time")
                .help("end what serves it: Ctrl-C, or `nixbox-helper down`")
                .into()
        }
        LockError::Io { path, source } => crate::context::io_failure("lock", &path, source),
    })
}

fn not_running(name: &str) -> Failure {
    Failure::new(&codes::REMOTE_NOT_RUNNING, format!("the remote `{name}` is not served now"))
        .why("nobody answers at its socket")
        .help(format!("serve it with `nixbox-helper remote serve {name}`, or `nixbox-helper up`"))
}
