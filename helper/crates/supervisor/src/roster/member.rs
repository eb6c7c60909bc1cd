use std::ffi::OsString;
use std::fmt;
use std::time::{Duration, Instant};

use crate::child::Ended;
use crate::restart::History;
use crate::unit::Unit;

/// One unit and what it is at.
#[derive(Debug, Clone)]
pub struct Member {
    pub unit: Unit,
    pub phase: Phase,
    pub health: Option<Health>,
    /// How often it was started, and how often of that because it had ended.
    pub starts: u32,
    pub restarts: u32,
    /// How it ended when it last did.
    pub last: Option<Ended>,
    /// It was somebody who stopped it.
    pub by_hand: bool,
    /// It stands still.
    pub is_paused: bool,
    /// What it runs is started anew without an end of its own.
    pub anew: Option<Anew>,
    /// Words that its command is started with as well, until its declaration changes.
    pub more: Vec<OsString>,
    pub(super) history: History,
    pub(super) is_wanted: bool,
    pub(super) is_leaving: bool,
    /// Once it has stopped, it is to run again.
    pub(super) again: bool,
    /// Its health check is why it stops.
    pub(super) is_unwell: bool,
    /// It has been ready since it was last started.
    pub(super) was_ready: bool,
    pub(super) has_process: bool,
    pub(super) failures: u32,
    pub(super) grace: Option<Duration>,
    /// No plan has it any more.
    pub(super) goes: bool,
}

/// How something stands that starts what it runs anew by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Anew {
    /// For this reason it was started anew, and is not ready yet.
    Starts(String),
    /// What it ran has ended so, and it waits for a reason.
    Rests(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Nobody has asked for it.
    Idle,
    /// For what it needs.
    Waiting,
    Starting {
        since: Instant,
    },
    Ready {
        since: Instant,
        ready: Instant,
    },
    Stopping {
        since: Instant,
    },
    /// It has ended, and will be started again.
    BackingOff {
        until: Instant,
        why: Why,
    },
    Stopped,
    /// It has ended by itself, and well.
    Completed,
    Failed(Why),
}

/// Why something does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    Ended(Ended),
    NotStarted(String),
    /// Its health check failed too often.
    Unwell,
    /// What it needs will not be there.
    Needs(String),
    CrashLoop {
        restarts: usize,
        last: Box<Why>,
    },
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(ended) => write!(f, "it ended with {}", ended.describe()),
            Self::NotStarted(why) => write!(f, "it could not be started: {why}"),
            Self::Unwell => f.write_str("its health check failed too often"),
            Self::Needs(unit) => write!(f, "it needs `{unit}`, which does not run"),
            Self::CrashLoop { restarts, last } => write!(f, "{last}, and so did each of {restarts} restarts"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// Not examined yet.
    Unknown,
    Well,
    Unwell,
}

impl Member {
    pub(super) fn new(unit: Unit) -> Self {
        Self {
            unit,
            phase: Phase::Idle,
            health: None,
            starts: 0,
            restarts: 0,
            last: None,
            by_hand: false,
            is_paused: false,
            anew: None,
            more: Vec::new(),
            history: History::default(),
            is_wanted: false,
            is_leaving: false,
            again: false,
            is_unwell: false,
            was_ready: false,
            has_process: false,
            failures: 0,
            grace: None,
            goes: false,
        }
    }

    pub(super) fn is_there(&self) -> bool {
        !self.goes || self.is_active()
    }

    /// There is a process.
    pub fn is_active(&self) -> bool {
        matches!(self.phase, Phase::Starting { .. } | Phase::Ready { .. } | Phase::Stopping { .. })
    }

    /// It is there, and does nothing.
    pub(crate) fn is_idle(&self) -> bool {
        self.is_paused || matches!(self.anew, Some(Anew::Rests(_)))
    }

    /// It runs, or is about to.
    pub fn is_busy(&self) -> bool {
        self.is_active() || matches!(self.phase, Phase::Waiting | Phase::BackingOff { .. })
    }

    /// It is on its way to be ready, and not known to fail.
    pub fn is_coming(&self) -> bool {
        matches!(self.phase, Phase::Waiting | Phase::Starting { .. } | Phase::BackingOff { .. })
            || matches!(self.phase, Phase::Stopping { .. } if self.again)
    }

    pub fn since(&self) -> Option<Instant> {
        match self.phase {
            Phase::Starting { since } | Phase::Ready { since, .. } | Phase::Stopping { since } => Some(since),
            _ => None,
        }
    }

    pub(super) fn was_ready(&self) -> bool {
        self.was_ready
    }

    pub(super) fn is_bound_to(&self, name: &str) -> bool {
        self.unit.needs.iter().any(|need| need.bound && need.unit == name)
    }

    pub(super) fn want(&mut self) {
        self.is_wanted = true;
        self.by_hand = false;
        match self.phase {
            Phase::Stopping { .. } => self.again = true,
            Phase::Idle | Phase::BackingOff { .. } | Phase::Stopped | Phase::Completed | Phase::Failed(_) => {
                self.history = History::default();
                self.phase = Phase::Waiting;
            }
            // One that is to run again stops first.
            _ => self.is_leaving = self.again,
        }
    }

    pub(super) fn again(&mut self) {
        self.is_wanted = true;
        self.again = true;
        self.is_leaving = !matches!(self.phase, Phase::Stopping { .. });
    }

    /// True where there was something to stop.
    pub(super) fn leave(&mut self, grace: Option<Duration>) -> bool {
        self.is_wanted = false;
        self.again = false;
        self.is_unwell = false;
        self.by_hand = true;
        self.grace = grace;
        match self.phase {
            Phase::Starting { .. } | Phase::Ready { .. } => {
                self.is_leaving = true;
                true
            }
            Phase::Stopping { .. } => true,
            Phase::Waiting | Phase::BackingOff { .. } => {
                self.phase = Phase::Stopped;
                true
            }
            _ => false,
        }
    }
}
