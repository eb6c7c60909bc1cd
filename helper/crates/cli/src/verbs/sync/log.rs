use nixbox_control::{SyncEntry, SyncLine, SyncRequest};
use nixbox_report::Report;
use schemars::JsonSchema;
use serde::Serialize;

use super::lines;
use crate::asking::Asked;
use crate::output::{Cell, Output, Tone, harmless};
use crate::review::shown;
use crate::times;

#[derive(Serialize, JsonSchema)]
pub struct Log {
    /// Newest first
    pub entries: Vec<Entry>,
}

#[derive(Serialize, JsonSchema)]
pub struct Entry {
    /// RFC 3339; of a failure that came again, the last time
    pub at: String,
    /// `pull`, `push`, `take`, `resolve`, `enable`, `disable`, or `noticed` of a database that was restored
    pub did: String,
    pub remote: String,
    /// Seconds
    pub took: f64,
    /// Files, folders, links and values
    pub pulled: u64,
    pub pushed: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// The names of the first 20
    pub conflicts: Vec<String>,
    pub of_conflicts: u64,
    /// What was here before, where something was changed here and something gave way
    pub snapshot: Option<String>,
    /// Of the failure, where it failed
    pub code: Option<String>,
    pub message: Option<String>,
    /// How often in a row it failed so
    pub times: u64,
}

pub fn run(asked: &Asked, limit: u64, output: &Output) -> Result<(), Report> {
    let mut entries = Vec::new();
    lines(asked, SyncRequest::Log { limit }, |line| {
        if let SyncLine::Logged(entry) = line {
            entries.push(Entry::of(*entry));
        }
    })?;
    if output.json {
        return output.json(Log { entries });
    }
    if entries.is_empty() {
        output.note("Nothing was synced yet");
        return Ok(());
    }
    output.table(&["TIME", "DID", "REMOTE", "WHAT CAME OF IT"], entries.iter().map(Entry::row).collect())
}

impl Entry {
    fn of(entry: SyncEntry) -> Self {
        Self {
            at: times::rfc3339(entry.at),
            did: entry.did,
            remote: entry.remote,
            took: entry.took,
            pulled: entry.pulled,
            pushed: entry.pushed,
            bytes_in: entry.bytes_in,
            bytes_out: entry.bytes_out,
            conflicts: entry.conflicts,
            of_conflicts: entry.of_conflicts,
            snapshot: entry.snapshot,
            code: entry.code,
            message: entry.message,
            times: entry.times.max(1),
        }
    }

    fn row(&self) -> Vec<Cell> {
        let came = match &self.code {
            Some(code) => Cell::new(harmless(&self.failed(code)), Tone::Bad),
            None => self.done().into(),
        };
        vec![self.at.as_str().into(), self.did.as_str().into(), self.remote.as_str().into(), came]
    }

    fn failed(&self, code: &str) -> String {
        let times = if self.times > 1 { format!(" ({} times)", self.times) } else { String::new() };
        let why = match self.conflicts.is_empty() {
            true => self.message.clone().unwrap_or_default(),
            false => self.names(),
        };
        let kept = self.kept().map(|kept| format!("; {kept}")).unwrap_or_default();
        format!("{code}{times}: {why}{kept}")
    }

    fn done(&self) -> String {
        let part = |count: u64, what: &str, bytes: u64| match (count, bytes) {
            (0, _) => None,
            (count, 0) => Some(format!("{count} {what}")),
            (count, bytes) => Some(format!("{count} {what} ({})", shown::size(bytes))),
        };
        if let Some(message) = &self.message {
            return message.clone();
        }
        let settled = (!self.conflicts.is_empty()).then(|| format!("settled {}", self.names()));
        let moved = [part(self.pulled, "pulled", self.bytes_in), part(self.pushed, "pushed", self.bytes_out)];
        let parts: Vec<_> = settled.into_iter().chain(moved.into_iter().flatten()).chain(self.kept()).collect();
        if parts.is_empty() { "done".into() } else { parts.join(", ") }
    }

    fn kept(&self) -> Option<String> {
        self.snapshot.as_ref().map(|id| format!("before: snapshot {id}"))
    }

    fn names(&self) -> String {
        let more = self.of_conflicts.saturating_sub(self.conflicts.len() as u64);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        self.conflicts.join(", ") + &more
    }
}
