use std::ffi::OsString;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What to start and how it is tied to this process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    pub program: PathBuf,
    pub args: Vec<OsString>,
    /// Set on top of this process's own environment.
    pub env: Vec<(OsString, OsString)>,
    pub cwd: Option<PathBuf>,
    pub placement: Placement,
    pub output: Sink,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Placement {
    /// A session of its own, so that Ctrl-C reaches only this process, which then decides. Gets TERM when
    /// this process dies, however it dies (to the kernel: when the thread that started it ends, so start it from
    /// one that stays).
    Tied,
    /// A session of its own, without a terminal and without inherited descriptors: it outlives this process, and
    /// nobody who waits for the end of our output waits for it.
    Detached,
}

/// Where standard output and standard error go, both of them. Standard input is always empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sink {
    /// Line by line to the supervisor.
    Lines,
    /// To the end of a file that only its owner can read.
    Append(PathBuf),
    Null,
}

impl Spec {
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            cwd: None,
            placement: Placement::Tied,
            output: Sink::Lines,
        }
    }

    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    pub fn env(mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((key.into(), value.into()));
        self
    }

    pub fn cwd(mut self, cwd: impl Into<PathBuf>) -> Self {
        self.cwd = Some(cwd.into());
        self
    }

    pub fn placement(mut self, placement: Placement) -> Self {
        self.placement = placement;
        self
    }

    pub fn output(mut self, output: Sink) -> Self {
        self.output = output;
        self
    }
}
