use std::path::{Path, PathBuf};

use nixbox_config::{Instance, Project};
use nixbox_report::Report;
use schemars::JsonSchema;
use serde::Serialize;

use super::DONE;
use crate::context::Context;
use crate::made::of_instance;
use crate::output::Cell;
use crate::review::shown::size;
use crate::{room, select};

/// Show how much room each instance takes, and what of it
///
/// On the disk, in blocks: holes take nothing. What is seen of a base is not counted, for it is not the instance's.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  nixbox-helper df\n  nixbox-helper df sandbox --json | jq '.instances[0].total_bytes'"
)]
pub struct Args {
    /// Only these instances
    pub names: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
pub struct Answer {
    pub instances: Vec<Row>,
    /// Of remotes that are served from here, without names only
    pub remotes_bytes: u64,
    /// What became of jobs and instances, and what was said of it, without names only
    pub units_bytes: u64,
    /// Of all of these together
    pub total_bytes: u64,
}

#[derive(Serialize, JsonSchema)]
pub struct Row {
    pub instance: String,
    /// It is declared, and not one that `run` has made
    pub declared: bool,
    pub database_bytes: u64,
    pub snapshots_bytes: u64,
    /// The copies that are kept of what remotes have
    pub sync_bytes: u64,
    pub logs_bytes: u64,
    /// Whatever else is in its folder
    pub other_bytes: u64,
    pub total_bytes: u64,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let project = context.project()?;
    let instances = select::any_of(&project, &args.names)?;
    let rows: Vec<_> = instances.into_iter().map(row).collect();
    let (remotes_bytes, units_bytes) = if args.names.is_empty() { around(&project) } else { (0, 0) };
    let total_bytes = rows.iter().map(|row| row.total_bytes).sum::<u64>() + remotes_bytes + units_bytes;
    let answer = Answer { instances: rows, remotes_bytes, units_bytes, total_bytes };
    match context.output.json {
        true => context.output.json(answer)?,
        false => show(answer, context)?,
    }
    Ok(DONE)
}

fn row(instance: &Instance) -> Row {
    let paths = &instance.paths;
    let (databases, others): (Vec<PathBuf>, Vec<PathBuf>) =
        of_instance(instance).into_iter().partition(|file| file.parent() == paths.db.parent());
    let of_all = |files: &[PathBuf]| room::of_all(files.iter().map(PathBuf::as_path));
    let (snapshots, sync) = (room::of(&paths.dir.join("snapshots")), room::of(&paths.dir.join("sync")));
    let (database, logs, folder) = (of_all(&databases), of_all(&others), room::of(&paths.dir));
    Row {
        instance: instance.name.clone(),
        declared: instance.made.is_none(),
        database_bytes: database,
        snapshots_bytes: snapshots,
        sync_bytes: sync,
        logs_bytes: logs,
        other_bytes: folder.saturating_sub(snapshots + sync),
        total_bytes: database + logs + folder,
    }
}

fn around(project: &Project) -> (u64, u64) {
    let remotes = project.data_dir.join("remotes");
    let logs: Vec<&Path> = project.jobs.values().map(|job| job.log.as_path()).collect();
    (room::of(&remotes), room::of(&project.data_dir.join(".units")) + room::of_all(logs))
}

fn show(answer: Answer, context: &Context) -> Result<(), Report> {
    let cells = |name: &str, sizes: [Option<u64>; 6]| {
        let sizes = sizes.map(|bytes| Cell::from(bytes.map_or(String::new(), size)));
        [Cell::from(name)].into_iter().chain(sizes).collect::<Vec<_>>()
    };
    let mut rows: Vec<_> = answer
        .instances
        .iter()
        .map(|row| {
            let parts = [row.database_bytes, row.snapshots_bytes, row.sync_bytes, row.logs_bytes, row.other_bytes];
            let [database, snapshots, sync, logs, other] = parts.map(Some);
            cells(&row.instance, [database, snapshots, sync, logs, other, Some(row.total_bytes)])
        })
        .collect();
    for (name, bytes) in [("(remotes)", answer.remotes_bytes), ("(jobs)", answer.units_bytes)] {
        if bytes > 0 {
            rows.push(cells(name, [None, None, None, None, None, Some(bytes)]));
        }
    }
    rows.push(cells("(all)", [None, None, None, None, None, Some(answer.total_bytes)]));
    context.output.table(&["INSTANCE", "DATABASE", "SNAPSHOTS", "SYNC", "LOGS", "OTHER", "TOTAL"], rows)
}
