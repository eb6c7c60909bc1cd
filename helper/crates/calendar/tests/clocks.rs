//! What is run by a clock that goes on, stands still, and is set.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use nixbox_calendar::{Calendar, Look, look};

const PATIENCE: Duration = Duration::from_secs(60);

/// Somebody who keeps one schedule, by a clock that the test sets.
struct Keeper {
    calendar: Calendar,
    catch_up: bool,
    seen: Timestamp,
    now: Timestamp,
    ran: Vec<String>,
    missed: Vec<String>,
}

impl Keeper {
    fn new(cron: &str, catch_up: bool, begin: &str) -> Self {
        let (calendar, now) = (Calendar::cron(cron, TimeZone::UTC).unwrap(), begin.parse().unwrap());
        Self { calendar, catch_up, seen: now, now, ran: Vec::new(), missed: Vec::new() }
    }

    fn look(&mut self) -> Look {
        let found = look(&self.calendar, self.seen, self.now, PATIENCE, self.catch_up);
        self.seen = found.seen;
        self.ran.extend(found.run.map(|due| due.nominal.to_string()));
        self.missed.extend(found.missed.map(|due| due.nominal.to_string()));
        found
    }

    /// As time passes: it wakes when it has said that it will, and never else.
    fn pass(&mut self, time: SignedDuration) -> usize {
        let (until, mut wakes) = (self.now + time, 0);
        while let Some(next) = self.look().next.filter(|next| *next <= until) {
            assert!(next > self.now, "it would not sleep at all");
            self.now = next;
            wakes += 1;
        }
        self.now = until;
        wakes
    }

    /// The clock shows something else from one moment to the next: it was set, or the machine has slept.
    fn set(&mut self, to: &str) {
        self.now = to.parse().unwrap();
        self.look();
    }

    fn ran(&mut self) -> Vec<String> {
        std::mem::take(&mut self.ran)
    }
}

const HOUR: SignedDuration = SignedDuration::from_hours(1);

#[test]
fn it_wakes_for_each_time_and_never_between() {
    let mut daily = Keeper::new("0 3 * * *", false, "2026-11-21T00:00:00Z");
    assert_eq!(daily.pass(HOUR * 24 * 30), 30);
    assert_eq!(daily.ran.len(), 30);
    let mut often = Keeper::new("*/10 * * * * *", false, "2026-11-21T00:00:00Z");
    assert_eq!((often.pass(HOUR), often.ran.len()), (360, 360));
}

#[test]
fn what_was_slept_through_is_once_or_not_at_all() {
    let mut all = [true, false].map(|catch_up| Keeper::new("0 3 * * *", catch_up, "2026-11-21T00:00:00Z"));
    for keeper in &mut all {
        keeper.pass(HOUR * 5);
        keeper.set("2026-11-25T12:00:00Z");
        keeper.pass(HOUR * 24);
    }
    let [caught_up, not] = &mut all;
    assert_eq!(caught_up.ran(), ["2026-11-21T03:00:00Z", "2026-11-25T03:00:00Z", "2026-11-26T03:00:00Z"]);
    assert_eq!(not.ran(), ["2026-11-21T03:00:00Z", "2026-11-26T03:00:00Z"]);
    assert_eq!(not.missed, ["2026-11-25T03:00:00Z"]);
    // A little late is not late.
    not.set("2026-11-27T03:00:59Z");
    assert_eq!(not.ran(), ["2026-11-27T03:00:00Z"]);
}

#[test]
fn a_clock_that_is_put_right_does_not_run_a_time_of_day_twice() {
    let mut daily = Keeper::new("0 3 * * *", true, "2026-11-21T02:00:00Z");
    daily.pass(HOUR * 2);
    daily.set("2026-11-21T02:30:00Z");
    daily.pass(HOUR * 25);
    assert_eq!(daily.ran(), ["2026-11-21T03:00:00Z", "2026-11-22T03:00:00Z"]);
    // Every so often goes on at once.
    let mut often = Keeper::new("*/15 * * * *", false, "2026-11-21T04:50:00Z");
    often.pass(SignedDuration::from_mins(11));
    often.set("2026-11-21T03:05:00Z");
    often.pass(SignedDuration::from_mins(11));
    assert_eq!(often.ran(), ["2026-11-21T05:00:00Z", "2026-11-21T03:15:00Z"]);
}

#[test]
fn a_clock_that_was_wrong_by_hours_or_years_does_not_hold_it_up() {
    let mut daily = Keeper::new("0 3 * * *", false, "2026-11-21T02:00:00Z");
    daily.set("2099-01-01T03:00:10Z");
    assert_eq!(daily.ran(), ["2099-01-01T03:00:00Z"]);
    daily.set("2026-11-21T02:10:00Z");
    daily.pass(HOUR);
    assert_eq!(daily.ran(), ["2026-11-21T03:00:00Z"]);
    // Five hours back: it is the same time of another day, as far as anybody knows.
    daily.set("2026-11-20T22:10:00Z");
    daily.pass(HOUR * 5);
    assert_eq!(daily.ran(), ["2026-11-21T03:00:00Z"]);
}

#[test]
fn many_that_have_come_are_found_in_no_time() {
    let mut often = Keeper::new("* * * * * *", true, "2016-11-21T00:00:00Z");
    let began = std::time::Instant::now();
    often.set("2026-11-21T00:00:00Z");
    assert_eq!(often.ran(), ["2026-11-21T00:00:00Z"]);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn once_is_once() {
    let calendar = Calendar::at("2026-11-21T06:45:00Z").unwrap();
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let before = look(&calendar, at("2026-11-01T00:00:00Z"), at("2026-11-20T00:00:00Z"), PATIENCE, false);
    assert_eq!((before.run, before.next), (None, Some(at("2026-11-21T06:45:00Z"))));
    let then = look(&calendar, before.seen, at("2026-11-21T06:45:00Z"), PATIENCE, false);
    assert_eq!((then.run.is_some(), then.next), (true, None));
    let after = look(&calendar, then.seen, at("2026-11-21T06:45:01Z"), PATIENCE, true);
    assert_eq!((after.run, after.next), (None, None));
    // Set back by an hour, it has been all the same.
    let again = look(&calendar, then.seen, at("2026-11-21T06:00:00Z"), PATIENCE, true);
    assert_eq!((again.run, again.next), (None, None));
}
