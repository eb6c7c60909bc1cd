//! The rows of `ps` for remotes that are served from here.

use nixbox_config::Served;
use nixbox_control::{Hosted, HostedPhase};
use schemars::JsonSchema;
use serde::Serialize;
use std::time::Duration;

use crate::presence::now;
use crate::supervise::{State, UnitStatus, remote_unit};

const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Serialize, JsonSchema)]
pub struct RemoteRow {
    pub remote: String,
    /// What `up` calls what serves it
    pub unit: String,
    pub state: State,
    pub pid: Option<i32>,
    pub address: String,
    /// It stands still
    pub paused: bool,
    /// How often `up` has started it again because it had ended
    pub restarts: u32,
    /// When it was started, milliseconds since 1970
    pub since: Option<u64>,
    pub uptime_seconds: Option<u64>,
    /// Why it does not run, where that is not as it should be
    pub why: Option<String>,
}

/// As whoever keeps it up knows it; where that is nobody, as it says itself.
pub fn row(name: &str, served: &Served, units: &[UnitStatus]) -> RemoteRow {
    let unit = units.iter().find(|unit| unit.name == remote_unit(name));
    let mut row = RemoteRow {
        remote: name.to_owned(),
        unit: remote_unit(name),
        state: unit.map_or(State::Stopped, |unit| unit.state),
        pid: unit.and_then(|unit| unit.pid),
        address: format!("http://127.0.0.1:{}", served.port),
        paused: unit.is_some_and(|unit| unit.paused),
        restarts: unit.map_or(0, |unit| unit.restarts),
        since: unit.filter(|unit| unit.pid.is_some()).and_then(|unit| unit.since),
        uptime_seconds: None,
        why: unit.and_then(|unit| unit.why.clone()),
    };
    if !row.state.is_busy()
        && let Ok(status) = Hosted::connect(&served.paths.socket).and_then(|hosted| hosted.status(PATIENCE))
    {
        (row.pid, row.since, row.why) = (Some(status.pid), Some(status.since), None);
        row.state = match status.phase {
            HostedPhase::Starting => State::Starting,
            HostedPhase::Ready => State::Ready,
            HostedPhase::Stopping => State::Stopping,
        };
    }
    row.uptime_seconds = row.since.map(|since| now().saturating_sub(since) / 1000);
    row
}
