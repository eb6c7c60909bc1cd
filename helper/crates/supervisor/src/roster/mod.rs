//! What each unit is at and what is to be done next. Starts nothing itself and asks no clock: whoever has the
//! children says what happened, and gets orders.

mod member;
mod needs;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::time::{Duration, Instant};

use crate::child::Ended;
use crate::restart::{On, Verdict};
use crate::unit::{Readiness, Unit};

pub use member::{Anew, Health, Member, Phase, Why};
use needs::Verge;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Start(usize),
    Stop(usize, Duration),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    #[error("`{unit}` depends on `{needs}`, which is not there")]
    Missing { unit: String, needs: String },
    #[error("{} depend on each other in a circle", .0.join(", "))]
    Circle(Vec<String>),
    #[error("nothing is called `{0}`")]
    Unknown(String),
}

/// What became of the units when a plan was taken over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    pub added: Vec<String>,
    pub changed: Vec<String>,
    pub removed: Vec<String>,
}

#[derive(Debug, Default)]
pub struct Roster {
    members: Vec<Member>,
}

impl Roster {
    /// Those that a plan has, and those that still run.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.is_there())
    }

    /// Also those that are gone: each keeps its place.
    pub(crate) fn count(&self) -> usize {
        self.members.len()
    }

    /// True where that is new.
    pub(crate) fn pause(&mut self, at: usize, is_paused: bool) -> bool {
        let member = &mut self.members[at];
        let changes = member.is_active() && member.is_paused != is_paused;
        member.is_paused = is_paused && member.is_active();
        changes
    }

    pub(crate) fn at(&self, at: usize) -> &Member {
        &self.members[at]
    }

    pub fn find(&self, name: &str) -> Result<usize, PlanError> {
        let at = self.members.iter().position(|member| member.unit.name == name && member.is_there());
        at.ok_or_else(|| PlanError::Unknown(name.to_owned()))
    }

    /// Adds units, or puts them in the place of those of the same name: where these run and are not the same, they run
    /// again. `whole`: what is not among them goes.
    pub(crate) fn take(&mut self, units: Vec<Unit>, whole: bool) -> Result<Taken, PlanError> {
        let known = |name: &str| units.iter().any(|unit| unit.name == name);
        let mut all: Vec<&Unit> = units.iter().collect();
        all.extend(self.members().map(|member| &member.unit).filter(|unit| !whole && !known(&unit.name)));
        needs::check(&all)?;
        let mut taken = Taken::default();
        if whole {
            for member in self.members.iter_mut().filter(|member| member.is_there()) {
                if !known(&member.unit.name) && !member.unit.apart {
                    taken.removed.push(member.unit.name.clone());
                    member.leave(None);
                    member.goes = true;
                }
            }
        }
        for unit in units {
            let Some(member) = self.members.iter_mut().find(|member| member.unit.name == unit.name) else {
                taken.added.push(unit.name.clone());
                self.members.push(Member::new(unit));
                continue;
            };
            let was_gone = std::mem::replace(&mut member.goes, false);
            if member.unit != unit {
                match was_gone {
                    true => taken.added.push(unit.name.clone()),
                    false => taken.changed.push(unit.name.clone()),
                }
                member.unit = unit;
                member.more.clear();
                member.history = Default::default();
                if member.is_active() {
                    member.again();
                }
            }
        }
        Ok(taken)
    }

    pub(crate) fn with(&mut self, at: usize, words: Vec<OsString>) {
        self.members[at].more.extend(words);
    }

    /// They are to run, and with them what they need. `named`: somebody asked for these very ones, so they run also
    /// where they have ended well or were stopped by hand.
    pub(crate) fn want(&mut self, names: &[String], named: bool) -> Result<(), PlanError> {
        let mut next = names.iter().map(|name| self.find(name)).collect::<Result<Vec<_>, _>>()?;
        let asked = next.clone();
        let mut seen = Vec::new();
        while let Some(at) = next.pop() {
            if seen.contains(&at) {
                continue;
            }
            seen.push(at);
            let member = &mut self.members[at];
            let stays = match member.phase {
                // Who says when it is ready is there to stay; all others have done what they had to do.
                Phase::Completed => member.unit.ready == Readiness::Started && !(named && asked.contains(&at)),
                Phase::Stopped => {
                    member.unit.restart.on == On::UnlessStopped && !(named && asked.contains(&at)) && member.by_hand
                }
                _ => false,
            };
            if stays {
                continue;
            }
            member.want();
            for need in self.members[at].unit.needs.clone() {
                next.push(self.find(&need.unit)?);
            }
        }
        Ok(())
    }

    /// They are to stop, and before them what lives in them. Without a time each has its own.
    pub(crate) fn leave(&mut self, names: &[String], grace: Option<Duration>) -> Result<Vec<String>, PlanError> {
        let all = self.with_bound(names)?;
        let mut left = Vec::new();
        for at in all {
            if self.members[at].leave(grace) {
                left.push(self.members[at].unit.name.clone());
            }
        }
        Ok(left)
    }

    /// They are to stop and to run again, and with them what lives in them and runs.
    pub(crate) fn again(&mut self, names: &[String], grace: Option<Duration>) -> Result<(), PlanError> {
        for at in self.with_bound(names)? {
            let member = &mut self.members[at];
            member.grace = grace;
            if member.is_active() {
                member.again();
            } else if names.contains(&member.unit.name) {
                member.want();
            }
        }
        Ok(())
    }

    fn with_bound(&self, names: &[String]) -> Result<Vec<usize>, PlanError> {
        let mut found = names.iter().map(|name| self.find(name)).collect::<Result<Vec<_>, _>>()?;
        let mut next = 0;
        while next < found.len() {
            let name = self.members[found[next]].unit.name.clone();
            let bound = self.members.iter().enumerate().filter(|(_, other)| other.is_bound_to(&name));
            let new: Vec<_> = bound.map(|(at, _)| at).filter(|at| !found.contains(at)).collect();
            found.extend(new);
            next += 1;
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    pub(crate) fn started(&mut self, at: usize, now: Instant) {
        let member = &mut self.members[at];
        member.starts += 1;
        member.health = member.unit.health.as_ref().map(|_| Health::Unknown);
        member.failures = 0;
        member.was_ready = false;
        member.has_process = true;
        member.anew = None;
        member.phase = Phase::Starting { since: now };
        if member.unit.ready == Readiness::Started && member.unit.health.is_none() {
            self.ready(at, now);
        }
    }

    /// True where it was not before.
    pub(crate) fn ready(&mut self, at: usize, now: Instant) -> bool {
        let member = &mut self.members[at];
        let Phase::Starting { since } = member.phase else { return false };
        member.phase = Phase::Ready { since, ready: now };
        member.was_ready = true;
        member.anew = None;
        true
    }

    /// It said so itself, which is believed of who has no check that says it.
    pub(crate) fn said_ready(&mut self, at: usize, now: Instant) -> bool {
        let unit = &self.members[at].unit;
        (unit.ready == Readiness::Notified || unit.health.is_none()) && self.ready(at, now)
    }

    /// It has started anew what it runs. That is no end, and so counts as none.
    pub(crate) fn anew(&mut self, at: usize, why: String, now: Instant) -> bool {
        let member = &mut self.members[at];
        if !matches!(member.phase, Phase::Starting { .. } | Phase::Ready { .. }) {
            return false;
        }
        member.health = member.unit.health.as_ref().map(|_| Health::Unknown);
        member.failures = 0;
        member.anew = Some(Anew::Starts(why));
        member.phase = Phase::Starting { since: now };
        true
    }

    /// What it runs has ended, and it waits for a reason to start that anew.
    pub(crate) fn rests(&mut self, at: usize, how: String) -> bool {
        let member = &mut self.members[at];
        let is_there = matches!(member.phase, Phase::Starting { .. } | Phase::Ready { .. });
        if is_there {
            member.health = member.unit.health.as_ref().map(|_| Health::Unknown);
            member.failures = 0;
            member.anew = Some(Anew::Rests(how));
        }
        is_there
    }

    /// A start that came to nothing: as if it had ended at once.
    pub(crate) fn could_not_start(&mut self, at: usize, why: String, now: Instant) {
        let member = &mut self.members[at];
        let verdict = member.unit.restart.after(None, Duration::ZERO, &mut member.history, now);
        self.follow(at, verdict, Why::NotStarted(why));
    }

    pub(crate) fn ended(&mut self, at: usize, ended: Ended, now: Instant) {
        let member = &mut self.members[at];
        let since = member.since().unwrap_or(now);
        let code = if member.is_unwell { None } else { ended.status.code() };
        let is_unwell = std::mem::take(&mut member.is_unwell);
        let stopping = matches!(member.phase, Phase::Stopping { .. });
        member.is_paused = false;
        member.anew = None;
        member.last = Some(ended.clone());
        member.has_process = false;
        if stopping && !is_unwell {
            let again = std::mem::take(&mut member.again) && member.is_wanted;
            member.phase = if again { Phase::Waiting } else { Phase::Stopped };
        } else {
            let ran = now.saturating_duration_since(since);
            let verdict = member.unit.restart.after(code, ran, &mut member.history, now);
            match (verdict, code) {
                (Verdict::Rest, Some(0)) => {
                    member.phase = Phase::Completed;
                    member.is_wanted = false;
                }
                (verdict, _) if is_unwell => self.follow(at, verdict, Why::Unwell),
                (verdict, _) => self.follow(at, verdict, Why::Ended(ended)),
            }
        }
        self.loosen(at);
    }

    fn follow(&mut self, at: usize, verdict: Verdict, why: Why) {
        let member = &mut self.members[at];
        match verdict {
            Verdict::Again { at: until } => {
                member.restarts += 1;
                member.phase = Phase::BackingOff { until, why };
            }
            Verdict::GiveUp { restarts } => {
                member.is_wanted = false;
                member.phase = Phase::Failed(Why::CrashLoop { restarts, last: Box::new(why) });
            }
            Verdict::Rest => {
                member.is_wanted = false;
                member.phase = Phase::Failed(why);
            }
        }
    }

    /// What lives in one that is gone has lost the ground under its feet.
    fn loosen(&mut self, gone: usize) {
        let name = self.members[gone].unit.name.clone();
        for member in &mut self.members {
            if member.is_bound_to(&name) && member.is_active() {
                member.again();
            }
        }
    }

    /// What a health check found.
    pub(crate) fn examined(&mut self, at: usize, well: bool, now: Instant) {
        let member = &mut self.members[at];
        let (Some(health), Some(since)) = (member.unit.health.clone(), member.since()) else { return };
        if well {
            member.failures = 0;
            member.health = Some(Health::Well);
            if member.unit.ready == Readiness::Started {
                self.ready(at, now);
            }
            return;
        }
        let is_new = member.health == Some(Health::Unknown);
        if is_new && now.saturating_duration_since(since) < health.start_period {
            return;
        }
        member.failures += 1;
        if member.failures >= health.retries {
            member.health = Some(Health::Unwell);
            if member.unit.restart.on != On::Never && !matches!(member.phase, Phase::Stopping { .. }) {
                member.is_unwell = true;
                member.is_leaving = true;
            }
        }
    }

    /// What is to be done now.
    pub(crate) fn settle(&mut self, now: Instant) -> Vec<Order> {
        let mut orders = Vec::new();
        loop {
            let before = orders.len();
            let mut moved = false;
            for at in 0..self.members.len() {
                moved |= self.advance(at, now, &mut orders);
            }
            if !moved && orders.len() == before {
                return orders;
            }
        }
    }

    /// When there will be something to do though nothing happens.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        let until = |member: &Member| match member.phase {
            Phase::BackingOff { until, .. } => Some(until),
            _ => None,
        };
        self.members.iter().filter_map(until).min()
    }

    fn advance(&mut self, at: usize, now: Instant, orders: &mut Vec<Order>) -> bool {
        let member = &self.members[at];
        if member.is_leaving {
            return match member.phase {
                Phase::Starting { .. } | Phase::Ready { .. } if !self.is_held(at) => {
                    let member = &mut self.members[at];
                    member.is_leaving = false;
                    let since = member.since().unwrap_or(now);
                    member.phase = Phase::Stopping { since };
                    orders.push(Order::Stop(at, member.grace.take().unwrap_or(member.unit.grace)));
                    true
                }
                Phase::Starting { .. } | Phase::Ready { .. } => false,
                _ => std::mem::replace(&mut self.members[at].is_leaving, false),
            };
        }
        match &member.phase {
            Phase::BackingOff { until, .. } if *until <= now => {
                self.members[at].phase = Phase::Waiting;
                true
            }
            Phase::Waiting => match needs::verge(&self.members, at) {
                Verge::Open => {
                    // Told to start, it counts as starting: nothing else may start it again.
                    self.members[at].phase = Phase::Starting { since: now };
                    orders.push(Order::Start(at));
                    true
                }
                Verge::Waits => false,
                Verge::Never(need) => {
                    let member = &mut self.members[at];
                    member.is_wanted = false;
                    member.phase = Phase::Failed(Why::Needs(need));
                    true
                }
            },
            _ => false,
        }
    }

    /// Something that depends on it and is to stop as well has not yet.
    fn is_held(&self, at: usize) -> bool {
        let name = &self.members[at].unit.name;
        let leans = |other: &Member| other.unit.needs.iter().any(|need| need.unit == *name);
        self.members.iter().any(|other| {
            leans(other) && other.is_active() && (other.is_leaving || matches!(other.phase, Phase::Stopping { .. }))
        })
    }
}
