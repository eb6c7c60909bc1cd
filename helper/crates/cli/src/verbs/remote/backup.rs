use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nixbox_config::Served;
use nixbox_control::{Error, Hosted};
use nixbox_report::{Failure, Report, codes};
use schemars::JsonSchema;
use serde::Serialize;

use super::{lock, one};
use crate::context::{Context, here, io_failure};
use crate::interrupt::Minded;
use crate::progress::size;
use crate::target::Target;
use crate::verbs::DONE;

/// Whoever is at work may finish so far.
const QUIET_WITHIN: Duration = Duration::from_secs(120);
const LETS_GO_WITHIN: Duration = Duration::from_secs(10);

/// Copy a served remote: its database and the log that belongs to it, as of one moment
///
/// While it is served, requests wait until the copy is made; none is refused. The log is never folded into the database: it
/// is all that clients know the past by. What is made is a folder with both files, and is there whole or not at all.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  nixbox-helper remote backup team\n  nixbox-helper remote backup team --to /backups/team-monday"
)]
pub struct Args {
    /// The remote [default: the only one that is served from here]
    pub name: Option<String>,
    /// The folder to make [default: one with the time as its name, in DATA_DIR/remotes/NAME/backups]
    #[arg(long, value_name = "DIR")]
    pub to: Option<PathBuf>,
}

#[derive(Serialize, JsonSchema)]
pub struct Answer {
    pub remote: String,
    /// The folder that holds it
    pub backup: String,
    pub database_bytes: u64,
    pub log_bytes: u64,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let project = context.project()?;
    let (name, _, served) = one(&project, args.name.as_deref())?;
    let place = match args.to {
        Some(place) => here()?.join(place),
        None => served.paths.dir.join("backups").join(stamp()),
    };
    if !served.paths.db.exists() {
        return Err(nothing(name, served).into());
    }
    if let Some(folder) = place.parent() {
        fs::create_dir_all(folder).map_err(|error| io_failure("make", folder, error))?;
    }
    let minded = Minded::new();
    let target = Target::new(&place, true, false)?;
    let copied = while_quiet(name, served, || both(served, target.beside(), &minded));
    let (database_bytes, log_bytes) = match copied {
        Ok(copied) => copied,
        Err(report) => {
            drop(target);
            minded.end_if_told();
            return Err(report);
        }
    };
    target.put()?;
    drop(minded);
    let backup = place.display().to_string();
    context.output.note(format!("{name}: {} to {backup}", size(database_bytes + log_bytes)));
    if context.output.json {
        context.output.json(Answer { remote: name.to_owned(), backup, database_bytes, log_bytes })?;
    }
    Ok(DONE)
}

/// `2026-11-21T15-04-05Z`: no file system has anything against it.
pub fn stamp() -> String {
    let seconds = (crate::presence::now() / 1000) as f64;
    crate::times::rfc3339(seconds).replace(':', "-")
}

fn nothing(name: &str, served: &Served) -> Failure {
    Failure::new(&codes::REMOTE_NOTHING, format!("the remote `{name}` has no database yet"))
        .why(format!("{} is not there", served.paths.db.display()))
        .help(format!("serve it once with `nixbox-helper remote serve {name}`"))
}

/// Who serves it holds everybody back meanwhile; where nobody does, its lock keeps others from beginning to.
fn while_quiet<T>(name: &str, served: &Served, copy: impl FnOnce() -> Result<T, Report>) -> Result<T, Report> {
    let lost = |error: Error| {
        Report::from(
            Failure::new(&codes::REMOTE_BACKUP, format!("no backup of the remote `{name}` was made"))
                .why(format_args!("whoever serves it did not hold it for long enough: {error}"))
                .help("try again when it is ready: `nixbox-helper remote status`"),
        )
    };
    match Hosted::connect(&served.paths.socket) {
        Ok(hosted) => {
            let hold = hosted.hold(QUIET_WITHIN).map_err(lost)?;
            let copied = copy()?;
            hold.release(LETS_GO_WITHIN).map_err(lost)?;
            Ok(copied)
        }
        Err(Error::NotRunning) => {
            let _lock = lock(name, served)?;
            copy()
        }
        Err(error) => Err(lost(error)),
    }
}

fn both(served: &Served, folder: &Path, minded: &Minded) -> Result<(u64, u64), Report> {
    let database = copied(&served.paths.db, folder, minded)?;
    let log = if served.paths.wal.exists() { copied(&served.paths.wal, folder, minded)? } else { 0 };
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| io_failure("write", folder, error))?;
    Ok((database, log))
}

/// Shares the blocks where the file system can.
pub fn copied(from: &Path, folder: &Path, minded: &Minded) -> Result<u64, Report> {
    let to = folder.join(from.file_name().unwrap_or_default());
    let length = fs::copy(from, &to).map_err(|error| io_failure("write", &to, error))?;
    File::open(&to).and_then(|file| file.sync_all()).map_err(|error| io_failure("write", &to, error))?;
    match minded.is_told() {
        true => Err(Failure::new(&codes::UNEXPECTED, "stopped").into()),
        false => Ok(length),
    }
}
