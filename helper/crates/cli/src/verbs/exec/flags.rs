use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use nixbox_config::{Share, Span};
use nixbox_supervisor::Outlet;

use crate::confine::Wanted;
use crate::context::Context;
use crate::verbs::wait;

/// How a command is run, in whichever instance.
#[derive(Debug, Clone, clap::Args)]
pub struct Flags {
    /// Set a variable for it, or with a bare NAME, pass on ours
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub env: Vec<String>,
    /// The folder to begin in; relative ones start from the folder that the instance lies over
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<PathBuf>,
    /// Pass on standard input, which is empty otherwise
    #[arg(short, long)]
    pub interactive: bool,
    /// Give it a terminal of its own
    #[arg(short, long, conflicts_with = "json")]
    pub tty: bool,
    /// How long it may take; after that it is told to end, and killed five seconds later
    #[arg(long, value_name = "SECONDS", value_parser = wait::seconds)]
    pub timeout: Option<f64>,
    #[command(flatten)]
    pub wanted: Wanted,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

impl Flags {
    /// What it may take, by these before what is declared. A time of nothing is as long as it likes.
    pub fn over(&self, declared: Share) -> Share {
        let timeout = self.timeout.map(|limit| Span(Duration::from_secs_f64(limit))).or(declared.timeout);
        self.wanted.over(Share { timeout: timeout.filter(|limit| !limit.0.is_zero()), ..declared })
    }

    pub fn outlet(&self, context: &Context) -> Outlet {
        match (self.tty, context.output.json) {
            (_, true) => Outlet::Captured,
            (true, false) => Outlet::Terminal,
            (false, false) => Outlet::Ours,
        }
    }
}
