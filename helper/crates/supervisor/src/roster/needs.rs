//! What has to be there before a unit may start.

use super::PlanError;
use super::member::{Member, Phase};
use crate::unit::{Condition, Unit};

pub(super) enum Verge {
    Open,
    Waits,
    /// What that one would have to be, it will not become.
    Never(String),
}

pub(super) fn verge(members: &[Member], at: usize) -> Verge {
    let mut verge = Verge::Open;
    for need in &members[at].unit.needs {
        let Some(other) = members.iter().find(|member| member.unit.name == need.unit) else {
            return Verge::Never(need.unit.clone());
        };
        let there = match (&other.phase, need.condition) {
            (Phase::Completed, _) if need.bound => None,
            (Phase::Completed, Condition::Ready) => other.was_ready().then_some(true),
            (Phase::Completed, _) => Some(true),
            // It is to stop as soon as nobody leans on it any more: whoever began now would lose it at once.
            (Phase::Starting { .. } | Phase::Ready { .. }, _) if other.is_leaving => Some(false),
            (Phase::Ready { .. }, Condition::Started | Condition::Ready) => Some(true),
            // An order to start it may be out already; it has started when it has a process.
            (Phase::Starting { .. }, Condition::Started) => Some(other.has_process),
            (Phase::Idle | Phase::Stopped | Phase::Failed(_), _) => None,
            _ => Some(false),
        };
        match there {
            None => return Verge::Never(need.unit.clone()),
            Some(false) => verge = Verge::Waits,
            Some(true) => {}
        }
    }
    verge
}

/// Each need is there, and none goes round.
pub(super) fn check(units: &[&Unit]) -> Result<(), PlanError> {
    let find = |name: &str| units.iter().position(|unit| unit.name == name);
    for unit in units {
        if let Some(need) = unit.needs.iter().find(|need| find(&need.unit).is_none()) {
            return Err(PlanError::Missing { unit: unit.name.clone(), needs: need.unit.clone() });
        }
    }
    let mut done = vec![false; units.len()];
    for at in 0..units.len() {
        if let Some(circle) = circle(units, at, &mut Vec::new(), &mut done) {
            return Err(PlanError::Circle(circle));
        }
    }
    Ok(())
}

fn circle(units: &[&Unit], at: usize, above: &mut Vec<usize>, done: &mut [bool]) -> Option<Vec<String>> {
    if done[at] {
        return None;
    }
    if let Some(from) = above.iter().position(|&one| one == at) {
        return Some(above[from..].iter().map(|&one| units[one].name.clone()).collect());
    }
    above.push(at);
    for need in &units[at].needs {
        let next = units.iter().position(|unit| unit.name == need.unit)?;
        let found = circle(units, next, above, done);
        if found.is_some() {
            return found;
        }
    }
    above.pop();
    done[at] = true;
    None
}
