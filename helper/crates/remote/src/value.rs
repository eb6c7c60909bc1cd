//! What goes into a statement and comes out of it, in the words of the protocol: numbers as text, because JSON's lose
//! digits; blobs in base64, which some servers pad and others do not.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::display::Base64Display;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_encode_padding(false).with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Value {
    Null,
    Integer {
        #[serde(serialize_with = "as_text", deserialize_with = "from_text")]
        value: i64,
    },
    Float {
        value: f64,
    },
    Text {
        value: String,
    },
    Blob {
        #[serde(serialize_with = "as_base64", deserialize_with = "from_base64")]
        base64: Vec<u8>,
    },
}

fn as_text<S: Serializer>(value: &i64, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn from_text<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<i64, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

fn as_base64<S: Serializer>(value: &[u8], serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(&Base64Display::new(value, &BASE64))
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Vec<u8>, D::Error> {
    BASE64.decode(String::deserialize(deserializer)?).map_err(D::Error::custom)
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer { value }
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float { value }
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text { value: value.to_owned() }
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text { value }
    }
}

impl From<Vec<u8>> for Value {
    fn from(base64: Vec<u8>) -> Self {
        Self::Blob { base64 }
    }
}

/// What one statement answered.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
pub struct Rows {
    #[serde(default, deserialize_with = "rows")]
    pub rows: Vec<Vec<Value>>,
}

/// Each in the room that it needs, and none that has nothing: what is short on the wire would be long in memory.
fn rows<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Vec<Vec<Value>>, D::Error> {
    struct Row(Vec<Value>);

    impl<'de> Deserialize<'de> for Row {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
            let mut values = Vec::<Value>::deserialize(deserializer)?;
            values.shrink_to_fit();
            if values.is_empty() { Err(D::Error::custom("a row without a column")) } else { Ok(Self(values)) }
        }
    }

    let rows = Vec::<Row>::deserialize(deserializer)?;
    Ok(rows.into_iter().map(|Row(values)| values).collect())
}

impl Rows {
    /// The first value of the first row, if there is a row.
    pub fn value(&self) -> Option<&Value> {
        self.rows.first().and_then(|row| row.first())
    }

    pub fn int(row: &[Value], column: usize) -> Result<i64> {
        match row.get(column) {
            Some(Value::Integer { value }) => Ok(*value),
            // What another program stored as a fraction loses it.
            Some(Value::Float { value }) => Ok(*value as i64),
            other => Err(Error::Junk(format!("a number was expected in column {column}, and {other:?} came"))),
        }
    }

    pub fn real(row: &[Value], column: usize) -> Result<f64> {
        match row.get(column) {
            Some(Value::Float { value }) => Ok(*value),
            Some(Value::Integer { value }) => Ok(*value as f64),
            other => Err(Error::Junk(format!("a number was expected in column {column}, and {other:?} came"))),
        }
    }

    pub fn text(row: &[Value], column: usize) -> Result<&str> {
        match row.get(column) {
            Some(Value::Text { value }) => Ok(value),
            other => Err(Error::Junk(format!("text was expected in column {column}, and {other:?} came"))),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn values_are_written_as_the_protocol_has_them_and_read_again() {
        for (value, json) in [
            (Value::Null, r#"{"type":"null"}"#),
            (i64::MIN.into(), r#"{"type":"integer","value":"-9223372036854775808"}"#),
            (1.5.into(), r#"{"type":"float","value":1.5}"#),
            ("a\"b".into(), r#"{"type":"text","value":"a\"b"}"#),
            (vec![1, 2, 3, 255].into(), r#"{"type":"blob","base64":"AQID/w"}"#),
        ] {
            assert_eq!(serde_json::to_string(&value).unwrap(), json);
            assert_eq!(serde_json::from_str::<Value>(json).unwrap(), value);
        }
        let padded: Value = serde_json::from_str(r#"{"type":"blob","base64":"AQID/w=="}"#).unwrap();
        assert_eq!(padded, vec![1, 2, 3, 255].into());
        assert!(serde_json::from_str::<Value>(r#"{"type":"integer","value":"1.5"}"#).is_err());
    }
}
