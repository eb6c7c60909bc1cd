//! What an instance's mode has it do by itself. Sleeps until something is due or the bell rings, and asks for nothing
//! meanwhile.

use std::sync::Arc;
use std::time::Duration;

use nixbox_config::SyncMode;
use nixbox_remote::{Backoff, jitter};
use nixbox_report::Report;
use nixbox_sync::{Done, Local};
use tokio::time::sleep;

use super::come_up::is_somebodys;
use super::gate::now;
use super::{Duty, Errand, Syncing};

/// From the first failure to the next try, and at most from one to the next.
const SOON: Duration = Duration::from_secs(1);
const LATER: Duration = Duration::from_secs(60);
/// Where things go on changing they are pushed after so many times the debounce.
const AT_THE_LATEST: u32 = 10;

impl Syncing {
    /// Until the owner ends. Nothing of it is of use in `manual`.
    pub(crate) fn keep(self: &Arc<Self>, local: Local) {
        let _ = self.witness.set(local.witness.clone());
        if self.settings.mode == SyncMode::Manual {
            return;
        }
        let is_planned = self.so_far().next.is_some();
        let is_pending = self.pending() != Some(0);
        match self.duty() {
            _ if is_planned => {}
            Duty::Write if is_pending => self.is_due_now(),
            _ => self.is_due_in_turn(),
        }
        let this = self.clone();
        tokio::spawn(async move {
            let mut failures = Backoff::new(SOON, LATER);
            while !this.is_stopping() {
                match this.due_in() {
                    Some(Duration::ZERO) => this.sync_by_itself(&local, &mut failures).await,
                    Some(wait) => tokio::select! { () = sleep(wait) => {}, () = this.bell.notified() => {} },
                    None => this.bell.notified().await,
                }
            }
        });
    }

    async fn sync_by_itself(self: &Arc<Self>, local: &Local, failures: &mut Backoff) {
        let (this, local) = (self.clone(), local.clone());
        let done = tokio::task::spawn_blocking(move || this.sync_once(&local));
        match done.await {
            Ok(Ok(())) => {
                *failures = Backoff::new(SOON, LATER);
                self.is_due_in_turn();
            }
            Ok(Err(report)) if is_somebodys(&report) => self.is_due_later(&report),
            Ok(Err(_)) | Err(_) => self.is_due_at(Some(failures.pause())),
        }
    }

    fn sync_once(&self, local: &Local) -> Result<(), Report> {
        if self.is_stopping() {
            return Ok(());
        }
        let did = if self.duty() == Duty::Write { "push" } else { "pull" };
        let done = self.on_record(did, &self.along(local, Errand::default()), |room, settled| {
            let may_rest = self.is_clean() && (self.duty() == Duty::Follow || self.hold().is_some());
            if may_rest && !room.has_changed()? {
                return Ok(self.nothing_done());
            }
            match self.duty() {
                Duty::Write => self.push_in(room, local, settled),
                Duty::Follow => self.pull_in(room, local, settled),
            }
        });
        done.map(drop)
    }

    /// Both sides are as they were left.
    fn nothing_done(&self) -> Done {
        let mut record = self.so_far();
        record.begun = record.made;
        Done { left: record.left.map(|left| left as usize), ..Done::default() }
    }

    /// None: only the bell says.
    fn due_in(&self) -> Option<Duration> {
        let next = self.so_far().next;
        let changed = (self.settings.mode == SyncMode::RealTime && self.duty() == Duty::Write && next.is_none())
            .then(|| self.gate.waiting())
            .flatten()
            .map(|waiting| {
                let quiet = waiting.last.saturating_add(self.settings.debounce.0);
                quiet.min(waiting.since.saturating_add(self.settings.debounce.0.saturating_mul(AT_THE_LATEST)))
            });
        next.or(changed).map(|due| due.saturating_sub(now()))
    }

    /// The next one by the clock; in `real-time` the next change makes one.
    fn is_due_in_turn(&self) {
        let interval = self.settings.interval.0;
        // A little more or less, or all machines would come at once.
        let span = interval.mul_f64(0.9).saturating_add(jitter(interval.mul_f64(0.2)));
        let by_change = self.settings.mode == SyncMode::RealTime && self.duty() == Duty::Write;
        self.is_due_at((!by_change).then_some(span));
    }

    /// After a failure that only somebody else can mend, or that takes time to pass.
    pub(super) fn is_due_later(&self, report: &Report) {
        let span = if is_somebodys(report) { LATER } else { SOON };
        self.is_due_at(Some(span / 2 + jitter(span / 2)));
    }

    /// Somebody has done something about what stood in the way.
    pub(super) fn is_due_now(&self) {
        self.is_due_at(Some(Duration::ZERO));
        self.bell.notify_one();
    }

    fn is_due_at(&self, span: Option<Duration>) {
        if self.settings.mode == SyncMode::Manual {
            return;
        }
        self.so_far().next = span.map(|span| now().saturating_add(span));
        self.tell();
    }
}
