use std::time::Duration;

use nixbox_config::{Instance, Job, Mode, Project, Served};
use nixbox_control::Phase;
use nixbox_mounts::MountEntry;
use nixbox_report::Report;
use nixbox_state::Lock;
use schemars::JsonSchema;
use serde::Serialize;

use super::DONE;
use super::ps_filter::{self, Chosen, Filter};
use super::ps_format::Format;
use super::ps_remote::{self, RemoteRow};
use crate::context::Context;
use crate::mounts;
use crate::output::{Cell, Tone, span};
use crate::presence::{Presence, now, presences};
use crate::recorded::{self, same};
use crate::select;
use crate::supervise::{self, Client, Health, Places, Recorded, UnitStatus};

/// Show every instance and job and what they are doing
///
/// And what serves remotes from here. Among them are instances that still run though the configuration no longer declares
/// them. What is disabled and does not run is shown with --all, when it is named, and with --json. The column HEALTH is there
/// where something has a health check that `up` makes. Exit 0 whatever they do: use `ready` to decide something.
///
/// --format prints a line for each, without a heading: a text with fields, such as '{{.Name}}\t{{.State}}', or only fields,
/// such as name,state, with a tab between them. Fields are name, kind (instance, job or remote), state, health, pid, uptime,
/// restarts, paused, instance, mount, url, why and description; what something has not is empty.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  nixbox-helper ps\n  nixbox-helper ps --filter state=failed --filter state=backing-off\n  nixbox-helper ps --filter health=unhealthy --format name\n  nixbox-helper ps --json | jq '.instances[] | select(.ready | not) | .instance'"
)]
pub struct Args {
    /// Only these instances and jobs
    pub names: Vec<String>,
    /// Only those of which this is true: name=…, label=NAME[=VALUE], state=… or health=…
    #[arg(short, long = "filter", value_name = "KEY=VALUE")]
    pub filters: Vec<Filter>,
    /// Also what is disabled and does not run
    #[arg(short, long)]
    pub all: bool,
    /// A line for each as this says, with fields such as {{.Name}}, or a list of fields
    #[arg(long, value_name = "FORMAT", conflicts_with = "json")]
    pub format: Option<Format>,
}

#[derive(Serialize, JsonSchema)]
pub struct Answer {
    pub instances: Vec<Row>,
    pub jobs: Vec<JobRow>,
    /// Those that are served from here
    pub remotes: Vec<RemoteRow>,
}

#[derive(Serialize, JsonSchema)]
pub struct JobRow {
    pub job: String,
    /// The instance that it runs in
    pub instance: String,
    pub enabled: bool,
    pub state: supervise::State,
    pub pid: Option<i32>,
    pub health: Option<Health>,
    /// It stands still
    pub paused: bool,
    /// How often it was started again because it had ended
    pub restarts: u32,
    /// How it ended when it last did
    pub exit_code: Option<i32>,
    pub signal: Option<i32>,
    /// When it was started, milliseconds since 1970
    pub since: Option<u64>,
    pub uptime_seconds: Option<u64>,
    /// Why it does not run, where that is not as it should be
    pub why: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub struct Row {
    pub instance: String,
    /// What it can be named by as well, or by the first digits of it
    pub id: String,
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
    /// What its health check found, where it has one and `up` keeps it up
    pub health: Option<Health>,
    /// It stands still
    pub paused: bool,
    /// How often `up` has started it again because it had ended
    pub restarts: u32,
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
    let (instances, jobs, remotes) = chosen(&project, &args.names)?;
    let mut answer = answer(&known(&project), &instances, &jobs, &remotes)?;
    filter(&mut answer, &args.filters, &project);
    if !(args.all || context.output.json || !args.names.is_empty()) {
        answer.instances.retain(|row| row.state != State::Disabled);
        answer.jobs.retain(|row| row.enabled || row.pid.is_some());
    }
    let running: Vec<_> = answer.instances.iter().filter(|row| row.ready).map(|row| row.instance.clone()).collect();
    match &args.format {
        Some(format) => context.output.data(format.lines(&answer))?,
        None => show(answer, context)?,
    }
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

fn filter(answer: &mut Answer, filters: &[Filter], project: &Project) {
    answer.instances.retain(|row| {
        let labels = project.instances.get(&row.instance).map(|instance| &instance.labels);
        let health = row.health.as_ref().map(as_word);
        ps_filter::fits(filters, &Chosen { name: &row.instance, labels, state: as_word(&row.state), health })
    });
    answer.jobs.retain(|row| {
        let health = row.health.as_ref().map(as_word);
        ps_filter::fits(filters, &Chosen { name: &row.job, labels: None, state: as_word(&row.state), health })
    });
    answer.remotes.retain(|row| {
        ps_filter::fits(filters, &Chosen { name: &row.unit, labels: None, state: as_word(&row.state), health: None })
    });
}

/// As it is in the answer.
fn as_word(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

type Selected<'p> = (Vec<&'p Instance>, Vec<&'p Job>, Vec<(&'p str, &'p Served)>);

fn chosen<'p>(project: &'p Project, names: &[String]) -> Result<Selected<'p>, Report> {
    if names.is_empty() {
        let remotes = project.served().map(|(name, served)| (name.as_str(), served)).collect();
        return Ok((select::any_of(project, &[])?, project.jobs.values().collect(), remotes));
    }
    let names = &select::all_full(project, names)?;
    let remotes = names.iter().filter_map(|name| supervise::served_unit(project, name)).collect();
    let is_else = |name: &&String| project.jobs.contains_key(*name) || supervise::served_unit(project, name).is_some();
    let others: Vec<_> = names.iter().filter(|name| !is_else(name)).cloned().collect();
    let instances = if others.is_empty() { Vec::new() } else { select::any_of(project, &others)? };
    Ok((instances, project.jobs.values().filter(|job| names.contains(&job.name)).collect(), remotes))
}

/// What is known of the units, by whoever keeps them up.
pub fn known(project: &Project) -> Vec<UnitStatus> {
    let places = Places::of(project);
    // One that is kept up and cannot be asked is on record.
    let asked = Client::reach(&places).ok().flatten().map(|(_, follow)| follow.units);
    let recorded = || Recorded::load(&places).map(|found| found.units.into_values().collect());
    asked.or_else(recorded).unwrap_or_default()
}

pub fn answer(
    units: &[UnitStatus],
    instances: &[&Instance],
    jobs: &[&Job],
    remotes: &[(&str, &Served)],
) -> Result<Answer, Report> {
    let unit = |name: &str| units.iter().find(|unit| unit.name == name);
    let mut rows = rows(instances)?;
    for row in &mut rows {
        if let Some(unit) = unit(&row.instance).filter(|unit| unit.pid.is_some() && unit.pid == row.pid) {
            (row.health, row.restarts, row.paused) = (unit.health, unit.restarts, unit.paused);
        }
    }
    Ok(Answer {
        instances: rows,
        jobs: jobs.iter().map(|job| job_row(job, unit(&job.name))).collect(),
        remotes: remotes.iter().map(|(name, served)| ps_remote::row(name, served, units)).collect(),
    })
}

fn job_row(job: &Job, unit: Option<&UnitStatus>) -> JobRow {
    let since = unit.and_then(|unit| unit.since).filter(|_| unit.is_some_and(|unit| unit.pid.is_some()));
    JobRow {
        job: job.name.clone(),
        instance: job.instance.clone(),
        enabled: job.enable,
        state: unit.map_or(supervise::State::Idle, |unit| unit.state),
        pid: unit.and_then(|unit| unit.pid),
        health: unit.filter(|unit| unit.state.is_busy()).and_then(|unit| unit.health),
        paused: unit.is_some_and(|unit| unit.paused),
        restarts: unit.map_or(0, |unit| unit.restarts),
        exit_code: unit.and_then(|unit| unit.exit_code),
        signal: unit.and_then(|unit| unit.signal),
        since,
        uptime_seconds: since.map(|since| now().saturating_sub(since) / 1000),
        why: unit.and_then(|unit| unit.why.clone()),
    }
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
        id: instance.id(),
        state: State::Stopped,
        ready: false,
        pid: None,
        mount: mount.map(|path| path.display().to_string()),
        mounted,
        url: None,
        nfs: None,
        since: None,
        uptime_seconds: None,
        health: None,
        paused: false,
        restarts: 0,
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
    let checked = answer.instances.iter().any(|row| row.health.is_some());
    let jobs_checked = answer.jobs.iter().any(|row| row.health.is_some());
    if !answer.instances.is_empty() || (answer.jobs.is_empty() && answer.remotes.is_empty()) {
        let rows = answer.instances.into_iter().map(|row| (row.health, instance_cells(row))).collect();
        table(&["INSTANCE", "STATE", "PID", "UPTIME", "MOUNT", "URL"], rows, checked, context)?;
    }
    if !answer.jobs.is_empty() {
        let rows = answer.jobs.into_iter().map(|row| (row.health, job_cells(row))).collect();
        table(&["JOB", "STATE", "PID", "UPTIME", "RESTARTS", "IN"], rows, jobs_checked, context)?;
    }
    if !answer.remotes.is_empty() {
        let rows = answer.remotes.into_iter().map(|row| (None, remote_cells(row))).collect();
        table(&["REMOTE", "STATE", "PID", "UPTIME", "RESTARTS", "ADDRESS"], rows, false, context)?;
    }
    Ok(())
}

/// With a column for health behind the state, where something is examined.
fn table(
    heading: &[&str],
    rows: Vec<(Option<Health>, Vec<Cell>)>,
    checked: bool,
    context: &Context,
) -> Result<(), Report> {
    let mut heading = heading.to_vec();
    if checked {
        heading.insert(2, "HEALTH");
    }
    let cells = |(health, mut cells): (Option<Health>, Vec<Cell>)| {
        if checked {
            let cell = match health {
                None => Cell::from("-".to_owned()),
                Some(Health::Unknown) => Cell::new("unknown", Tone::Odd),
                Some(Health::Healthy) => Cell::new("healthy", Tone::Good),
                Some(Health::Unhealthy) => Cell::new("unhealthy", Tone::Bad),
            };
            cells.insert(2, cell);
        }
        cells
    };
    context.output.table(&heading, rows.into_iter().map(cells).collect())
}

fn or_dash(value: Option<String>) -> Cell {
    Cell::from(value.unwrap_or_else(|| "-".into()))
}

fn instance_cells(row: Row) -> Vec<Cell> {
    let (word, tone) = match row.state {
        State::Disabled => ("disabled", Tone::Dim),
        State::Stopped => ("stopped", Tone::Dim),
        State::Starting => ("starting", Tone::Odd),
        // Which says nothing while it stands still.
        State::Ready | State::Silent if row.paused => ("paused", Tone::Odd),
        State::Ready if row.health == Some(Health::Unhealthy) => ("unhealthy", Tone::Bad),
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
}

fn job_cells(row: JobRow) -> Vec<Cell> {
    use supervise::State;
    let ended = match (row.exit_code, row.signal) {
        (Some(code), _) => format!(" ({code})"),
        (None, Some(signal)) => format!(" (signal {signal})"),
        (None, None) => String::new(),
    };
    let (word, tone) = match row.state {
        State::Idle | State::Stopped if !row.enabled => ("disabled".into(), Tone::Dim),
        State::Idle | State::Stopped => ("stopped".into(), Tone::Dim),
        State::Ready if row.paused => ("paused".into(), Tone::Odd),
        State::Ready if row.health == Some(Health::Unhealthy) => ("unhealthy".into(), Tone::Bad),
        State::Ready => ("ready".into(), Tone::Good),
        State::Completed => (format!("completed{ended}"), Tone::Dim),
        State::Failed => (format!("failed{ended}"), Tone::Bad),
        other => (other.word().to_owned(), Tone::Odd),
    };
    vec![
        Cell::from(row.job),
        Cell::new(word, tone),
        or_dash(row.pid.map(|pid| pid.to_string())),
        or_dash(row.uptime_seconds.map(span)),
        Cell::from(row.restarts.to_string()),
        Cell::from(row.instance),
    ]
}

fn remote_cells(row: RemoteRow) -> Vec<Cell> {
    use supervise::State;
    let (word, tone) = match row.state {
        State::Idle | State::Stopped => ("stopped", Tone::Dim),
        State::Ready if row.paused => ("paused", Tone::Odd),
        State::Ready => ("ready", Tone::Good),
        State::Failed => ("failed", Tone::Bad),
        other => (other.word(), Tone::Odd),
    };
    vec![
        Cell::from(row.remote),
        Cell::new(word, tone),
        or_dash(row.pid.map(|pid| pid.to_string())),
        or_dash(row.uptime_seconds.map(span)),
        Cell::from(row.restarts.to_string()),
        Cell::from(row.address),
    ]
}
