//! The one place through which everybody changes a synced instance: the mount, verbs, MCP, NFS. Where this machine may not
//! write, each change is answered with EROFS; what a sync brings is put in beneath it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use nixbox_engine::{Error, Leave, Result};
use tokio::sync::Notify;

use crate::observed::{Asked, Observer};

/// Since this machine started, with the time in which it slept or this process was stopped: a lease goes on
/// running out then.
pub(super) fn now() -> Duration {
    match clock_gettime(ClockId::CLOCK_BOOTTIME) {
        Ok(time) => Duration::new(time.tv_sec().unsigned_abs(), u32::try_from(time.tv_nsec()).unwrap_or_default()),
        // There is no Linux without that clock.
        Err(_) => Duration::MAX,
    }
}

const SHUT: u64 = 0;
const FOR_GOOD: u64 = u64::MAX;

#[derive(Debug)]
pub(crate) struct Gate {
    /// Until when it is open, in nanoseconds of [`now`]: who was paused past its lease finds it shut, whichever thread
    /// wakes up first.
    until: AtomicU64,
    /// How many changes have gone through.
    made: AtomicU64,
    /// When the first one did that nobody has taken up since, and the last one; 0 where there is none.
    first: AtomicU64,
    last: AtomicU64,
    /// Rung by that first one.
    bell: Arc<Notify>,
}

/// Changes that nobody has taken up yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) since: Duration,
    pub(super) last: Duration,
}

impl Gate {
    pub(super) fn new(bell: Arc<Notify>) -> Self {
        Self { until: SHUT.into(), made: 0.into(), first: 0.into(), last: 0.into(), bell }
    }

    pub(super) fn shut(&self) {
        self.until.store(SHUT, Ordering::SeqCst);
    }

    pub(super) fn open(&self) {
        self.until.store(FOR_GOOD, Ordering::SeqCst);
    }

    pub(super) fn open_for(&self, span: Duration) {
        self.until.store(nanos(now().saturating_add(span)), Ordering::SeqCst);
    }

    pub(crate) fn is_open(&self) -> bool {
        match self.until.load(Ordering::SeqCst) {
            SHUT => false,
            FOR_GOOD => true,
            until => nanos(now()) < until,
        }
    }

    pub(super) fn made(&self) -> u64 {
        self.made.load(Ordering::SeqCst)
    }

    pub(super) fn waiting(&self) -> Option<Waiting> {
        let time = |at: &AtomicU64| Duration::from_nanos(at.load(Ordering::SeqCst));
        let since = time(&self.first);
        (!since.is_zero()).then(|| Waiting { since, last: time(&self.last) })
    }

    /// Those so far are somebody's now; the next one rings again.
    pub(super) fn take_up(&self) -> Option<Waiting> {
        let waiting = self.waiting();
        self.first.store(0, Ordering::SeqCst);
        waiting
    }

    /// They are nobody's after all.
    pub(super) fn put_back(&self, waiting: Option<Waiting>) {
        if let Some(waiting) = waiting {
            self.last.fetch_max(nanos(waiting.last), Ordering::SeqCst);
            self.first.store(nanos(waiting.since), Ordering::SeqCst);
        }
    }
}

impl Leave for Gate {
    fn ask(&self) -> Result<()> {
        if self.is_open() { Ok(()) } else { Err(Error::Errno(libc::EROFS)) }
    }

    fn tell(&self) {
        let now = nanos(now());
        self.made.fetch_add(1, Ordering::SeqCst);
        self.last.store(now, Ordering::SeqCst);
        if self.first.compare_exchange(0, now, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            self.bell.notify_one();
        }
    }
}

/// For the tree as people see it.
impl Observer for Arc<Gate> {
    fn before(&self, asked: Asked) -> Result<()> {
        if asked.changes() { self.ask() } else { Ok(()) }
    }

    fn after(&self, asked: Asked, answer: std::result::Result<u64, &Error>) {
        // A draft changes nothing before it is published.
        if asked.changes() && asked != Asked::Draft && answer.is_ok() {
            self.tell();
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(FOR_GOOD - 1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_open_for_a_time_is_shut_after_it() {
        let gate = Gate::new(Arc::default());
        assert_eq!(gate.ask().unwrap_err().errno(), libc::EROFS);
        // On a machine that stands still it may be over before anybody asks.
        let was_open = [40, 400, 4000].into_iter().any(|time| {
            gate.open_for(Duration::from_millis(time));
            let is_open = gate.ask().is_ok();
            std::thread::sleep(Duration::from_millis(time + 20));
            assert_eq!(gate.ask().unwrap_err().errno(), libc::EROFS);
            is_open
        });
        assert!(was_open);
        gate.open();
        gate.ask().unwrap();
    }

    #[test]
    fn what_is_taken_up_is_waited_for_no_more_unless_it_is_put_back() {
        let gate = Gate::new(Arc::default());
        assert_eq!(gate.waiting(), None);
        gate.tell();
        let taken = gate.take_up().unwrap();
        assert_eq!((gate.waiting(), gate.made()), (None, 1));
        gate.tell();
        assert!(gate.waiting().unwrap().since >= taken.last);
        gate.put_back(Some(taken));
        let waiting = gate.waiting().unwrap();
        assert_eq!(waiting.since, taken.since);
        assert!(waiting.last >= taken.last && gate.made() == 2);
    }
}
