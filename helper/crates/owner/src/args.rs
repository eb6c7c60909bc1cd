use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use nixbox_config::{Cipher, LogLevel};

#[derive(Debug, Parser)]
#[command(name = "nixbox-owner", version, about)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Hold an instance's database and offer its surfaces, in the foreground, until told to stop
    Serve(Serve),
    /// Serve a remote that the configuration declares with `serve`, in the foreground, until told to stop
    ServeRemote(Target),
    /// Create an instance's database where it is missing
    Init {
        #[command(flatten)]
        target: Target,
        /// Make it a copy of that database; it must not be there yet
        #[arg(long, value_name = "FILE")]
        from: Option<PathBuf>,
    },
    /// Say where the folder is that an instance lies over, or tell it
    Relocate(Relocate),
    /// Answer one request over the socket that is standard input, while no owner serves the instance
    Request(Target),
    /// Ask a mount whether it answers, in the place of an owner that must not wait for it
    #[command(hide = true)]
    Probe { path: PathBuf },
    /// Look over a database that nobody has open, and repair it where a place for a copy is named; prints JSON
    Fsck(Kept),
    /// Say what brings an old database up to date, and do it where a place for a copy is named; prints JSON
    Migrate(Kept),
    /// Put an instance's database back to what a snapshot holds, and say in JSON what was kept of it before
    Restore {
        #[command(flatten)]
        target: Target,
        /// Its name, as `nixbox-helper snapshot ls` shows it
        snapshot: String,
    },
    /// Write an instance's database anew with another key, and say in JSON what was written
    Rekey(Rekey),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Rekey {
    #[command(flatten)]
    pub(crate) target: Target,
    /// The new cipher
    #[arg(long, value_name = "CIPHER")]
    pub(crate) cipher: Option<Cipher>,
    /// The file that holds the new key
    #[arg(long, value_name = "FILE", group = "new_key")]
    pub(crate) new_key_file: Option<PathBuf>,
    /// A line for `sh` that prints the new key
    #[arg(long, value_name = "COMMAND", group = "new_key")]
    pub(crate) new_key_command: Option<String>,
    /// The variable that holds the new key
    #[arg(long, value_name = "NAME", group = "new_key")]
    pub(crate) new_key_env: Option<String>,
    /// Leave the database plain
    #[arg(long, conflicts_with_all = ["new_key", "cipher"])]
    pub(crate) decrypt: bool,
}

/// A database that nobody has open.
#[derive(Debug, clap::Args)]
pub(crate) struct Kept {
    pub(crate) file: PathBuf,
    /// The lock that an owner of it would hold
    #[arg(long, value_name = "FILE")]
    pub(crate) lock: Option<PathBuf>,
    /// Where the database as it is goes before anything is changed; without it, nothing is
    #[arg(long, value_name = "FILE")]
    pub(crate) backup: Option<PathBuf>,
    /// The instance whose declaration says where the key is
    #[arg(long, value_name = "NAME")]
    pub(crate) key_of: Option<String>,
    #[command(flatten)]
    pub(crate) project: Project,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Relocate {
    #[command(flatten)]
    pub(crate) target: Target,
    /// The folder from now on
    pub(crate) dir: Option<PathBuf>,
    /// Also where it has nothing of what was copied out of the old one
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Save an ephemeral instance as its database when it stops
    #[arg(long)]
    pub(crate) keep: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Target {
    /// The instance, as the configuration names it
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) project: Project,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Project {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The folder that relative paths start from
    #[arg(long, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
    /// Where databases are kept
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log_level: Option<LogLevel>,
    /// How log lines and errors are written to stderr
    #[arg(long, value_name = "FORMAT", env = "NIXBOX_LOG_FORMAT", default_value = "human")]
    pub(crate) log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Human,
    Json,
}

impl Verb {
    pub(crate) fn log_format(&self) -> LogFormat {
        match self {
            Self::Serve(Serve { target, .. })
            | Self::Init { target, .. }
            | Self::Restore { target, .. }
            | Self::Request(target)
            | Self::ServeRemote(target) => target.project.log_format,
            Self::Relocate(Relocate { target, .. }) => target.project.log_format,
            Self::Rekey(rekey) => rekey.target.project.log_format,
            Self::Fsck(kept) | Self::Migrate(kept) => kept.project.log_format,
            Self::Probe { .. } => LogFormat::Human,
        }
    }
}
