#![allow(clippy::unwrap_used)]
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use super::*;
use crate::restart::Restart;
use crate::spec::Spec;
use crate::unit::{Condition, Health as Check, Need};

const GRACE: Duration = Duration::from_secs(10);

fn unit(name: &str, needs: &[(&str, Condition, bool)]) -> Unit {
    let need = |&(unit, condition, bound): &(&str, _, _)| Need { unit: unit.into(), condition, bound };
    Unit {
        name: name.into(),
        spec: Spec::new(name),
        needs: needs.iter().map(need).collect(),
        ready: Readiness::Notified,
        restart: Restart::default(),
        health: None,
        grace: GRACE,
        log: None,
        apart: false,
        group: None,
        version: String::new(),
    }
}

/// Children that do what the test says, at times that the test says.
struct Stage {
    roster: Roster,
    now: Instant,
}

impl Stage {
    fn new(units: Vec<Unit>) -> Self {
        let names: Vec<_> = units.iter().map(|unit| unit.name.clone()).collect();
        let mut roster = Roster::default();
        roster.take(units, true).unwrap();
        roster.want(&names, false).unwrap();
        Self { roster, now: Instant::now() }
    }

    /// What is ordered now; what is started has a process at once.
    fn orders(&mut self) -> Vec<String> {
        let mut told = Vec::new();
        loop {
            let orders = self.roster.settle(self.now);
            if orders.is_empty() {
                return told;
            }
            for order in orders {
                let (word, at) = match order {
                    Order::Start(at) => ("+", at),
                    Order::Stop(at, _) => ("-", at),
                };
                told.push(format!("{word}{}", self.roster.at(at).unit.name));
                if word == "+" {
                    self.roster.started(at, self.now);
                }
            }
        }
    }

    fn ready(&mut self, name: &str) {
        let at = self.roster.find(name).unwrap();
        assert!(self.roster.ready(at, self.now), "{name}");
    }

    fn ends(&mut self, name: &str, code: i32) {
        let at = self.roster.find(name).unwrap();
        let ended = Ended { status: ExitStatus::from_raw(code << 8), asked: false, last: Vec::new() };
        self.roster.ended(at, ended, self.now);
    }

    fn phase(&self, name: &str) -> &Phase {
        &self.roster.at(self.roster.find(name).unwrap()).phase
    }

    fn leave(&mut self, names: &[&str]) {
        self.roster.leave(&names.iter().map(|&name| name.into()).collect::<Vec<_>>(), None).unwrap();
    }
}

#[test]
fn units_start_together_when_what_they_need_is_there_and_stop_in_reverse() {
    use Condition::*;
    let units =
        vec![unit("web", &[("db", Ready, false), ("seed", Completed, false)]), unit("db", &[]), unit("seed", &[])];
    let mut stage = Stage::new(units);
    assert_eq!(stage.orders(), ["+db", "+seed"]);
    stage.ends("seed", 0);
    assert_eq!(stage.orders(), [""; 0]);
    stage.ready("db");
    assert_eq!(stage.orders(), ["+web"]);
    stage.leave(&["db", "web", "seed"]);
    assert_eq!(stage.orders(), ["-web"]);
    stage.ends("web", 0);
    assert_eq!(stage.orders(), ["-db"]);
    stage.ends("db", 0);
    assert_eq!((stage.phase("db"), stage.phase("seed")), (&Phase::Stopped, &Phase::Completed));
}

#[test]
fn what_waits_for_one_that_fails_is_told_so() {
    let mut stage = Stage::new(vec![unit("a", &[]), unit("b", &[("a", Condition::Completed, false)])]);
    stage.roster.members[0].unit.restart.on = On::Never;
    stage.orders();
    stage.ends("a", 3);
    stage.orders();
    assert_eq!(stage.phase("b"), &Phase::Failed(Why::Needs("a".into())));
}

#[test]
fn a_crash_loop_is_bounded_and_says_what_it_saw_last() {
    let mut stage = Stage::new(vec![unit("a", &[])]);
    let (mut starts, begun) = (0, stage.now);
    while !matches!(stage.phase("a"), Phase::Failed(_)) {
        starts += stage.orders().len();
        stage.ends("a", 9);
        stage.now = stage.roster.next_at().unwrap_or(stage.now);
    }
    assert!(stage.now - begun < Duration::from_secs(60));
    assert_eq!(starts, 6);
    let Phase::Failed(why) = stage.phase("a") else { unreachable!() };
    assert_eq!(why.to_string(), "it ended with exit code 9, and so did each of 5 restarts");
}

#[test]
fn what_lives_in_another_goes_and_comes_with_it() {
    let mut stage = Stage::new(vec![unit("box", &[]), unit("job", &[("box", Condition::Ready, true)])]);
    stage.orders();
    stage.ready("box");
    assert_eq!(stage.orders(), ["+job"]);
    // Its ground is gone: it is stopped, and waits.
    stage.ends("box", 1);
    assert_eq!(stage.orders(), ["-job"]);
    stage.ends("job", 143);
    stage.now = stage.roster.next_at().unwrap();
    assert_eq!(stage.orders(), ["+box"]);
    stage.ready("box");
    assert_eq!(stage.orders(), ["+job"]);
    // By hand, the one takes the other with it, first.
    stage.leave(&["box"]);
    assert_eq!(stage.orders(), ["-job"]);
    stage.ends("job", 0);
    assert_eq!(stage.orders(), ["-box"]);
    stage.ends("box", 0);
    assert_eq!(stage.orders(), [""; 0]);
    // And restarted by hand, each runs again.
    stage.roster.want(&["job".into()], true).unwrap();
    assert_eq!(stage.orders(), ["+box"]);
    stage.ready("box");
    stage.orders();
    stage.roster.again(&["box".into()], None).unwrap();
    assert_eq!(stage.orders(), ["-job"]);
    stage.ends("job", 0);
    assert_eq!(stage.orders(), ["-box"]);
    stage.ends("box", 0);
    assert_eq!(stage.orders(), ["+box"]);
}

#[test]
fn an_unwell_one_is_stopped_and_started_by_its_policy() {
    let mut one = unit("a", &[]);
    one.ready = Readiness::Started;
    let second = Duration::from_secs(1);
    one.health =
        Some(Check { probe: Spec::new("p"), interval: second, timeout: second, retries: 2, start_period: second * 5 });
    let mut stage = Stage::new(vec![one]);
    stage.orders();
    assert!(matches!(stage.phase("a"), Phase::Starting { .. }), "not ready before it is well");
    for _ in 0..9 {
        stage.roster.examined(0, false, stage.now);
    }
    assert_eq!(stage.orders(), [""; 0], "it still starts");
    stage.roster.examined(0, true, stage.now);
    assert!(matches!(stage.phase("a"), Phase::Ready { .. }));
    stage.roster.examined(0, false, stage.now);
    assert_eq!(stage.orders(), [""; 0], "once is no illness");
    stage.roster.examined(0, false, stage.now);
    assert_eq!(stage.orders(), ["-a"]);
    stage.ends("a", 0);
    assert!(matches!(stage.phase("a"), Phase::BackingOff { why: Why::Unwell, .. }), "{:?}", stage.phase("a"));
}

#[test]
fn a_new_plan_touches_only_what_it_changes() {
    let mut stage = Stage::new(vec![unit("a", &[]), unit("b", &[]), unit("c", &[])]);
    stage.orders();
    let mut changed = unit("b", &[]);
    changed.spec = changed.spec.args(["more"]);
    let taken = stage.roster.take(vec![unit("a", &[]), changed, unit("d", &[])], true).unwrap();
    assert_eq!((taken.added, taken.changed, taken.removed), (vec!["d".into()], vec!["b".into()], vec!["c".into()]));
    stage.roster.want(&["a".into(), "b".into(), "d".into()], false).unwrap();
    assert_eq!(stage.orders(), ["-b", "-c", "+d"]);
    stage.ends("b", 0);
    stage.ends("c", 0);
    assert_eq!(stage.orders(), ["+b"]);
    assert_eq!(stage.roster.find("c"), Err(PlanError::Unknown("c".into())));
}

#[test]
fn a_plan_that_cannot_be_is_refused_whole() {
    let mut roster = Roster::default();
    let missing = roster.take(vec![unit("a", &[("x", Condition::Ready, false)])], true);
    assert_eq!(missing, Err(PlanError::Missing { unit: "a".into(), needs: "x".into() }));
    let circle = roster
        .take(vec![unit("a", &[("b", Condition::Ready, false)]), unit("b", &[("a", Condition::Started, false)])], true);
    assert_eq!(circle, Err(PlanError::Circle(vec!["a".into(), "b".into()])));
    assert_eq!(roster.members().count(), 0);
}

#[test]
fn what_was_stopped_by_hand_stays_so_where_it_is_told_to() {
    let mut stay = unit("stay", &[]);
    stay.restart.on = On::UnlessStopped;
    let mut stage = Stage::new(vec![stay, unit("come", &[])]);
    stage.orders();
    stage.leave(&["stay", "come"]);
    stage.orders();
    stage.ends("stay", 0);
    stage.ends("come", 0);
    let both = ["stay".to_owned(), "come".to_owned()];
    stage.roster.want(&both, false).unwrap();
    assert_eq!(stage.orders(), ["+come"]);
    stage.roster.want(&both, true).unwrap();
    assert_eq!(stage.orders(), ["+stay"]);
}

/// What it runs is started anew again and again, which is no crash loop, and no dependency lost.
#[test]
fn what_starts_anew_by_itself_has_not_ended() {
    let mut stage = Stage::new(vec![
        Unit { ready: Readiness::Started, ..unit("a", &[]) },
        Unit { ready: Readiness::Started, ..unit("b", &[("a", Condition::Ready, false)]) },
    ]);
    assert_eq!(stage.orders(), ["+a", "+b"]);
    for _ in 0..20 {
        assert!(stage.roster.anew(0, "x changed".into(), stage.now));
        assert!(matches!(stage.roster.at(0).phase, Phase::Starting { .. }));
        assert!(stage.roster.said_ready(0, stage.now));
        assert_eq!(stage.roster.at(0).anew, None);
        assert_eq!(stage.orders(), [""; 0]);
    }
    assert!(stage.roster.rests(0, "it ended".into()) && stage.roster.at(0).is_idle());
    assert_eq!((stage.roster.at(0).starts, stage.roster.at(0).restarts), (1, 0));
    // Who waits for its end has nothing to wait for before its process ends.
    assert!(stage.roster.at(0).is_busy());
    stage.roster.leave(&["a".into()], None).unwrap();
    assert_eq!(stage.orders(), ["-a"]);
    assert!(!stage.roster.anew(0, "y changed".into(), stage.now), "it is to stop");
}

/// Two live in one that is restarted, and the first of them has stopped before the other.
#[test]
fn nothing_starts_in_what_is_about_to_stop() {
    let bound = &[("box", Condition::Ready, true)];
    let units = vec![unit("box", &[]), unit("a", bound), unit("b", bound)];
    let mut stage = Stage::new(units);
    assert_eq!(stage.orders(), ["+box"]);
    stage.ready("box");
    assert_eq!(stage.orders(), ["+a", "+b"]);
    stage.roster.again(&["box".into()], None).unwrap();
    assert_eq!(stage.orders(), ["-a", "-b"]);
    stage.ends("b", 0);
    assert_eq!(stage.orders(), [""; 0]);
    stage.ends("a", 0);
    assert_eq!(stage.orders(), ["-box"]);
    stage.ends("box", 0);
    assert_eq!(stage.orders(), ["+box"]);
    stage.ready("box");
    assert_eq!(stage.orders(), ["+a", "+b"]);
}

#[test]
fn what_is_in_no_plan_is_left_by_one_that_says_all() {
    let mut stage = Stage::new(vec![unit("planned", &[])]);
    stage.roster.take(vec![Unit { apart: true, ..unit("one-off", &[]) }], false).unwrap();
    stage.roster.want(&["one-off".into()], true).unwrap();
    assert_eq!(stage.orders(), ["+planned", "+one-off"]);
    let taken = stage.roster.take(vec![unit("other", &[])], true).unwrap();
    assert_eq!((taken.removed, taken.added), (vec!["planned".to_owned()], vec!["other".to_owned()]));
}
