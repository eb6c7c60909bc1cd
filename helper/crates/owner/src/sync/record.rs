//! What came of the last syncs: for the next one, for who looks, and for the metrics.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nixbox_control::{SyncFailure, SyncLine, SyncState, SyncSuccess};
use nixbox_report::{Failure, Report, codes};
use nixbox_sync::Done;

use super::gate::now;
use super::place::Place;
use super::{Duty, Syncing};

#[derive(Default)]
pub(crate) struct Record {
    /// What was here and not there at the last sync, and how many changes had been made here by then. None before it.
    pub(super) left: Option<u64>,
    pub(super) made: u64,
    /// By the time the sync began that is at work, or was last.
    pub(super) begun: u64,
    pub(super) success: Option<SyncSuccess>,
    /// When that was, by a clock that nobody sets.
    pub(super) succeeded: Option<Duration>,
    pub(super) failure: Option<SyncFailure>,
    /// Their names: the same ones are told once.
    pub(super) conflicts: Vec<String>,
    /// When the next sync is due by itself.
    pub(super) next: Option<Duration>,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) failures: BTreeMap<&'static str, u64>,
}

/// Seconds since 1970.
fn clock() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

impl Syncing {
    /// What is changed from here on is not in the sync that begins.
    pub(super) fn begins(&self) {
        let made = self.gate.made();
        self.so_far().begun = made;
    }

    pub(super) fn has_succeeded(&self, done: &Done) {
        let mut record = self.so_far();
        let success = SyncSuccess { at: clock(), pulled: done.pulled as u64, pushed: done.pushed as u64 };
        // Of one that only asked, nothing is known but what was known before.
        if let Some(left) = done.left {
            (record.left, record.made) = (Some(left as u64), record.begun);
        }
        (record.success, record.succeeded) = (Some(success), Some(now()));
        record.bytes_in += done.bytes_in;
        record.bytes_out += done.bytes_out;
        record.conflicts.clear();
        if record.failure.take().is_some() {
            tracing::info!(remote = self.name, "in sync again");
        }
        drop(record);
        self.tell();
    }

    /// Told once for as long as it is the same; says whether it was told.
    pub(super) fn has_failed(&self, report: &Report, conflicts: Vec<String>) -> bool {
        let Some(Failure { code, what, why, help, .. }) = report.failures.first() else { return false };
        // Somebody's own doing.
        if [codes::SYNC_CALLED_OFF.id, codes::SYNC_BUSY.id].contains(&code.id) {
            return false;
        }
        let mut record = self.so_far();
        *record.failures.entry(code.id).or_default() += 1;
        let is_known =
            record.failure.as_ref().is_some_and(|known| known.code == code.id) && record.conflicts == conflicts;
        if !is_known {
            let why = why.as_deref().unwrap_or_default();
            tracing::warn!(remote = self.name, code = code.id, why, "{what}");
        }
        record.conflicts = conflicts;
        record.failure = Some(SyncFailure {
            at: clock(),
            code: code.id.into(),
            message: what.clone(),
            why: why.clone(),
            help: help.clone(),
        });
        drop(record);
        self.tell();
        !is_known
    }

    /// The last sync went well, and there is nothing to push.
    pub(super) fn is_clean(&self) -> bool {
        let follows = self.duty() == Duty::Follow;
        let record = self.so_far();
        let is_all_there = record.left == Some(0) && record.made == self.gate.made();
        record.success.is_some() && record.failure.is_none() && (follows || is_all_there)
    }

    pub(crate) fn lag(&self) -> Duration {
        if self.duty() == Duty::Follow {
            return self.so_far().succeeded.map_or(Duration::ZERO, |at| now().saturating_sub(at));
        }
        self.gate.waiting().map_or(Duration::ZERO, |waiting| now().saturating_sub(waiting.since))
    }

    pub(crate) fn state(&self) -> SyncState {
        let read_only = self.read_only();
        let (pending, lag) = (self.pending(), self.lag().as_secs_f64());
        let (fence, left) = match &*self.place() {
            Place::Holder { hold, .. } => (hold.fence(), Some(hold.left().as_secs_f64())),
            _ => (None, None),
        };
        let record = self.so_far();
        SyncState {
            mode: self.settings.mode.to_string(),
            writable: self.gate.is_open(),
            why: read_only.as_ref().and_then(|failure| failure.why.clone()),
            help: read_only.and_then(|failure| failure.help),
            fence,
            left,
            pending,
            lag,
            conflicts: record.conflicts.len() as u64,
            success: record.success.clone(),
            failure: record.failure.clone(),
            next: record.next.map(|next| clock() + next.saturating_sub(now()).as_secs_f64()),
        }
    }

    pub(crate) fn state_line(&self) -> SyncLine {
        SyncLine::State(self.state())
    }

    /// Wakes who watches.
    pub(super) fn tell(&self) {
        self.told.send_replace(());
    }
}
