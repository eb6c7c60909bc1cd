//! A part of the machine's processors, as people write it: `1.5` of them.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

/// In thousandths: finer than the kernel shares them out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Processors(u32);

const LEAST: u32 = 10;
const MOST: u32 = 8_192_000;

impl Processors {
    pub fn thousandths(self) -> u32 {
        self.0
    }
}

impl TryFrom<f64> for Processors {
    type Error = &'static str;

    fn try_from(number: f64) -> Result<Self, Self::Error> {
        let thousandths = (number * 1000.0).round();
        match (f64::from(LEAST)..=f64::from(MOST)).contains(&thousandths) {
            true => Ok(Self(thousandths as u32)),
            false => Err("a part of the processors is a number from 0.01 to 8192"),
        }
    }
}

impl FromStr for Processors {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // A number that is none is out of every range.
        text.parse().unwrap_or(f64::NAN).try_into()
    }
}

impl fmt::Display for Processors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&(f64::from(self.0) / 1000.0).to_string())
    }
}

impl Serialize for Processors {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(f64::from(self.0) / 1000.0)
    }
}

impl JsonSchema for Processors {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Processors".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 0.01, "maximum": 8192 })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read_as_people_write_them() {
        for (text, thousandths, again) in
            [("1.5", 1500, "1.5"), ("2", 2000, "2"), ("0.01", 10, "0.01"), ("0.3333", 333, "0.333")]
        {
            let found: Processors = text.parse().unwrap();
            assert_eq!((found.thousandths(), found.to_string().as_str()), (thousandths, again));
        }
        for wrong in ["0", "-1", "0.001", "9000", "", "two", "NaN", "inf"] {
            assert!(wrong.parse::<Processors>().is_err(), "{wrong}");
        }
    }
}
