//! A span of time, as people write it: `500ms`, `30s`, `5min`, `1h`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// Larger ones first, so that a span is written in the largest that divides it.
const UNITS: &[(&str, u64)] = &[("h", 3_600_000), ("min", 60_000), ("s", 1_000), ("ms", 1)];

/// So that a moment so far from now can be told.
const LONGEST: u64 = 365 * 24 * 3_600_000;

impl Span {
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    pub const fn millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }
}

impl FromStr for Span {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let unit = unit.strip_prefix(' ').unwrap_or(unit);
        let factor = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
        let (Some(factor), false) = (factor, number.is_empty()) else {
            return Err("a span of time is a whole number and a unit: ms, s, min or h");
        };
        let millis = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
        match millis.filter(|millis| *millis <= LONGEST) {
            Some(millis) => Ok(Self(Duration::from_millis(millis))),
            None => Err("that is longer than a year"),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        match UNITS.iter().find(|(_, factor)| millis >= *factor && millis.is_multiple_of(*factor)) {
            Some((name, factor)) => f.pad(&format!("{}{name}", millis / factor)),
            None => f.pad(&format!("{millis}ms")),
        }
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Span {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]+ ?(ms|s|min|h)$" })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_people_write_them_and_written_to_be_read_again() {
        for (text, millis, again) in [
            ("0s", 0, "0ms"),
            ("1500ms", 1500, "1500ms"),
            ("2000 ms", 2000, "2s"),
            ("90s", 90_000, "90s"),
            ("120s", 120_000, "2min"),
            ("8760h", 31_536_000_000, "8760h"),
        ] {
            assert_eq!(text.parse(), Ok(Span::millis(millis)), "{text}");
            assert_eq!(Span::millis(millis).to_string(), again);
            assert_eq!(again.parse(), Ok(Span::millis(millis)), "{again}");
        }
        for wrong in ["", "5", "s", "-1s", "1.5s", "5 S", "5m", "5s ", "99999999999999999999h", "8761h"] {
            assert!(wrong.parse::<Span>().is_err(), "{wrong}");
        }
    }
}
