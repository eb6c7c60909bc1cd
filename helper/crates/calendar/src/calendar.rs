//! The times of one schedule.

use std::time::Duration;

use croner::parser::CronParser;
use croner::{Cron, JobType};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Why there are no such times.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("{0}")]
    Cron(String),
    /// No day of any year.
    #[error("no day of any year is such a day")]
    Never,
    #[error("a point in time is written as 2026-11-21T06:45:00Z, or with +01:00 in the place of Z")]
    At,
    #[error("no time zone is called so")]
    Zone,
}

/// One of the times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// As the calendar has it.
    pub nominal: Timestamp,
    /// With its jitter.
    pub at: Timestamp,
}

#[derive(Debug, Clone)]
pub struct Calendar {
    when: When,
    jitter: Duration,
    salt: u64,
}

#[derive(Debug, Clone)]
enum When {
    Cron { cron: Box<Cron>, zone: TimeZone },
    Once(Timestamp),
}

impl Calendar {
    /// Five fields, six with seconds before them, seven with years after them, or `@daily` and the like.
    pub fn cron(text: &str, zone: TimeZone) -> Result<Self, Refused> {
        let cron = CronParser::new().parse(text).map_err(|error| Refused::Cron(plain(&error.to_string())))?;
        // Whether there are any does not depend on the zone. A leap day comes within eight years, and any day of the week
        // has been any day of the year within forty.
        let begin = Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
        if cron.find_next_occurrence(&begin, true).is_err() {
            return Err(Refused::Never);
        }
        Ok(Self { when: When::Cron { cron: Box::new(cron), zone }, jitter: Duration::ZERO, salt: 0 })
    }

    /// Once, at a point in time as RFC 3339 has it.
    pub fn at(text: &str) -> Result<Self, Refused> {
        let once = text.parse().ok().filter(|_| is_rfc3339(text)).ok_or(Refused::At)?;
        Ok(Self { when: When::Once(once), jitter: Duration::ZERO, salt: 0 })
    }

    /// Each time is later by up to this, always by the same for the same `name`.
    #[must_use]
    pub fn with_jitter(self, most: Duration, name: &str) -> Self {
        let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        Self { jitter: most, salt: name.bytes().fold(0xcbf2_9ce4_8422_2325, step), ..self }
    }

    /// The first after that one.
    pub fn next(&self, after: Timestamp) -> Option<Due> {
        match &self.when {
            When::Once(once) => (*once > after).then(|| self.due(*once)),
            When::Cron { cron, zone } => {
                let next = cron.find_next_occurrence(&after.to_zoned(zone.clone()), false).ok()?.timestamp();
                // What lies between two seconds is none of the calendar's.
                Some(self.due(Timestamp::from_second(next.as_second()).unwrap_or(next)))
            }
        }
    }

    /// The last after `seen` that has come by `now`.
    pub fn last(&self, seen: Timestamp, now: Timestamp) -> Option<Due> {
        // From nearby first: of one that is due each second there are many.
        for span in [60, 3600, 86_400, 40 * 86_400, 366 * 86_400].map(SignedDuration::from_secs) {
            let jitter = SignedDuration::try_from(self.jitter).unwrap_or_default();
            let from = now.checked_sub(span + jitter).unwrap_or(Timestamp::MIN);
            if from <= seen {
                break;
            }
            if let Some(last) = self.last_from(from, now) {
                return Some(last);
            }
        }
        self.last_from(seen, now)
    }

    fn last_from(&self, from: Timestamp, now: Timestamp) -> Option<Due> {
        let (mut last, mut next) = (None, self.next(from));
        while let Some(due) = next.filter(|due| due.nominal <= now) {
            if due.at <= now {
                last = Some(due);
            }
            next = self.next(due.nominal);
        }
        last
    }

    /// At a certain time of the day, and not every so often: whoever turns the clock back does not want it twice.
    pub fn is_fixed(&self) -> bool {
        match &self.when {
            When::Once(_) => true,
            When::Cron { cron, .. } => cron.determine_job_type() == JobType::FixedTime,
        }
    }

    fn due(&self, nominal: Timestamp) -> Due {
        let most = u64::try_from(self.jitter.as_millis()).unwrap_or(u64::MAX);
        let late = match most {
            0 => 0,
            most => scatter(self.salt ^ nominal.as_second().cast_unsigned()) % (most.saturating_add(1)),
        };
        let late = SignedDuration::from_millis(i64::try_from(late).unwrap_or(i64::MAX));
        Due { nominal, at: nominal.checked_add(late).unwrap_or(nominal) }
    }
}

/// Neighbours end far apart: the finalizer of SplitMix64.
fn scatter(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// `2026-11-21T06:45:00Z`, or with fractions of a second, or with an offset. What else can be read as a point in time is
/// less clear to others.
fn is_rfc3339(text: &str) -> bool {
    let digits = |text: &str, shape: &str| {
        text.len() == shape.len()
            && text.bytes().zip(shape.bytes()).all(|(byte, wanted)| match wanted {
                b'0' => byte.is_ascii_digit(),
                wanted => byte == wanted,
            })
    };
    let Some((moment, rest)) = text.split_at_checked(19) else { return false };
    let rest = match rest.strip_prefix('.') {
        Some(fraction) => {
            let end = fraction.find(|c: char| !c.is_ascii_digit()).unwrap_or(fraction.len());
            if !(1..=9).contains(&end) {
                return false;
            }
            &fraction[end..]
        }
        None => rest,
    };
    digits(moment, "0000-00-00T00:00:00") && (rest == "Z" || digits(rest, "+00:00") || digits(rest, "-00:00"))
}

/// Without the names of the parser's own types.
fn plain(why: &str) -> String {
    let why = why.split_once(": ").map_or(why, |(_, rest)| rest);
    why.replace("CronPattern", "it").trim_end_matches('.').to_owned()
}

/// That of this machine, or the one of that name.
pub fn zone(name: Option<&str>) -> Result<TimeZone, Refused> {
    match name {
        Some(name) => TimeZone::get(name).map_err(|_| Refused::Zone),
        None => Ok(TimeZone::system()),
    }
}
