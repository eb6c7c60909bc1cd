use std::time::Duration;

use nixbox_config::{Instance, Mode};
use nixbox_control::Phase;
use nixbox_mounts::MountEntry;
use nixbox_report::Report;
use nixbox_state::Lock;
use schemars::JsonSchema;
use serde::Serialize;

use super::DONE;
use crate::context::Context;
use crate::mounts;
use crate::output::{Cell, Tone, span};
use crate::presence::{Presence, now, presences};
use crate::recorded::{self, same};
use crate::select;

/// Show every instance and what its owner is doing
///
/// Among them those that still run though the configuration no longer declares them. Exit 0 whatever they do: use `ready` to decide something.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  nixbox-helper ps\n  nixbox-helper ps --json | jq '.instances[] | select(.ready | not) | .instance'"
)]
pub struct Args {
    /// Only these instances
    pub names: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
pub struct Answer {
    pub instances: Vec<Row>,
}

#[derive(Serialize, JsonSchema)]
pub struct Row {
    pub instance: String,
    pub state: State,
    pub ready: bool,
    pub pid: Option<i32>,
    /// The mountpoint, where there is to be a mount
    pub mount: Option<String>,
    /// Something of AgentFS is mounted there now
    pub mounted: bool,
    /// Where HTTP answers now
    pub url: Option<String>,
    /// Where NFS answers now
    pub nfs: Option<String>,
    /// When its owner started, milliseconds since 1970
    pub since: Option<u64>,
    pub uptime_seconds: Option<u64>,
    pub description: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    Disabled,
    Stopped,
    Starting,
    Ready,
    Stopping,
    /// Somebody holds it and does not answer
    Silent,
    /// No owner, but its mount is still there
    Stale,
    /// No owner, and the mount of another database is where its own would be
    Occupied,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let mut project = context.project()?;
    let undeclared = recorded::adopt_undeclared(&mut project);
    let answer = Answer { instances: rows(&select::any_of(&project, &args.names)?)? };
    let running: Vec<_> = answer.instances.iter().filter(|row| row.ready).map(|row| row.instance.clone()).collect();
    show(answer, context)?;
    for instance in running.iter().filter_map(|name| project.instances.get(name)).filter(|one| is_deleted(one)) {
        let (name, db) = (&instance.name, instance.paths.db.display());
        context.output.warn(format!(
            "{name}: {db} was deleted while its owner runs; save what you need out of it, for it is lost when that ends"
        ));
    }
    for name in undeclared {
        let file = project.file.display();
        context.output.note(format!("{name} runs and {file} does not declare it; `nixbox-helper stop {name}` ends it"));
    }
    Ok(DONE)
}

/// Of an ephemeral one there never was a file.
fn is_deleted(instance: &Instance) -> bool {
    instance.mode != Mode::Ephemeral && !instance.paths.db.exists()
}

pub fn rows(instances: &[&Instance]) -> Result<Vec<Row>, Report> {
    let found = presences(instances, Duration::from_secs(2));
    // One that cannot be asked must not hide the others.
    let silent = |instance: &Instance| Presence::Silent(Lock::live_holder(&instance.paths.lock));
    let all = instances.iter().zip(found);
    all.map(|(instance, found)| row(instance, found.unwrap_or_else(|_| silent(instance)))).collect()
}

fn row(instance: &Instance, presence: Presence) -> Result<Row, Report> {
    let mount = instance.mount.as_ref().map(|mount| &mount.path);
    let there = mount.map(|path| mounts::agentfs_at(path)).transpose()?.flatten();
    let mounted = there.is_some();
    // A mount of another database: `data_dir` was changed while its owner ran, or two projects meet there.
    let of_another = there.as_ref().and_then(MountEntry::database).is_some_and(|db| !same(db, &instance.paths.db));
    let mut row = Row {
        instance: instance.name.clone(),
        state: State::Stopped,
        ready: false,
        pid: None,
        mount: mount.map(|path| path.display().to_string()),
        mounted,
        url: None,
        nfs: None,
        since: None,
        uptime_seconds: None,
        description: instance.description.clone(),
    };
    let mut begun = |since: u64| {
        row.since = Some(since);
        row.uptime_seconds = Some(now().saturating_sub(since) / 1000);
    };
    match presence {
        Presence::Here(status) => {
            begun(status.since);
            row.pid = Some(status.pid);
            row.url = status.http.as_ref().map(|http| format!("http://{}", http.address));
            row.nfs = status.nfs.as_ref().map(|nfs| nfs.address.to_string());
            row.ready = status.is_ready();
            row.state = match status.phase {
                Phase::Starting => State::Starting,
                Phase::Ready { .. } => State::Ready,
                Phase::Stopping => State::Stopping,
            };
        }
        Presence::Silent(holder) => {
            row.state = State::Silent;
            if let Some(holder) = holder {
                begun(holder.since);
                row.pid = Some(holder.process.pid);
            }
        }
        Presence::Nobody if of_another => row.state = State::Occupied,
        Presence::Nobody if mounted => row.state = State::Stale,
        Presence::Nobody if !instance.enable => row.state = State::Disabled,
        Presence::Nobody => {}
    }
    Ok(row)
}

pub fn show(answer: Answer, context: &Context) -> Result<(), Report> {
    if context.output.json {
        return context.output.json(answer);
    }
    let or_dash = |value: Option<String>| Cell::from(value.unwrap_or_else(|| "-".into()));
    let cells = |row: Row| {
        let (word, tone) = match row.state {
            State::Disabled => ("disabled", Tone::Dim),
            State::Stopped => ("stopped", Tone::Dim),
            State::Starting => ("starting", Tone::Odd),
            State::Ready => ("ready", Tone::Good),
            State::Stopping => ("stopping", Tone::Odd),
            State::Silent => ("silent", Tone::Bad),
            State::Stale => ("stale", Tone::Bad),
            State::Occupied => ("occupied", Tone::Bad),
        };
        let mount = row.mount.map(|path| if row.mounted { path } else { format!("({path})") });
        vec![
            Cell::from(row.instance),
            Cell::new(word, tone),
            or_dash(row.pid.map(|pid| pid.to_string())),
            or_dash(row.uptime_seconds.map(span)),
            or_dash(mount),
            or_dash(row.url),
        ]
    };
    let rows = answer.instances.into_iter().map(cells).collect();
    context.output.table(&["INSTANCE", "STATE", "PID", "UPTIME", "MOUNT", "URL"], rows)
}
