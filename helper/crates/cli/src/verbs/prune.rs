use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nixbox_config::{Instance, Project};
use nixbox_control::Status;
use nixbox_report::Report;
use nixbox_state::{Process, read_json};
use schemars::JsonSchema;
use serde::Serialize;

use super::DONE;
use crate::asking::Asked;
use crate::context::{Context, io_failure};
use crate::made::{self, Work, of_instance};
use crate::presence::{Presence, presence};
use crate::recorded::same;
use crate::review::shown::size;
use crate::supervise::Places;
use crate::{room, stopping};

/// Remove what nobody needs any more: instances of `run` that hold nothing, old logs, what killed programs have left
///
/// Without --yes it only shows what that is. Work is never dropped: an instance that `run` has made and that holds changes or
/// values stays, and is named; `instance rm --force` drops it. So does one that was to be kept (`run --keep`), and whatever is
/// declared. Of logs those go that were put aside.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  nixbox-helper prune\n  nixbox-helper prune --yes")]
pub struct Args {
    /// Remove it
    #[arg(short, long, conflicts_with = "dry_run")]
    pub yes: bool,
    /// Only show it, which is what happens without --yes
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Serialize, JsonSchema)]
pub struct Answer {
    /// It was removed, and not only shown
    pub removed: bool,
    pub items: Vec<Item>,
    pub bytes: u64,
    /// Made instances that hold work, which stays
    pub kept: Vec<Kept>,
}

#[derive(Serialize, JsonSchema)]
pub struct Item {
    pub kind: Kind,
    /// The instance's name, or the file
    pub what: String,
    pub bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// One that `run` has made
    Instance,
    /// A log that was put aside
    Log,
    /// What a killed program has left: a mount, a socket, a record
    Stale,
}

#[derive(Serialize, JsonSchema)]
pub struct Kept {
    pub instance: String,
    /// What it holds
    pub why: String,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let project = context.project()?;
    let mut found = Answer { removed: args.yes, items: Vec::new(), bytes: 0, kept: Vec::new() };
    for instance in project.instances.values() {
        if !matches!(presence(instance, Duration::from_secs(2)), Ok(Presence::Nobody)) {
            continue;
        }
        of_one(instance, &project, &mut found, context)?;
    }
    let logs = project.declared().map(|one| &one.paths.log).chain(project.jobs.values().map(|job| &job.log));
    let logs: Vec<_> = logs.flat_map(|log| put_aside(log)).map(|file| (Kind::Log, file)).collect();
    let stale = stale(&project).into_iter().map(|file| (Kind::Stale, file));
    for (kind, file) in logs.into_iter().chain(stale) {
        let bytes = room::of(&file);
        if args.yes {
            fs::remove_file(&file).map_err(|error| io_failure("remove", &file, error))?;
        }
        found.items.push(Item { kind, what: file.display().to_string(), bytes });
    }
    if args.yes {
        made::tidy(&project);
    }
    found.bytes = found.items.iter().map(|item| item.bytes).sum();
    show(found, context)
}

/// What goes of an instance that nobody serves.
fn of_one(instance: &Instance, project: &Project, found: &mut Answer, context: &Context) -> Result<(), Report> {
    let name = instance.name.clone();
    if instance.made.as_ref().is_some_and(|made| !made.keep) {
        match Work::of(&Asked::of(instance, context.forwarded(project)?)) {
            Ok(work) if work.is_nothing() => {
                let files = of_instance(instance);
                let bytes = room::of_all(files.iter().map(PathBuf::as_path)) + room::of(&instance.paths.dir);
                if found.removed {
                    made::remove(project, instance)?;
                }
                found.items.push(Item { kind: Kind::Instance, what: name, bytes });
                return Ok(());
            }
            Ok(work) => found.kept.push(Kept { instance: name, why: work.told().to_owned() }),
            Err(report) => {
                let why = report.failures.first().map(|failure| failure.what.clone()).unwrap_or_default();
                found.kept.push(Kept { instance: name, why });
            }
        }
    }
    let left = [&instance.paths.socket, &instance.paths.record].into_iter().filter(|path| path.exists());
    let left: Vec<_> = left.filter(|path| !is_of_another(path, instance)).cloned().collect();
    if found.removed {
        stopping::clear(instance)?;
    }
    found.items.extend(left.iter().map(|path| Item {
        kind: Kind::Stale,
        what: path.display().to_string(),
        bytes: room::of(path),
    }));
    Ok(())
}

/// Another project may share the runtime folder, and have an instance of that name.
fn is_of_another(path: &Path, instance: &Instance) -> bool {
    let record = path.with_extension("json");
    matches!(read_json::<Status>(&record), Ok(Some(status)) if !same(&status.database, &instance.paths.db))
}

fn put_aside(log: &Path) -> Vec<PathBuf> {
    (1..).map(|number| nixbox_supervisor::aside(log, number)).take_while(|path| path.exists()).collect()
}

/// In the runtime folder: of owners of this data that are gone and that nobody knows by name any more, and where one that
/// is gone heard that something is ready.
fn stale(project: &Project) -> Vec<PathBuf> {
    let mut stale = Vec::new();
    for entry in fs::read_dir(&project.runtime_dir).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if let Some(pid) = name.strip_prefix(".run-").and_then(|rest| rest.strip_suffix(".notify")?.parse().ok()) {
            if matches!(Process::of(pid), Ok(None)) {
                stale.push(path);
            }
            continue;
        }
        let Some(instance) = name.strip_suffix(".json").filter(|name| !project.instances.contains_key(*name)) else {
            continue;
        };
        let Ok(Some(status)) = read_json::<Status>(&path) else { continue };
        let is_alive = Process { pid: status.pid, start_time: status.start_time }.is_alive();
        let is_ours = status.database.parent().is_some_and(|folder| same(folder, &project.data_dir));
        if !is_alive && is_ours {
            let own = ["json", "sock", "token", "log"].map(|end| path.with_file_name(format!("{instance}.{end}")));
            stale.extend(own.into_iter().filter(|path| path.symlink_metadata().is_ok()));
        }
    }
    let places = Places::of(project);
    if places.holder().is_none() {
        stale.extend([places.socket, places.notices].into_iter().filter(|path| path.symlink_metadata().is_ok()));
    }
    stale
}

fn show(found: Answer, context: &Context) -> Result<u8, Report> {
    let output = &context.output;
    if output.json {
        output.json(found)?;
        return Ok(DONE);
    }
    let rows = found.items.iter().map(|item| {
        let kind = match item.kind {
            Kind::Instance => "instance",
            Kind::Log => "log",
            Kind::Stale => "stale",
        };
        vec![kind.into(), item.what.as_str().into(), size(item.bytes).into()]
    });
    if !found.items.is_empty() {
        output.table(&["KIND", "WHAT", "SIZE"], rows.collect())?;
    }
    for kept in &found.kept {
        output.note(format!("{}: stays, {}", kept.instance, kept.why));
    }
    output.note(match (found.items.is_empty(), found.removed) {
        (true, _) => "there is nothing to remove".to_owned(),
        (false, true) => format!("removed, {}", size(found.bytes)),
        (false, false) => format!("{} to be had; `nixbox-helper prune --yes` removes it", size(found.bytes)),
    });
    Ok(DONE)
}
