//! A number of bytes, as people write it: `2GiB`, `500 MB`, `4096`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

impl Size {
    /// SQLite counts in 64 bits with a sign.
    pub const MOST: u64 = i64::MAX as u64;
}

/// Larger ones first, so that a size is written in the largest that divides it.
const UNITS: &[(&str, u64)] = &[
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("KB", 1_000),
    ("B", 1),
];

impl FromStr for Size {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let unit = unit.strip_prefix(' ').unwrap_or(unit);
        let factor = match unit {
            "" => Some(1),
            unit => UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).map(|(_, factor)| *factor),
        };
        let (Some(factor), false) = (factor, number.is_empty()) else {
            return Err("a size is a whole number and a unit: B, KiB, MiB, GiB, TiB, or KB, MB, GB, TB");
        };
        let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
        match bytes {
            Some(0) => Err("nothing would fit"),
            Some(bytes) if bytes <= Self::MOST => Ok(Self(bytes)),
            _ => Err("that is more than 8 EiB, which no file has"),
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((name, factor)) = UNITS.iter().find(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor))
        else {
            return write!(f, "{}", self.0);
        };
        match *factor {
            1 => write!(f, "{}", self.0),
            factor => f.pad(&format!("{}{name}", self.0 / factor)),
        }
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Size {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["integer", "string"],
            "minimum": 1,
            "pattern": "^0*[1-9][0-9]* ?([KkMmGgTt][Ii]?[Bb]|[Bb])?$",
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them_and_written_to_be_read_again() {
        for (text, bytes, again) in [
            ("1", 1, "1"),
            ("4096", 4096, "4KiB"),
            ("2GiB", 2 << 30, "2GiB"),
            ("2 gib", 2 << 30, "2GiB"),
            ("500MB", 500_000_000, "500MB"),
            ("1500 KB", 1_500_000, "1500KB"),
            ("1025B", 1025, "1025"),
            ("9223372036854775807", Size::MOST, "9223372036854775807"),
        ] {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
            assert_eq!(Size(bytes).to_string(), again);
            assert_eq!(again.parse(), Ok(Size(bytes)), "{again}");
        }
        for wrong in [
            "",
            "0",
            "0GiB",
            "-1",
            "1.5GiB",
            "GiB",
            "2G",
            "2  GiB",
            "2GiB ",
            "8EiB",
            "9000000TiB",
            "9223372036854775808",
        ] {
            assert!(wrong.parse::<Size>().is_err(), "{wrong}");
        }
    }
}
