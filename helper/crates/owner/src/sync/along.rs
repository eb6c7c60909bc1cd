//! Who waits for a sync, and what goes along with it: news of how far it is, whether it is still wanted, and a snapshot
//! before anything that was changed here gives way.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use nixbox_control::{SyncPhase, SyncProgress};
use nixbox_engine::{Agreed, Snapshots};
use nixbox_supervisor::Hooks;
use nixbox_sync::{Company, Error, Older, Phase, Progress};
use tokio::sync::watch;

use crate::shelf::Shelf;

/// Who waits. One that nobody waits for is the default.
#[derive(Clone, Default)]
pub(crate) struct Errand {
    called_off: Arc<AtomicBool>,
    far: Option<watch::Sender<Option<SyncProgress>>>,
}

impl Errand {
    /// With how far it is.
    pub(crate) fn watched() -> (Self, watch::Receiver<Option<SyncProgress>>) {
        let (far, news) = watch::channel(None);
        (Self { far: Some(far), ..Self::default() }, news)
    }

    pub(super) fn is_watched(&self) -> bool {
        self.far.is_some()
    }

    /// Before it changes anything, it ends.
    pub(crate) fn call_off(&self) {
        self.called_off.store(true, Ordering::Relaxed);
    }
}

pub(super) struct Along {
    pub(super) errand: Errand,
    /// What becomes of a remote that was put back.
    pub(super) older: Older,
    pub(super) shelf: Shelf,
    /// Hear of the snapshot.
    pub(super) hooks: Hooks,
    pub(super) database: Snapshots,
    pub(super) agreed: Agreed,
    /// The snapshot that this sync has made.
    pub(super) kept: Mutex<Option<String>>,
}

impl Along {
    /// The snapshot, if there is none yet. `before`: what it is kept from.
    pub(super) fn keep_before(&self, before: &str) -> nixbox_sync::Result<()> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // Where it begins anew, what gives way is what it was.
        if kept.is_none() {
            let snapshot = self.shelf.keep(&self.database, before).map_err(|report| {
                let failure = report.failures.first();
                let why = failure.map(|failure| match &failure.why {
                    Some(why) => format!("{}: {why}", failure.what),
                    None => failure.what.clone(),
                });
                Error::NotKept(why.unwrap_or_default())
            })?;
            crate::hooks::snapshot(&self.hooks, &snapshot);
            *kept = Some(snapshot.id);
        }
        Ok(())
    }

    pub(super) fn kept(&self) -> Option<String> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Company for Along {
    fn tell(&self, progress: Progress) {
        if let Some(far) = &self.errand.far {
            let Progress { phase, things, of_things, bytes, of_bytes } = progress;
            far.send_replace(Some(SyncProgress { phase: told(phase), things, of_things, bytes, of_bytes }));
        }
    }

    fn is_called_off(&self) -> bool {
        self.errand.called_off.load(Ordering::Relaxed)
    }

    fn keep(&self) -> nixbox_sync::Result<()> {
        self.keep_before("sync")
    }
}

fn told(phase: Phase) -> SyncPhase {
    match phase {
        Phase::Fetching => SyncPhase::Fetching,
        Phase::Comparing => SyncPhase::Comparing,
        Phase::Applying => SyncPhase::Applying,
        Phase::Packing => SyncPhase::Packing,
        Phase::Sending => SyncPhase::Sending,
    }
}
