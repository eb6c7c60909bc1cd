//! What an open database has done so far, counted where it happens and told without any lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counts since the database was opened.
#[derive(Debug, Default)]
pub struct Meters {
    /// Changes that were committed.
    pub changes: AtomicU64,
    /// Batches of them that were committed, and how long that took.
    pub commits: Latency,
    /// Times that the disk was waited for, and how long.
    pub syncs: Latency,
}

/// How often something took how long.
#[derive(Debug, Default)]
pub struct Latency {
    /// One for each of [`Latency::BOUNDS`], and one for what took longer.
    buckets: [AtomicU64; Latency::BOUNDS.len() + 1],
    nanos: AtomicU64,
}

impl Latency {
    /// Seconds.
    pub const BOUNDS: [f64; 8] = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.25, 1.0];

    pub(crate) fn took(&self, time: Duration) {
        let seconds = time.as_secs_f64();
        let bucket = Self::BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(Self::BOUNDS.len());
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// How often it took no longer than each bound and longer than the one before; last, longer than them all.
    pub fn counts(&self) -> [u64; Self::BOUNDS.len() + 1] {
        self.buckets.each_ref().map(|bucket| bucket.load(Ordering::Relaxed))
    }

    /// All of it together.
    pub fn seconds(&self) -> f64 {
        self.nanos.load(Ordering::Relaxed) as f64 / 1e9
    }
}

/// What a database has in hand at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Inodes that somebody refers to.
    pub inodes: u64,
    /// Changes that are acknowledged and not yet committed.
    pub waiting: u64,
    /// Bytes in the log that are not yet in the database file.
    pub log_bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_falls_into_one_bucket() {
        let latency = Latency::default();
        for micros in [50, 100, 101, 2_000, 5_000_000] {
            latency.took(Duration::from_micros(micros));
        }
        assert_eq!(latency.counts(), [2, 1, 0, 1, 0, 0, 0, 0, 1]);
        assert!((latency.seconds() - 5.002_251).abs() < 1e-9);
    }
}
