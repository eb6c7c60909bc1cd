//! The pushes that a remote has had, by number. What was seen here last is looked for there: where it is not any more, the
//! remote was put back to an older state, and what it lacks was not removed by anybody.

use nixbox_remote::{Remote, Rows, Step};

use crate::error::{Error, Result};

const TABLE: &str = "CREATE TABLE IF NOT EXISTS nixbox_history (number INTEGER PRIMARY KEY, push TEXT NOT NULL)";
/// How many are told apart. Who has seen nothing since is believed.
const KEPT: i64 = 10_000;

/// One of them. No two have the same name, on whatever state of the remote they were made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Push {
    number: i64,
    name: String,
}

impl Push {
    pub(crate) fn kept(&self) -> String {
        format!("{} {}", self.number, self.name)
    }

    pub(crate) fn of_kept(kept: &str) -> Option<Self> {
        let (number, name) = kept.split_once(' ')?;
        Some(Self { number: number.parse().ok()?, name: name.to_owned() })
    }

    /// The one that comes after `last`.
    pub(crate) fn after(last: Option<&Self>, name: String) -> Self {
        Self { number: last.map_or(0, |last| last.number) + 1, name }
    }

    /// What writes it down, beside what it changes.
    pub(crate) fn steps(&self) -> [Step; 3] {
        let insert = "INSERT INTO nixbox_history (number, push) VALUES (?, ?)";
        [
            Step::new(TABLE),
            Step::with(insert, [self.number.into(), self.name.as_str().into()]),
            Step::with("DELETE FROM nixbox_history WHERE number <= ?", [(self.number - KEPT).into()]),
        ]
    }
}

/// What there is to know of it.
pub(crate) struct History {
    pub(crate) last: Option<Push>,
    /// What was seen here is not there.
    pub(crate) older: Option<Error>,
}

impl History {
    /// `there`: the remote has a database. `seen`: the last push of which something came here.
    pub(crate) fn of(remote: &Remote, there: bool, seen: Option<&Push>) -> Result<Self> {
        let pushes = if there { ask(remote, seen)? } else { Vec::new() };
        let last = pushes.iter().max_by_key(|push| push.number).cloned();
        let older = seen.filter(|seen| !is_known(seen, &pushes));
        let older = older.map(|seen| Error::Older { seen: seen.number, last: last.as_ref().map(|last| last.number) });
        Ok(Self { last, older })
    }
}

fn is_known(seen: &Push, pushes: &[Push]) -> bool {
    pushes.contains(seen)
        || pushes.iter().min_by_key(|push| push.number).is_some_and(|first| first.number > seen.number)
}

/// The first and the last that are told apart, and the one that was seen.
fn ask(remote: &Remote, seen: Option<&Push>) -> Result<Vec<Push>> {
    let sql = "SELECT number, push FROM nixbox_history WHERE number = (SELECT min(number) FROM nixbox_history) \
               OR number = (SELECT max(number) FROM nixbox_history) OR number = ?";
    let rows = match remote.ask(&Step::with(sql, [seen.map_or(0, |seen| seen.number).into()])) {
        // Nobody has pushed there but programs that keep none.
        Err(nixbox_remote::Error::Refused { message, .. }) if message.contains("no such table") => {
            return Ok(Vec::new());
        }
        asked => asked?,
    };
    let push = |row: &Vec<_>| Ok(Push { number: Rows::int(row, 0)?, name: Rows::text(row, 1)?.to_owned() });
    rows.rows.iter().map(push).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_known_again_or_too_long_ago() {
        let push = |number, name: &str| Push { number, name: name.into() };
        let there = [push(3, "a"), push(9, "b")];
        assert!(is_known(&push(3, "a"), &there) && is_known(&push(9, "b"), &there));
        assert!(is_known(&push(2, "x"), &there), "nobody knows");
        for older in [push(10, "c"), push(9, "c"), push(3, "c")] {
            assert!(!is_known(&older, &there), "{older:?}");
        }
        assert!(!is_known(&push(1, "a"), &[]));
        assert_eq!(Push::of_kept(&push(7, "a b").kept()), Some(push(7, "a b")));
        assert_eq!(Push::after(None, "a".into()), push(1, "a"));
        assert_eq!(Push::after(Some(&push(7, "a")), "b".into()), push(8, "b"));
    }
}
