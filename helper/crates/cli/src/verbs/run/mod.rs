use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::ValueEnum;
use nixbox_config::RestartOn;
use nixbox_report::{Failure, Report, codes};
use schemars::JsonSchema;
use serde::Serialize;

use super::exec;
use crate::context::{Context, here};
use crate::made::{self, Found, Wanted};

mod bind;
mod detached;
mod foreground;
mod owner;
mod port;
mod told;

/// Run a command in an instance that is made for it
///
/// The instance lies over a folder, and the command sees it in the place of that folder: what it writes stays out of the
/// real files. Nothing has to be declared, and no nixbox.toml has to be there. Once the command has ended, and with it all
/// that it has started, the instance is removed if nothing in it was changed; otherwise it stays, to be looked at with
/// `status` and `diff` like any other, until `instance rm` or `prune` removes it. The name of one that stayed can be given
/// again.
///
/// Its exit code is the command's own, as with `exec`; 125 is a failure of this program, such as
/// that --rm was refused. Ctrl-C and TERM go to the command.
/// There is no network of its own: the command listens on the machine's ports.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Examples:\n  nixbox-helper run -- make test\n  nixbox-helper run --rm --force -it -- bash     # whatever happens in it is dropped\n  nixbox-helper run --name try --keep -- ./agent && nixbox-helper diff try\n  nixbox-helper run --name try --on-failure restore -- npm install\n  nixbox-helper run -d --name web -p 8000 --restart on-failure -- sh -c 'exec ./server --port $PORT'\n  nixbox-helper run -v /srv/models:models:ro -v ./data:data -- ./train"
)]
pub struct Args {
    /// What the instance is called; one that stayed is used again [default: a free name]
    #[arg(long)]
    pub name: Option<String>,
    /// The folder that it lies over [default: the current one]
    #[arg(long, value_name = "DIR")]
    pub base: Option<PathBuf>,
    /// Remove the instance in any case; refused where it holds changes
    #[arg(long, conflicts_with = "keep")]
    pub rm: bool,
    /// With --rm: drop its changes
    #[arg(long, requires = "rm")]
    pub force: bool,
    /// Leave the instance in any case; `prune` leaves it, too
    #[arg(long)]
    pub keep: bool,
    /// Leave it running, kept up as `up -d` does, and return once it is ready; without --rm the instance stays
    #[arg(short, long, conflicts_with_all = ["tty", "interactive", "json"])]
    pub detach: bool,
    /// When it is started again: never, on-failure, always or unless-stopped
    #[arg(long, value_name = "ON", requires = "detach")]
    pub restart: Option<RestartOn>,
    /// Show a file or folder of the machine at a path of the instance, where it is made if nothing is there, or at one that
    /// the machine has; what is written there is written
    #[arg(short, long, value_name = "SRC:DST[:ro]")]
    pub volume: Vec<String>,
    /// What it listens on: it has to be free, and is the command's $PORT; 0 picks one
    #[arg(short, long)]
    pub port: Option<u16>,
    /// Give the instance a label
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label)]
    pub labels: Vec<(String, String)>,
    /// Make a snapshot of the instance before
    #[arg(long)]
    pub checkpoint: bool,
    /// What to do when the command fails: go back to what was before
    #[arg(long, value_name = "WHAT", value_enum)]
    pub on_failure: Option<OnFailure>,
    /// Whoever keeps the command up has said this, and the instance stays for it
    #[arg(long, hide = true)]
    pub kept_up: bool,
    #[command(flatten)]
    pub flags: exec::Flags,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnFailure {
    Restore,
}

#[derive(Serialize, JsonSchema)]
pub struct Answer {
    #[serde(flatten)]
    pub command: exec::Answer,
    /// The instance is still there
    pub kept: bool,
    /// How many files in it differ from its base, and how many keys have a value; null where that is not known
    pub changes: Option<u64>,
    pub values: Option<u64>,
    /// The snapshot that was made before
    pub checkpoint: Option<String>,
    /// The instance was put back to that
    pub restored: bool,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let detach = args.detach;
    exec::ended(if detach { detached::begin(args, context) } else { foreground::run(args, context) }, context)
}

impl Args {
    fn find_or_make(&self, context: &Context) -> Result<Found, Report> {
        let base = self.base.clone().map_or_else(here, Ok)?;
        let wanted = Wanted {
            name: self.name.clone(),
            base,
            labels: self.labels.iter().cloned().collect::<BTreeMap<_, _>>(),
            keep: self.keep,
            command: self.flags.command.iter().map(|word| word.to_string_lossy().into_owned()).collect(),
        };
        made::find_or_make(wanted, context)
    }

    fn checkpoint(&self) -> bool {
        self.checkpoint || self.on_failure.is_some()
    }
}

/// `NAME=VALUE`
pub fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".into()),
    }
}

fn bad_bind(what: String, why: &str) -> Failure {
    Failure::new(&codes::RUN_BIND, what).why(why).help("write -v SRC:DST, or SRC:DST:ro for what it may not write")
}
