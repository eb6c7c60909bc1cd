//! What is run at certain times.

use std::path::PathBuf;

use crate::span::Span;
use crate::words::Overlap;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    pub name: String,
    /// Whether it is run by itself.
    pub enable: bool,
    pub when: When,
    pub what: What,
    pub overlap: Overlap,
    /// Up to so much later.
    pub jitter: Span,
    /// Once for all the times that have come while nothing kept it.
    pub catch_up: bool,
    /// `RUNTIME_DIR/NAME.log`
    pub log: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// Without a zone by this machine's clock.
    Cron { cron: String, timezone: Option<String> },
    /// RFC 3339.
    At(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Of `nixbox-helper`, with its arguments.
    Verb(Vec<String>),
    /// A program and its arguments in an instance.
    Exec { instance: String, words: Vec<String> },
}
