use std::process::{Command, Stdio};

use nixbox_config::{Instance, Project};
use nixbox_control::{Request, SnapshotRequest};
use nixbox_report::{Failure, Report, codes};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::DONE;
use crate::asking::{Asked, Which};
use crate::context::Context;
use crate::output::Output;
use crate::review::shown;
use crate::{owner_binary, presence, times};

/// What an instance was, and how to go back to it
///
/// A snapshot is a whole database. One is made by itself before what was changed in an instance gives way: to what a
/// remote has, or to a snapshot; and by `run --checkpoint`. The last five are kept.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  nixbox-helper snapshot ls\n  nixbox-helper snapshot restore 20261121T054312Z -i notes"
)]
pub struct Args {
    #[command(subcommand)]
    pub what: What,
}

#[derive(Debug, clap::Subcommand)]
pub enum What {
    /// List them, newest first
    #[command(after_help = "Examples:\n  nixbox-helper snapshot ls\n  nixbox-helper snapshot ls -i notes --json")]
    Ls {
        #[command(flatten)]
        which: Which,
    },
    /// Put the instance back to what it was then
    ///
    /// Files, values, tool calls: all of it. What it is now becomes a snapshot first, so this can be undone the same way.
    /// Nobody may serve the instance meanwhile (exit 4). A synced instance gets what it misses with its next pull.
    #[command(
        after_help = "Examples:\n  nixbox-helper snapshot restore 20261121T054312Z\n  nixbox-helper stop notes && nixbox-helper snapshot restore 20261121T05 -i notes"
    )]
    Restore {
        #[command(flatten)]
        which: Which,
        /// As `snapshot ls` shows it, or how it begins
        id: String,
    },
}

#[derive(Serialize, JsonSchema)]
pub struct Listed {
    pub instance: String,
    /// Newest first
    pub snapshots: Vec<Snapshot>,
}

#[derive(Serialize, JsonSchema)]
pub struct Snapshot {
    pub id: String,
    /// RFC 3339
    pub at: String,
    /// What it was made before: `sync`, `enable`, `disable`, `take`, `restore` or `run`
    pub before: String,
    pub bytes: u64,
    /// A whole database
    pub file: String,
}

#[derive(Serialize, JsonSchema)]
pub struct Restored {
    pub instance: String,
    /// The snapshot that it is now
    pub restored: String,
    /// The one that was made of what it was
    pub kept: String,
}

#[derive(Deserialize)]
pub struct Told {
    restored: String,
    at: u64,
    kept: String,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    match args.what {
        What::Ls { which } => list(&Asked::new(&which, context)?, &context.output)?,
        What::Restore { which, id } => restore(&which, &id, context)?,
    }
    Ok(DONE)
}

fn list(asked: &Asked, output: &Output) -> Result<(), Report> {
    let folder = asked.instance().paths.dir.join("snapshots");
    let mut snapshots = Vec::new();
    asked.ask(&Request::Snapshot(SnapshotRequest::List))?.lines(|told: nixbox_control::Snapshot| {
        let nixbox_control::Snapshot { id, at, before, bytes } = told;
        let file = folder.join(format!("{id}.db")).display().to_string();
        snapshots.push(Snapshot { id, at: times::rfc3339(at as f64 / 1000.0), before, bytes, file });
        Ok(true)
    })?;
    if output.json {
        return output.json(Listed { instance: asked.name().to_owned(), snapshots });
    }
    if snapshots.is_empty() {
        output.note(format!("{}: no snapshots", asked.name()));
        return Ok(());
    }
    let rows = snapshots.iter().map(|one| {
        vec![one.id.as_str().into(), one.at.as_str().into(), one.before.as_str().into(), shown::size(one.bytes).into()]
    });
    output.table(&["ID", "TIME", "BEFORE", "SIZE"], rows.collect())
}

fn restore(which: &Which, id: &str, context: &Context) -> Result<(), Report> {
    let project = context.project()?;
    let instance = crate::select::one(&project, which.instance.as_deref())?;
    let told = go_back(&project, instance, id, context)?;
    if context.output.json {
        let Told { restored, kept, .. } = told;
        return context.output.json(Restored { instance: instance.name.clone(), restored, kept });
    }
    let at = times::rfc3339(told.at as f64 / 1000.0);
    context
        .output
        .note(format!("{}: as it was at {at}; what it was until now is snapshot {}", instance.name, told.kept));
    Ok(())
}

/// Nobody may serve the instance meanwhile.
pub fn go_back(project: &Project, instance: &Instance, id: &str, context: &Context) -> Result<Told, Report> {
    let mut command = Command::new(owner_binary::find()?);
    command.arg("restore").arg(&instance.name).args(context.forwarded(project)?).arg("--").arg(id);
    let ended = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Failure::new(&codes::OWNER_MISSING, "nixbox-owner cannot be run").why(error))?;
    if !ended.status.success() {
        let said = String::from_utf8_lossy(&ended.stderr);
        return Err(presence::owner_failed(&instance.name, ended.status.code(), &said));
    }
    serde_json::from_slice(&ended.stdout)
        .map_err(|error| Failure::new(&codes::UNEXPECTED, "nixbox-owner's answer was not understood").why(error).into())
}

/// Keeps what the instance is now, and answers by which id it can be had again.
pub fn keep(asked: &Asked, before: &str) -> Result<String, Report> {
    let mut id = None;
    let request = SnapshotRequest::Keep { before: before.to_owned() };
    asked.ask(&Request::Snapshot(request))?.lines(|kept: nixbox_control::Snapshot| {
        id = Some(kept.id);
        Ok(true)
    })?;
    id.ok_or_else(|| Failure::new(&codes::UNEXPECTED, "the owner did not say which snapshot it has made").into())
}
