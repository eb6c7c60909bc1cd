//! How long the end may take. Process managers kill after five seconds, and what is killed cleans up nothing.

use std::time::{Duration, Instant};

const WHOLE: Duration = Duration::from_millis(3600);
const HURRIED: Duration = Duration::from_millis(1500);

#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    end: Instant,
}

impl Budget {
    pub(crate) fn starts_now(hurried: bool) -> Self {
        Self { end: Instant::now() + if hurried { HURRIED } else { WHOLE } }
    }

    /// What is left, but for what the later steps need.
    pub(crate) fn left_but(&self, later: Duration) -> Duration {
        self.end.saturating_duration_since(Instant::now()).saturating_sub(later)
    }
}
