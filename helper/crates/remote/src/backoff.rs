//! How long to wait before something is tried again: longer each time, and never in step with others who wait.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

#[derive(Debug, Clone)]
pub struct Backoff {
    next: Duration,
    longest: Duration,
}

impl Backoff {
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { next: first, longest }
    }

    /// The next pause: between a half and the whole of what is due.
    pub fn pause(&mut self) -> Duration {
        let due = self.next.min(self.longest);
        self.next = due.saturating_mul(2);
        due / 2 + jitter(due / 2)
    }
}

/// Evenly between nothing and `most`; good enough to tell two machines apart.
pub fn jitter(most: Duration) -> Duration {
    // Each state is seeded by the system's randomness.
    let random = RandomState::new().build_hasher().finish();
    most.mul_f64((random >> 11) as f64 / (1u64 << 53) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_longest_and_differ() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let pauses: Vec<_> = (0..8).map(|_| backoff.pause()).collect();
        for (pause, due) in pauses.iter().zip([100, 200, 400, 800, 1000, 1000, 1000, 1000]) {
            let due = Duration::from_millis(due);
            assert!(*pause >= due / 2 && *pause <= due, "{pause:?} of {due:?}");
        }
        assert!(pauses[4..].windows(2).any(|two| two[0] != two[1]), "{pauses:?}");
    }
}
