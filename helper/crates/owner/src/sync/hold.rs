//! The remote's lease, as long as it is ours: renewed by itself well before it runs out, until it is given back or somebody
//! else has it.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use nixbox_remote::{Backoff, Claim, Deadlines, Error, Held, Remote, Standing};
use tokio::task::AbortHandle;
use tokio::time::sleep;

/// A third of its time: two renewals may fail before it runs out.
const RENEW_AFTER: u32 = 3;

pub(super) struct Hold {
    lease: Arc<Lease>,
    heart: AbortHandle,
}

struct Lease {
    claim: Claim,
    remote: Remote,
    /// None once it was given back.
    held: Mutex<Option<Held>>,
    /// A renewal that is on its way must not come after what gives it back.
    asking: Mutex<()>,
}

/// Who has to hear how it goes.
pub(super) trait Holder: Send + Sync + 'static {
    fn renewed(&self, held: Held);
    /// It could not be renewed; perhaps the next time.
    fn cut_off(&self, error: Error);
    fn lost(&self, standing: Option<Standing>);
}

/// Renewing must not take as long as the lease does.
pub(super) fn deadlines(length: Duration) -> Deadlines {
    let at_most = (length / RENEW_AFTER).clamp(Duration::from_millis(500), Duration::from_secs(30));
    Deadlines { connect: at_most.min(Duration::from_secs(10)), silence: at_most, whole: at_most, tries: 1 }
}

impl Hold {
    /// Within the owner's runtime.
    pub(super) fn keep<H: Holder>(claim: Claim, held: Held, remote: Remote, holder: Weak<H>) -> Self {
        let lease = Arc::new(Lease { claim, remote, held: Mutex::new(Some(held)), asking: Mutex::new(()) });
        let heart = tokio::spawn(beat(Arc::downgrade(&lease), lease.claim.length, holder)).abort_handle();
        Self { lease, heart }
    }

    pub(super) fn claim(&self) -> &Claim {
        &self.lease.claim
    }

    /// Good for some time to come: renewed where it is not.
    pub(super) fn good(&self) -> Result<Held, Error> {
        let held = *lock(&self.lease.held);
        match held {
            Some(held) if held.left() > self.lease.claim.length / (2 * RENEW_AFTER) => Ok(held),
            _ => self.lease.renew(),
        }
    }

    pub(super) fn renew(&self) -> Result<Held, Error> {
        self.lease.renew()
    }

    pub(super) fn fence(&self) -> Option<i64> {
        lock(&self.lease.held).map(|held| held.fence)
    }

    pub(super) fn left(&self) -> Duration {
        lock(&self.lease.held).map_or(Duration::ZERO, |held| held.left())
    }

    pub(super) fn give_back(&self, remote: &Remote) -> Result<(), Error> {
        let _asking = lock(&self.lease.asking);
        match lock(&self.lease.held).take() {
            Some(held) => self.lease.claim.release(remote, held),
            None => Ok(()),
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.heart.abort();
    }
}

impl Lease {
    fn renew(&self) -> Result<Held, Error> {
        let _asking = lock(&self.asking);
        let held = (*lock(&self.held)).ok_or(Error::Lost(None))?;
        let held = self.claim.renew(&self.remote, held)?;
        *lock(&self.held) = Some(held);
        Ok(held)
    }
}

async fn beat<H: Holder>(lease: Weak<Lease>, length: Duration, holder: Weak<H>) {
    let due = length / RENEW_AFTER;
    let fresh = || Backoff::new(due / 4, due);
    let (mut pause, mut backoff) = (due, fresh());
    loop {
        sleep(pause).await;
        let (Some(lease), Some(holder)) = (lease.upgrade(), holder.upgrade()) else { return };
        let asked = tokio::task::spawn_blocking(move || match lease.renew() {
            Ok(held) => {
                holder.renewed(held);
                Beat::Good
            }
            Err(Error::Lost(standing)) => {
                holder.lost(standing.map(|standing| *standing));
                Beat::Over
            }
            Err(error) => {
                holder.cut_off(error);
                Beat::Missed
            }
        });
        match asked.await {
            Ok(Beat::Good) => (pause, backoff) = (due, fresh()),
            Ok(Beat::Missed) => pause = backoff.pause(),
            Ok(Beat::Over) | Err(_) => return,
        }
    }
}

enum Beat {
    Good,
    Missed,
    Over,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
