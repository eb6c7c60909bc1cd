use std::fs;
use std::path::PathBuf;

use nixbox_report::{Failure, Report, codes};
use schemars::JsonSchema;
use serde::Serialize;

use super::backup::{copied, stamp};
use super::{lock, one};
use crate::context::{Context, here, io_failure};
use crate::interrupt::Minded;
use crate::target::Target;
use crate::verbs::DONE;

/// Put a backup in the place of a served remote's database
///
/// Nobody may serve it meanwhile. What was there before is kept beside it, in a folder with the time in its name. Instances
/// see what is older now as changes of the remote, and take them over at their next pull: look at `sync status` first.
/// Upstream's clients know the past by the log, and have to be made anew.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  nixbox-helper remote restore team /backups/team-monday\n  nixbox-helper remote restore team /backups/team-monday --force"
)]
pub struct Args {
    /// The remote
    pub name: String,
    /// The folder that `remote backup` made
    pub from: PathBuf,
    /// Also where there is a database already, which is moved aside
    #[arg(long)]
    pub force: bool,
}

#[derive(Serialize, JsonSchema)]
pub struct Answer {
    pub remote: String,
    pub database: String,
    /// Where what was there before is now
    pub kept: Option<String>,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let project = context.project()?;
    let (name, _, served) = one(&project, Some(&args.name))?;
    let paths = &served.paths;
    let from = here()?.join(&args.from);
    let named = |path: &PathBuf| from.join(path.file_name().unwrap_or_default());
    let (database, log) = (named(&paths.db), named(&paths.wal));
    if !database.is_file() || !log.is_file() {
        return Err(Failure::new(&codes::REMOTE_NOTHING, format!("{} is no backup of a remote", from.display()))
            .why("it does not hold both `remote.db` and `remote.db-wal`")
            .help("name a folder that `nixbox-helper remote backup` made")
            .into());
    }
    let _lock = lock(name, served)?;
    let is_there = paths.db.exists() || paths.wal.exists();
    if is_there && !args.force {
        return Err(Failure::new(&codes::REMOTE_EXISTS, format!("the remote `{name}` has a database already"))
            .why(format!("{} is there", paths.db.display()))
            .help("keep it, or put the backup in its place with `--force`, which moves it aside")
            .into());
    }
    let minded = Minded::new();
    let made = Target::new(&paths.dir.join(".restored"), true, true)?;
    let copies = copied(&database, made.beside(), &minded).and_then(|_| copied(&log, made.beside(), &minded));
    if let Err(report) = copies {
        drop(made);
        minded.end_if_told();
        return Err(report);
    }
    let kept = paths.dir.join(format!("replaced-{}", stamp()));
    if is_there {
        fs::create_dir(&kept).map_err(|error| io_failure("make", &kept, error))?;
    }
    // The log last: a database without it opens as an older one, a log without its database as nothing.
    for path in [&paths.wal, &paths.db] {
        let name = path.file_name().unwrap_or_default();
        if path.exists() {
            fs::rename(path, kept.join(name)).map_err(|error| io_failure("move", path, error))?;
        }
    }
    for path in [&paths.db, &paths.wal] {
        let name = path.file_name().unwrap_or_default();
        fs::rename(made.beside().join(name), path).map_err(|error| io_failure("make", path, error))?;
    }
    fs::File::open(&paths.dir)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| io_failure("write", &paths.dir, error))?;
    let kept = is_there.then(|| kept.display().to_string());
    context.output.note(format!("{name}: restored from {}", from.display()));
    if let Some(kept) = &kept {
        context.output.note(format!("what was there before is in {kept}"));
    }
    if context.output.json {
        context.output.json(Answer { remote: name.to_owned(), database: paths.db.display().to_string(), kept })?;
    }
    Ok(DONE)
}
