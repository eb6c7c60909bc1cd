//! What follows the end of a unit: nothing, another start after a while, or giving up.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Restart {
    pub on: On,
    /// So many restarts within `window` are tried; the next end is the last.
    pub max: u32,
    /// What lies further back does not count, and after so long without an end the wait is the shortest again.
    pub window: Duration,
    pub backoff: Backoff,
    /// Exit codes after which another try would end the same way.
    pub final_codes: Vec<i32>,
}

/// After which ends it is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum On {
    Never,
    OnFailure,
    /// Also after a good end, and by the next `up` after it was stopped by hand.
    Always,
    /// As `Always`, but what was stopped by hand stays so until it is named.
    UnlessStopped,
}

/// How long to wait before a restart: `min` at first, `factor` times as long each time, `max` at most.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Backoff {
    pub min: Duration,
    pub max: Duration,
    pub factor: f64,
}

impl Default for Restart {
    /// A crash loop is six starts in sixteen seconds.
    fn default() -> Self {
        let backoff = Backoff { min: Duration::from_millis(500), max: Duration::from_secs(30), factor: 2.0 };
        Self { on: On::OnFailure, max: 5, window: Duration::from_secs(60), backoff, final_codes: Vec::new() }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Rest,
    Again {
        at: Instant,
    },
    /// After so many restarts within the window.
    GiveUp {
        restarts: usize,
    },
}

/// The restarts of one unit so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    restarts: VecDeque<Instant>,
    wait: Option<Duration>,
}

impl Restart {
    /// `code` of the end, `None` for a signal or a failed health check; `ran` is how long it was up.
    pub(crate) fn after(&self, code: Option<i32>, ran: Duration, history: &mut History, now: Instant) -> Verdict {
        let failed = code != Some(0);
        let wanted = match self.on {
            On::Never => false,
            On::OnFailure => failed,
            On::Always | On::UnlessStopped => true,
        };
        if !wanted || code.is_some_and(|code| self.final_codes.contains(&code)) {
            return Verdict::Rest;
        }
        if ran >= self.window {
            *history = History::default();
        }
        while history.restarts.front().is_some_and(|&at| now.saturating_duration_since(at) > self.window) {
            history.restarts.pop_front();
        }
        if history.restarts.len() >= self.max as usize {
            return Verdict::GiveUp { restarts: history.restarts.len() };
        }
        let wait = history.wait.unwrap_or(self.backoff.min).min(self.backoff.max);
        history.wait = Some(Duration::try_from_secs_f64(wait.as_secs_f64() * self.backoff.factor).unwrap_or(wait));
        history.restarts.push_back(now + wait);
        Verdict::Again { at: now + wait }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(10);

    /// How long it waits before each restart of one that always fails at once.
    fn waits(restart: &Restart) -> Vec<f64> {
        let (mut history, mut now, mut waits) = (History::default(), Instant::now(), Vec::new());
        while let Verdict::Again { at } = restart.after(Some(1), SHORT, &mut history, now) {
            waits.push((at - now).as_secs_f64());
            now = at + SHORT;
            assert!(waits.len() < 1000, "it never gives up");
        }
        waits
    }

    #[test]
    fn a_crash_loop_ends_and_waits_longer_each_time() {
        assert_eq!(waits(&Restart::default()), [0.5, 1.0, 2.0, 4.0, 8.0]);
        let steep = Backoff { max: Duration::from_secs(3), ..Restart::default().backoff };
        assert_eq!(waits(&Restart { backoff: steep, ..Restart::default() }), [0.5, 1.0, 2.0, 3.0, 3.0]);
        assert_eq!(waits(&Restart { max: 0, ..Restart::default() }), [0.0; 0]);
    }

    #[test]
    fn one_that_stayed_up_begins_anew() {
        let (restart, mut now) = (Restart::default(), Instant::now());
        let mut history = History::default();
        for _ in 0..20 {
            let Verdict::Again { at } = restart.after(None, restart.window, &mut history, now) else {
                panic!("given up")
            };
            assert_eq!(at - now, restart.backoff.min);
            now = at + restart.window;
        }
    }

    #[test]
    fn each_policy_restarts_after_its_ends_alone() {
        let after = |on, code| {
            let restart = Restart { on, final_codes: vec![7], ..Restart::default() };
            restart.after(code, SHORT, &mut History::default(), Instant::now()) != Verdict::Rest
        };
        let ends = [Some(0), Some(1), None, Some(7)];
        assert_eq!(ends.map(|end| after(On::Never, end)), [false, false, false, false]);
        assert_eq!(ends.map(|end| after(On::OnFailure, end)), [false, true, true, false]);
        assert_eq!(ends.map(|end| after(On::Always, end)), [true, true, true, false]);
        assert_eq!(ends.map(|end| after(On::UnlessStopped, end)), [true, true, true, false]);
    }
}
