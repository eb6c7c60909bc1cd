use std::fmt;
use std::path::PathBuf;

use crate::catalogue::{Code, Exit, codes};

/// One failure: what failed, why, and what to do about it. One sentence each, no full stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub code: &'static Code,
    pub what: String,
    pub why: Option<String>,
    pub help: Option<String>,
    pub place: Option<Place>,
}

/// Where in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub file: PathBuf,
    /// Counted from 1.
    pub line: Option<usize>,
    /// `instances.sandbox.mount.path`
    pub key: Option<String>,
}

impl Failure {
    pub fn new(code: &'static Code, what: impl Into<String>) -> Self {
        Self { code, what: what.into(), why: None, help: None, place: None }
    }

    pub fn why(mut self, why: impl fmt::Display) -> Self {
        self.why = Some(why.to_string());
        self
    }

    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }
}

/// One failure or several found together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    pub failures: Vec<Failure>,
}

impl Report {
    /// The exit code of the first: those found together are of one class.
    pub fn exit(&self) -> u8 {
        self.failures.first().map_or(Exit::Unexpected, |failure| failure.code.exit) as u8
    }
}

impl From<Failure> for Report {
    fn from(failure: Failure) -> Self {
        Self { failures: vec![failure] }
    }
}

impl From<Vec<Failure>> for Report {
    fn from(failures: Vec<Failure>) -> Self {
        Self { failures }
    }
}

/// For the failures that have no better name.
impl From<std::io::Error> for Report {
    fn from(error: std::io::Error) -> Self {
        Failure::new(&codes::UNEXPECTED, error.to_string()).into()
    }
}
