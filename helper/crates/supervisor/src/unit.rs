use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::restart::Restart;
use crate::spec::Spec;

/// One thing to keep up: what to start, what has to be there before, and what to do when it ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unit {
    pub name: String,
    pub spec: Spec,
    pub needs: Vec<Need>,
    pub ready: Readiness,
    pub restart: Restart,
    pub health: Option<Health>,
    /// How long it may take to stop before it is killed.
    pub grace: Duration,
    pub log: Option<LogFile>,
    /// It is in no plan: one that says what else is to go does not mean it.
    #[serde(default)]
    pub apart: bool,
    /// The name of the control group that its command makes itself, where it makes one.
    pub group: Option<String>,
    /// Changes where something has changed that its command looks up by itself.
    pub version: String,
}

/// Another unit that has to be so far before this one is started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Need {
    pub unit: String,
    pub condition: Condition,
    /// It lives in the other one: when that goes, it goes as well, and it comes again with it.
    pub bound: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    Started,
    Ready,
    /// It has ended, and well.
    Completed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Readiness {
    /// As soon as it runs, or where there is a health check, once that succeeds.
    Started,
    /// When it says so: `READY=1` to NOTIFY_SOCKET.
    Notified,
}

/// A command that looks whether a unit is well: it is where this ends with 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Health {
    pub probe: Spec,
    pub interval: Duration,
    pub timeout: Duration,
    /// So many failures in a row mean that it is not well.
    pub retries: u32,
    /// Failures count only after this, or after the first success.
    pub start_period: Duration,
}

/// Where a unit's output is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogFile {
    pub path: PathBuf,
    /// A file that has grown beyond this is put aside, and a new one begun.
    pub max_size: u64,
    /// So many that were put aside are kept.
    pub keep: u32,
}
