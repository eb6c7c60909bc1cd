//! What is to be done now, out of what was seen so far.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::calendar::{Calendar, Due};

/// A clock that is set back by less is put right, and what has run does not run twice. By more, it was wrong before.
const PUT_RIGHT: SignedDuration = SignedDuration::from_hours(3);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// To be run now: of several that have come since, the last.
    pub run: Option<Due>,
    /// One that has come and is not run: it is too late for it.
    pub missed: Option<Due>,
    /// From here on nothing was seen yet.
    pub seen: Timestamp,
    /// When to look again.
    pub next: Option<Timestamp>,
}

/// `seen`: what `look` said of it last, or when it was first kept. `patience`: so late it may be without being late, and
/// `catch_up`: later as well.
pub fn look(calendar: &Calendar, seen: Timestamp, now: Timestamp, patience: Duration, catch_up: bool) -> Look {
    let ahead = seen.duration_since(now);
    let seen = match ahead > SignedDuration::ZERO && (ahead > PUT_RIGHT || !calendar.is_fixed()) {
        true => now,
        false => seen,
    };
    let Some(due) = calendar.last(seen, now) else {
        let next = calendar.next(seen).map(|due| due.at);
        return Look { run: None, missed: None, seen, next };
    };
    let late = now.duration_since(due.at);
    let is_in_time = late <= SignedDuration::try_from(patience).unwrap_or(SignedDuration::MAX);
    let next = calendar.next(due.nominal).map(|due| due.at);
    match is_in_time || catch_up {
        true => Look { run: Some(due), missed: None, seen: due.nominal, next },
        false => Look { run: None, missed: Some(due), seen: due.nominal, next },
    }
}
