//! What is kept up, and how.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::processors::Processors;
use crate::size::Size;
use crate::span::Span;
use crate::words::{Condition, RestartOn};

/// A command that is kept running inside an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    pub name: String,
    pub enable: bool,
    pub instance: String,
    /// The program and its arguments.
    pub exec: Vec<String>,
    /// From the project folder as the job sees it.
    pub cwd: Option<PathBuf>,
    pub env: BTreeMap<String, String>,
    pub depends_on: BTreeMap<String, Condition>,
    pub restart: Restart,
    pub health: Option<Health>,
    pub watch: Option<Watch>,
    /// `USER[:GROUP]`
    pub user: Option<String>,
    /// The file that it reads.
    pub stdin: Option<PathBuf>,
    pub log_limits: LogLimits,
    /// What it says itself; for the rest its instance speaks.
    pub limits: Share,
    /// `RUNTIME_DIR/NAME.log`
    pub log: PathBuf,
}

/// At whose change a job is started anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    /// From the project folder as the job sees it; empty for that itself.
    pub paths: Vec<PathBuf>,
    pub ignore: Vec<String>,
    pub debounce: Span,
}

/// When something that has ended is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restart {
    pub on: RestartOn,
    pub max: u32,
    pub window: Span,
    pub backoff: Backoff,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    pub min: Span,
    pub max: Span,
    pub factor: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    pub probe: Probe,
    pub interval: Span,
    pub timeout: Span,
    pub retries: u32,
    pub start_period: Span,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    Exec(Vec<String>),
    Http(String),
}

/// What a command may take of the machine, with all that it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Share {
    pub cpu: Option<Processors>,
    pub memory: Option<Size>,
    /// Processes and threads.
    pub pids: Option<u32>,
    pub timeout: Option<Span>,
}

impl Share {
    /// One by one, what `other` says where this says nothing.
    pub fn or(self, other: Self) -> Self {
        Self {
            cpu: self.cpu.or(other.cpu),
            memory: self.memory.or(other.memory),
            pids: self.pids.or(other.pids),
            timeout: self.timeout.or(other.timeout),
        }
    }
}

/// How much of an output is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLimits {
    pub max_size: Size,
    /// So many files that were put aside.
    pub keep: u32,
}

impl Default for Restart {
    fn default() -> Self {
        let backoff = Backoff { min: Span::millis(500), max: Span::seconds(30), factor: 2 };
        Self { on: RestartOn::default(), max: 5, window: Span::seconds(60), backoff }
    }
}

impl Default for LogLimits {
    fn default() -> Self {
        Self { max_size: Size(10 << 20), keep: 5 }
    }
}
