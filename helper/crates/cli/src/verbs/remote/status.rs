use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use nixbox_config::Served;
use nixbox_control::{Error, Hosted, HostedPhase, HostedStatus};
use nixbox_report::{Failure, Report, codes};
use schemars::JsonSchema;
use serde::Serialize;

use super::{not_running, one};
use crate::context::Context;
use crate::doctor::http::health;
use crate::output::{Cell, Tone};
use crate::progress::size;
use crate::verbs::DONE;

const PATIENCE: Duration = Duration::from_secs(2);

/// Show how the remotes are that are served from here
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  nixbox-helper remote status\n  nixbox-helper remote status team --json | jq .remotes[0].log_bytes"
)]
pub struct Args {
    /// The remotes [default: every one that is served from here]
    pub names: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
pub struct Answer {
    pub remotes: Vec<One>,
}

#[derive(Serialize, JsonSchema)]
pub struct One {
    pub remote: String,
    /// None: nobody serves it now
    pub phase: Option<HostedPhase>,
    pub address: String,
    pub pid: Option<i32>,
    /// Milliseconds since 1970
    pub since: Option<u64>,
    /// Nobody on this machine can reach `tursodb` past the token
    pub apart: Option<bool>,
    /// How often `tursodb` was started again
    pub restarts: Option<u64>,
    /// Requests that were passed on
    pub requests: Option<u64>,
    pub database: String,
    pub database_bytes: u64,
    /// The log, which keeps every change
    pub log_bytes: u64,
    /// `wal_alarm`
    pub log_alarm_bytes: u64,
    pub alarm: bool,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let project = context.project()?;
    let names: Vec<_> = match args.names.is_empty() {
        true => project.served().map(|(name, _)| name.clone()).collect(),
        false => args.names,
    };
    let remotes: Vec<_> = names
        .iter()
        .map(|name| one(&project, Some(name)).map(|(name, _, served)| look(name, served)))
        .collect::<Result<_, _>>()?;
    if context.output.json {
        context.output.json(Answer { remotes })?;
        return Ok(DONE);
    }
    if remotes.is_empty() {
        context.output.note("no remote is served from here");
        return Ok(DONE);
    }
    for remote in remotes.iter().filter(|remote| remote.alarm) {
        context.output.warn(format!(
            "the log of {} has {}, and `wal_alarm` is {}: each pull of upstream's clients goes through all of it",
            remote.remote,
            size(remote.log_bytes),
            size(remote.log_alarm_bytes),
        ));
    }
    for remote in remotes.iter().filter(|remote| remote.apart == Some(false)) {
        context.output.warn(format!(
            "{}: the system gives `tursodb` no network of its own, so users of this machine can reach it past the token",
            remote.remote
        ));
    }
    let rows = remotes.iter().map(row).collect();
    context.output.table(&["REMOTE", "STATE", "ADDRESS", "DATABASE", "LOG", "PID"], rows)?;
    Ok(DONE)
}

fn row(remote: &One) -> Vec<Cell> {
    let state = match remote.phase {
        Some(HostedPhase::Ready) => Cell::new("ready", Tone::Good),
        Some(HostedPhase::Starting) => Cell::new("starting", Tone::Odd),
        Some(HostedPhase::Stopping) => Cell::new("stopping", Tone::Odd),
        None => Cell::new("not running", Tone::Dim),
    };
    let log = match remote.alarm {
        true => Cell::new(size(remote.log_bytes), Tone::Bad),
        false => size(remote.log_bytes).into(),
    };
    vec![
        remote.remote.clone().into(),
        state,
        remote.address.clone().into(),
        size(remote.database_bytes).into(),
        log,
        remote.pid.map_or_else(String::new, |pid| pid.to_string()).into(),
    ]
}

fn look(name: &str, served: &Served) -> One {
    let status = Hosted::connect(&served.paths.socket).and_then(|hosted| hosted.status(PATIENCE)).ok();
    let status = status.filter(|status| is_of(status, served));
    let bytes = |path: &Path| path.metadata().map_or(0, |meta| meta.len());
    let log_bytes = bytes(&served.paths.wal);
    One {
        remote: name.to_owned(),
        phase: status.as_ref().map(|status| status.phase),
        address: format!("http://127.0.0.1:{}", served.port),
        pid: status.as_ref().map(|status| status.pid),
        since: status.as_ref().map(|status| status.since),
        apart: status.as_ref().map(|status| status.apart),
        restarts: status.as_ref().map(|status| status.restarts),
        requests: status.as_ref().map(|status| status.requests),
        database: served.paths.db.display().to_string(),
        database_bytes: bytes(&served.paths.db),
        log_bytes,
        log_alarm_bytes: served.wal_alarm.0,
        alarm: log_bytes > served.wal_alarm.0,
    }
}

/// Two projects may share a runtime folder.
fn is_of(status: &HostedStatus, served: &Served) -> bool {
    crate::recorded::same(&status.database, &served.paths.db)
}

/// Ask once whether a served remote is ready: exit 0 if it is
///
/// For process managers that poll. It sends a whole request and has a deadline of its own: a connection that says nothing
/// would prove nothing, and only stand in the way. Exit 3: nobody serves it. Exit 6: somebody does, and it is not ready.
#[derive(Debug, clap::Args)]
#[command(name = "ready", after_help = "Examples:\n  nixbox-helper remote ready team --timeout 2")]
pub struct ReadyArgs {
    /// The remote [default: the only one that is served from here]
    pub name: Option<String>,
    /// Seconds to wait for an answer
    #[arg(short, long, value_name = "SECONDS", default_value_t = 2.0, value_parser = crate::verbs::wait::seconds)]
    pub timeout: f64,
}

#[derive(Serialize, JsonSchema)]
pub struct Ready {
    pub remote: String,
    pub ready: bool,
    pub pid: i32,
}

pub fn ready(args: ReadyArgs, context: &Context) -> Result<u8, Report> {
    let project = context.project()?;
    let (name, _, served) = one(&project, args.name.as_deref())?;
    let status = probe(name, served, Duration::from_secs_f64(args.timeout.max(0.001)))?;
    if context.output.json {
        context.output.json(Ready { remote: name.to_owned(), ready: true, pid: status.pid })?;
    }
    Ok(DONE)
}

/// By its socket whether its server answers, and by its port whether it can be reached.
pub fn probe(name: &str, served: &Served, patience: Duration) -> Result<HostedStatus, Report> {
    let not_ready = |why: &dyn std::fmt::Display| {
        Failure::new(&codes::REMOTE_NOT_READY, format!("the remote `{name}` is not ready"))
            .why(why)
            .help("it may be in a moment; its log says more")
    };
    let status = Hosted::connect(&served.paths.socket).and_then(|hosted| hosted.status(patience));
    let status = match status {
        Ok(status) if is_of(&status, served) => status,
        Ok(_) | Err(Error::NotRunning) => return Err(not_running(name).into()),
        Err(error) => return Err(not_ready(&error).into()),
    };
    if status.phase != HostedPhase::Ready {
        return Err(not_ready(&"its server has not answered yet").into());
    }
    match health(SocketAddr::from((Ipv4Addr::LOCALHOST, served.port)), patience) {
        Ok(code) if code == "200" => Ok(status),
        Ok(code) => Err(not_ready(&format_args!("it answers with {code}")).into()),
        Err(error) => Err(not_ready(&error).into()),
    }
}
