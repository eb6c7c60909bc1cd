//! Health checks: commands that are run now and then beside a unit.

use std::collections::HashMap;
use std::io;
use std::time::{Duration, Instant};

use crate::event::Id;
use crate::roster::{Member, Roster};
use crate::spec::Sink;
use crate::supervisor::Supervisor;

#[derive(Debug, Default)]
pub(super) struct Checks(HashMap<usize, Check>);

#[derive(Debug)]
struct Check {
    id: Option<Id>,
    state: State,
    interval: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Rests {
        until: Instant,
    },
    Runs {
        until: Instant,
    },
    /// It took too long and was killed, with all that it had started.
    Overran,
    /// The unit has ended meanwhile.
    Forgotten,
}

impl Checks {
    /// The unit has been started.
    pub(super) fn add(&mut self, at: usize, member: &Member, now: Instant) {
        let Some(health) = &member.unit.health else {
            self.0.remove(&at);
            return;
        };
        let id = self.0.get(&at).and_then(|check| check.id);
        // The first one soon: whoever waits for it should not wait for a whole interval.
        let until = now + health.interval.min(Duration::from_millis(100));
        self.0.insert(at, Check { id, state: State::Rests { until }, interval: health.interval });
    }

    pub(super) fn forget(&mut self, at: usize, supervisor: &mut Supervisor) {
        let Some(check) = self.0.get_mut(&at) else { return };
        if let (State::Runs { .. }, Some(id)) = (check.state, check.id) {
            let _ = supervisor.kill(id);
        }
        check.state = State::Forgotten;
    }

    pub(super) fn next_at(&self) -> Option<Instant> {
        let until = |check: &Check| match check.state {
            State::Rests { until } | State::Runs { until } => Some(until),
            State::Overran | State::Forgotten => None,
        };
        self.0.values().filter_map(until).min()
    }

    /// Answers whose probe could not be started, which is no sign of health.
    pub(super) fn begin_due(&mut self, roster: &Roster, supervisor: &mut Supervisor) -> io::Result<Vec<usize>> {
        let now = Instant::now();
        let mut failed = Vec::new();
        for (&at, check) in &mut self.0 {
            match (check.state, &roster.at(at).unit.health) {
                // What stands still cannot be well, and is not meant to.
                (State::Rests { until }, Some(health)) if until <= now && roster.at(at).is_idle() => {
                    check.state = State::Rests { until: now + health.interval };
                }
                (State::Rests { until }, Some(health)) if until <= now => {
                    let spec = health.probe.clone().output(Sink::Null);
                    // One that is still being killed has its place until it is gone.
                    let is_free = check.id.and_then(|id| supervisor.child(id)).is_none_or(|child| child.can_start());
                    let begun = match check.id.filter(|_| is_free) {
                        Some(id) => supervisor.replace(id, spec).map(|()| id),
                        None => supervisor.start(spec),
                    };
                    check.state = match begun {
                        Ok(id) => {
                            check.id = Some(id);
                            State::Runs { until: now + health.timeout }
                        }
                        Err(_) => {
                            failed.push(at);
                            State::Rests { until: now + check.interval }
                        }
                    };
                }
                (State::Runs { until }, _) if until <= now => {
                    check.state = State::Overran;
                    if let Some(id) = check.id {
                        supervisor.kill(id)?;
                    }
                }
                _ => {}
            }
        }
        Ok(failed)
    }

    /// Which unit it was about, and whether that is well.
    pub(super) fn ended(&mut self, child: Id, success: bool, now: Instant) -> Option<(usize, bool)> {
        let (&at, check) = self.0.iter_mut().find(|(_, check)| check.id == Some(child))?;
        let found = match check.state {
            State::Runs { .. } => success,
            State::Overran => false,
            State::Rests { .. } | State::Forgotten => return None,
        };
        check.state = State::Rests { until: now + check.interval };
        Some((at, found))
    }
}
