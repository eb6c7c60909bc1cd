//! What verbs and whoever keeps a project up say to each other: a JSON object a line over a Unix socket. A connection
//! carries one order.

use std::time::{Duration, Instant};

use nixbox_report::{Failure, codes};
use nixbox_state::Process;
use nixbox_supervisor::{Anew, Limits, Member, Phase, Unit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::os::unix::process::ExitStatusExt;

use crate::presence::now;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "kebab-case")]
pub enum Order {
    /// How all is now, and then each change, until either side closes.
    Follow,
    /// These are to run. `named`: somebody asked for these very ones. `whole`: what else runs is to go.
    Up {
        units: Vec<Unit>,
        names: Vec<String>,
        named: bool,
        whole: bool,
    },
    /// The configuration was written anew, and has these: what has changed runs again, what is new runs, what is not
    /// among them goes. What nobody has asked for stays as it is.
    Reload {
        units: Vec<Unit>,
    },
    /// Something that people should know.
    Say {
        text: String,
    },
    /// These are to stop; none named, all are.
    Stop {
        names: Vec<String>,
        grace_ms: Option<u64>,
    },
    Restart {
        names: Vec<String>,
        grace_ms: Option<u64>,
    },
    Signal {
        name: String,
        signal: i32,
    },
    /// These are to stand still, or to go on.
    Pause {
        names: Vec<String>,
        is_paused: bool,
    },
    /// These may take so much from now on. `words` say the same to their commands when they are started again.
    Limit {
        names: Vec<String>,
        limits: Limits,
        words: Vec<String>,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Answer {
    /// To `Follow`, at first and after each order: who keeps it up, all units, and how many orders were carried out.
    Here {
        processes: Vec<Process>,
        units: Vec<UnitStatus>,
        orders: u64,
    },
    /// To `Follow`: one that is at something else now.
    Unit(UnitStatus),
    /// To `Follow`: something that people should know.
    Said {
        text: String,
    },
    /// To an order that was obeyed: which it was about.
    Done(Done),
    Refused {
        code: String,
        what: String,
        help: Option<String>,
    },
}

/// An order that was obeyed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Done {
    /// Which units it was about.
    pub names: Vec<String>,
    /// Those that are restarted because their declaration has changed, and those that have none any more.
    pub changed: Vec<String>,
    pub removed: Vec<String>,
    /// How many orders were carried out, this one included.
    pub orders: u64,
    /// It has more to do than to keep units up, and does not end with the last of them.
    #[serde(default)]
    pub stays: bool,
}

impl Answer {
    pub fn refused(failure: Option<&Failure>) -> Self {
        let (code, what) = failure.map_or((&codes::UNEXPECTED, ""), |failure| (failure.code, failure.what.as_str()));
        let help = failure.and_then(|failure| failure.help.clone());
        Self::Refused { code: code.id.into(), what: what.into(), help }
    }

    pub fn as_failure(code: &str, what: String, help: Option<String>) -> Failure {
        let known = nixbox_report::ALL.iter().find(|known| known.id == code).copied();
        Failure { help, ..Failure::new(known.unwrap_or(&codes::UNEXPECTED), what) }
    }
}

/// One instance or job as whoever keeps it up sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UnitStatus {
    pub name: String,
    pub state: State,
    pub pid: Option<i32>,
    /// When its process started, milliseconds since 1970
    pub since: Option<u64>,
    /// How long it took to be ready
    pub ready_after_ms: Option<u64>,
    pub health: Option<Health>,
    /// How often it was started, and how often of that because it had ended
    pub starts: u32,
    pub restarts: u32,
    /// How it ended when it last did
    pub exit_code: Option<i32>,
    pub signal: Option<i32>,
    /// Why it does not run, where that is not as it should be, or was started anew
    pub why: Option<String>,
    /// What it said last, where it ended badly
    pub last_lines: Vec<String>,
    /// Until it is started again
    pub wait_ms: Option<u64>,
    /// It did not stop in time
    pub killed: bool,
    /// Somebody has stopped it
    pub by_hand: bool,
    /// It stands still
    pub paused: bool,
    /// Clock ticks from boot to its start: a pid alone may be another's by now
    pub start_time: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Nobody has asked for it
    Idle,
    /// For what it needs
    Waiting,
    Starting,
    Ready,
    /// What it runs has ended, and is run again at the next change
    Resting,
    Stopping,
    /// It has ended and will be started again
    BackingOff,
    Stopped,
    /// It has ended by itself, and well
    Completed,
    Failed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// Not examined yet
    Unknown,
    Healthy,
    Unhealthy,
}

impl State {
    pub fn word(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Waiting => "waiting",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Resting => "resting",
            Self::Stopping => "stopping",
            Self::BackingOff => "backing off",
            Self::Stopped => "stopped",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }

    /// It runs, or is about to.
    pub fn is_busy(self) -> bool {
        matches!(self, Self::Waiting | Self::Starting | Self::Ready | Self::Resting | Self::Stopping | Self::BackingOff)
    }

    /// Whether it comes up is not known yet.
    pub fn is_coming(self) -> bool {
        matches!(self, Self::Waiting | Self::Starting | Self::Stopping | Self::BackingOff)
    }
}

impl UnitStatus {
    pub fn of(member: &Member, process: Option<Process>, killed: bool) -> Self {
        let ago = |at: Instant| now().saturating_sub(at.elapsed().as_millis() as u64);
        let millis = |time: Duration| time.as_millis() as u64;
        let mut status = Self {
            name: member.unit.name.clone(),
            state: State::Idle,
            pid: process.map(|process| process.pid),
            since: member.since().map(ago),
            ready_after_ms: None,
            health: member.health.map(|health| match health {
                nixbox_supervisor::Health::Unknown => Health::Unknown,
                nixbox_supervisor::Health::Well => Health::Healthy,
                nixbox_supervisor::Health::Unwell => Health::Unhealthy,
            }),
            starts: member.starts,
            restarts: member.restarts,
            exit_code: member.last.as_ref().and_then(|ended| ended.status.code()),
            signal: member.last.as_ref().and_then(|ended| ended.status.signal()),
            why: None,
            last_lines: Vec::new(),
            wait_ms: None,
            killed,
            by_hand: member.by_hand,
            paused: member.is_paused,
            start_time: process.map(|process| process.start_time),
        };
        let last = || member.last.as_ref().map(|ended| ended.last.clone()).unwrap_or_default();
        status.state = match &member.phase {
            Phase::Idle => State::Idle,
            Phase::Waiting => State::Waiting,
            Phase::Starting { .. } => State::Starting,
            Phase::Ready { since, ready } => {
                status.ready_after_ms = Some(millis(ready.saturating_duration_since(*since)));
                State::Ready
            }
            Phase::Stopping { .. } => State::Stopping,
            Phase::BackingOff { until, why } => {
                status.wait_ms = Some(millis(until.saturating_duration_since(Instant::now())));
                status.why = Some(why.to_string());
                status.last_lines = last();
                State::BackingOff
            }
            Phase::Stopped => State::Stopped,
            Phase::Completed => State::Completed,
            Phase::Failed(why) => {
                status.why = Some(why.to_string());
                status.last_lines = last();
                State::Failed
            }
        };
        match &member.anew {
            Some(Anew::Starts(why)) => status.why = Some(why.clone()),
            Some(Anew::Rests(how)) if member.is_active() && !matches!(status.state, State::Stopping) => {
                (status.state, status.why) = (State::Resting, Some(how.clone()));
            }
            _ => {}
        }
        status
    }

    /// But for what is counted back from the present moment, which is never twice the same.
    pub fn says_the_same_as(&self, other: &Self) -> bool {
        Self { since: other.since, wait_ms: other.wait_ms, ..self.clone() } == *other
    }

    /// The same process, ready before and after.
    pub fn differs_in_health(&self, other: &Self) -> bool {
        let is_same = (self.state, self.pid, self.starts) == (other.state, other.pid, other.starts);
        is_same && self.health != other.health
    }

    pub fn process(&self) -> Option<Process> {
        Some(Process { pid: self.pid?, start_time: self.start_time? })
    }
}
