//! The last seconds: what is here goes there if there is time, and the lease is given back.

use std::sync::atomic::Ordering;
use std::time::Duration;

use nixbox_config::SyncMode;
use nixbox_remote::Deadlines;
use nixbox_sync::Local;

use super::gate::now;
use super::place::{Place, Why};
use super::{Errand, Syncing};

/// What giving the lease back may take of the time.
const FOR_THE_LEASE: Duration = Duration::from_millis(400);

impl Syncing {
    /// Nothing changes any more. `left`: how long it may take; what is not done by then is left to the next start.
    pub(crate) fn go_down(&self, local: &Local, left: Duration) {
        // Of one that was given up nothing is left to do.
        if self.is_stopping() {
            return;
        }
        let until = now().saturating_add(left);
        self.stopping.store(true, Ordering::SeqCst);
        self.bell.notify_one();
        self.gate.shut();
        let may_push = matches!(*self.place(), Place::Free | Place::Adrift | Place::Holder { .. });
        // What a follower wrote that was promoted nobody would push: the next start follows again.
        let wants = self.settings.push_on_stop || self.settings.mode == SyncMode::Follow;
        if wants && may_push && self.pending() != Some(0) {
            let time = left.saturating_sub(FOR_THE_LEASE);
            let along = self.along(local, Errand::default());
            let pushed = self.on_record_within("push", &along, time, within(time), |room, settled| {
                self.push_in(room, local, settled)
            });
            drop(pushed);
        }
        let pending = self.pending();
        match pending {
            Some(0) => {}
            Some(pending) => {
                tracing::warn!(remote = self.name, pending, "not pushed, and kept: the next push takes it")
            }
            None => tracing::debug!(remote = self.name, "not synced since the start"),
        }
        let Some(hold) = self.hold() else { return };
        let time = until.saturating_sub(now());
        let given = self.remote_within(within(time)).map(|remote| hold.give_back(&remote));
        match given {
            Ok(Ok(())) => tracing::debug!(remote = self.name, "the lease is given back"),
            Ok(Err(error)) => tracing::warn!(%error, remote = self.name, "the lease runs out by itself"),
            Err(_) => tracing::warn!(remote = self.name, "the lease runs out by itself"),
        }
        self.stand(Place::Reader(Why::Released));
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }
}

fn within(time: Duration) -> Deadlines {
    let time = time.max(Duration::from_millis(50));
    Deadlines { connect: time, silence: time, whole: time, tries: 1 }
}
