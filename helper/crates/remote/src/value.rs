//! What goes into a statement and comes out of it, in the words of the protocol: numbers as text, because JSON's lose
//! digits; blobs in base64, which some servers pad and others do not.

use std::fmt;
use std::marker::PhantomData;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::display::Base64Display;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_encode_padding(false).with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Value {
    Null,
    Integer {
        #[serde(serialize_with = "as_text")]
        value: i64,
    },
    Float {
        value: f64,
    },
    Text {
        value: String,
    },
    Blob {
        #[serde(serialize_with = "as_base64")]
        base64: Vec<u8>,
    },
}

fn as_text<S: Serializer>(value: &i64, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn as_base64<S: Serializer>(value: &[u8], serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(&Base64Display::new(value, &BASE64))
}

/// Read as it comes. What serde derives for a tag would put each value into a tree of its own first.
impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_map(Tagged)
    }
}

struct Tagged;

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Null,
    Integer,
    Float,
    Text,
    Blob,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Key {
    Type,
    Value,
    Base64,
    #[serde(other)]
    Other,
}

impl<'de> Visitor<'de> for Tagged {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value with its type")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Value, A::Error> {
        let (mut kind, mut value, mut early) = (None, None, None);
        while let Some(key) = map.next_key()? {
            match (key, kind) {
                (Key::Type, _) => kind = Some(map.next_value::<Kind>()?),
                (Key::Value, Some(Kind::Integer)) => {
                    value = Some(Value::Integer { value: map.next_value::<Read<i64>>()?.0 });
                }
                (Key::Value, Some(Kind::Float)) => value = Some(Value::Float { value: map.next_value()? }),
                (Key::Value, Some(Kind::Text)) => value = Some(Value::Text { value: map.next_value()? }),
                (Key::Base64, Some(Kind::Blob)) => {
                    value = Some(Value::Blob { base64: map.next_value::<Read<Vec<u8>>>()?.0 });
                }
                // Before what it is of has come.
                (Key::Value | Key::Base64, None) => early = Some(map.next_value::<serde_json::Value>()?),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let kind = kind.ok_or_else(|| A::Error::missing_field("type"))?;
        match (kind, value, early) {
            (Kind::Null, ..) => Ok(Value::Null),
            (_, Some(value), _) => Ok(value),
            (_, None, Some(early)) => kind.read(early).map_err(A::Error::custom),
            (Kind::Blob, None, None) => Err(A::Error::missing_field("base64")),
            (_, None, None) => Err(A::Error::missing_field("value")),
        }
    }
}

impl Kind {
    fn read(self, json: serde_json::Value) -> serde_json::Result<Value> {
        Ok(match self {
            Self::Null => Value::Null,
            Self::Integer => Value::Integer { value: Read::deserialize(json)?.0 },
            Self::Float => Value::Float { value: f64::deserialize(json)? },
            Self::Text => Value::Text { value: String::deserialize(json)? },
            Self::Blob => Value::Blob { base64: Read::deserialize(json)?.0 },
        })
    }
}

/// What is written as text, read where that lies.
struct Read<T>(T);

trait FromText: Sized {
    fn from_text(text: &str) -> std::result::Result<Self, String>;
}

impl FromText for i64 {
    fn from_text(text: &str) -> std::result::Result<Self, String> {
        text.parse().map_err(|error: std::num::ParseIntError| error.to_string())
    }
}

impl FromText for Vec<u8> {
    fn from_text(text: &str) -> std::result::Result<Self, String> {
        BASE64.decode(text).map_err(|error| error.to_string())
    }
}

impl<'de, T: FromText> Deserialize<'de> for Read<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Text<T>(PhantomData<T>);

        impl<T: FromText> Visitor<'_> for Text<T> {
            type Value = Read<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> std::result::Result<Read<T>, E> {
                T::from_text(text).map(Read).map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Text(PhantomData))
    }
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
        // In whichever order, and with whatever else.
        for (json, value) in [
            (r#"{"value":"7","type":"integer"}"#, Value::from(7)),
            (r#"{"more":[{}],"base64":"AQID/w","type":"blob"}"#, vec![1, 2, 3, 255].into()),
            (r#"{"type":"text","value":"\u00e9\n","more":1}"#, "\u{e9}\n".into()),
            (r#"{"value":null,"type":"null"}"#, Value::Null),
            (r#"{"type":"float","value":3}"#, 3.0.into()),
        ] {
            assert_eq!(serde_json::from_str::<Value>(json).unwrap(), value, "{json}");
        }
        for junk in [
            r#"{"type":"integer","value":"1.5"}"#,
            r#"{"type":"integer","value":1}"#,
            r#"{"type":"integer"}"#,
            r#"{"type":"blob","value":"AQID"}"#,
            r#"{"type":"blob","base64":"*"}"#,
            r#"{"value":"*","type":"integer"}"#,
            r#"{"type":"other","value":"1"}"#,
            r#"{"value":"1"}"#,
            r#""1""#,
        ] {
            assert!(serde_json::from_str::<Value>(junk).is_err(), "{junk}");
        }
    }
}
