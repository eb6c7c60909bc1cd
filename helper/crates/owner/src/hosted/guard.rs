//! Looks at every statement of a request before the server gets to see it. Wherever a key `sql` stands in the document it
//! is looked at, so it does not matter what else the server makes of the document.

use std::io::Read;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::sql::{self, Refused};

#[derive(Debug, thiserror::Error)]
pub(super) enum Turned {
    #[error("{0}")]
    Refused(Refused),
    #[error("it is no JSON: {0}")]
    Junk(serde_json::Error),
}

#[derive(Debug, Default)]
pub(super) struct Seen {
    /// A transaction may be left open behind it.
    pub(super) begins: bool,
    refused: Option<Refused>,
}

pub(super) fn look(body: impl Read) -> Result<Seen, Turned> {
    let mut seen = Seen::default();
    let mut document = serde_json::Deserializer::from_reader(std::io::BufReader::with_capacity(64 << 10, body));
    Anything { seen: &mut seen, is_sql: false }
        .deserialize(&mut document)
        .and_then(|()| document.end())
        .map_err(Turned::Junk)?;
    match seen.refused.take() {
        Some(refused) => Err(Turned::Refused(refused)),
        None => Ok(seen),
    }
}

/// A value of any kind, of which nothing is kept.
struct Anything<'s> {
    seen: &'s mut Seen,
    is_sql: bool,
}

impl<'de> DeserializeSeed<'de> for Anything<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Anything<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("anything")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        if self.is_sql {
            match sql::look(text) {
                Ok(one) => self.seen.begins |= one.begins,
                Err(refused) => self.seen.refused = self.seen.refused.take().or(Some(refused)),
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            map.next_value_seed(Anything { seen: &mut *self.seen, is_sql: key == "sql" })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Anything { seen: &mut *self.seen, is_sql: self.is_sql })?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_statement_is_found_wherever_it_stands() {
        let batch = |sql: &str| {
            format!(
                r#"{{"baton":null,"requests":[{{"type":"batch","batch":{{"steps":[{{"condition":{{"type":"ok","step":0}},"stmt":{{"sql":"SELECT 1","args":[{{"type":"text","value":"VACUUM"}},1,-1,0.5,true,null],"want_rows":false}}}},{{"stmt":{{"sql":"{sql}"}}}}]}}}}]}}"#
            )
        };
        assert!(look(batch("BEGIN IMMEDIATE").as_bytes()).unwrap().begins);
        assert!(!look(batch("COMMIT").as_bytes()).unwrap().begins);
        for bad in [
            batch("VACUUM"),
            batch("\\u0056ACUUM"),
            r#"{"s\u0071l":"VACUUM"}"#.into(),
            r#"{"sql":"SELECT 1","sql":"VACUUM"}"#.into(),
            r#"[[{"a":{"sql":["VACUUM"]}}]]"#.into(),
        ] {
            assert!(matches!(look(bad.as_bytes()), Err(Turned::Refused(_))), "{bad}");
        }
    }

    #[test]
    fn what_is_no_document_is_not_passed_on() {
        for junk in ["", "{", r#"{"sql":"SELECT 1"} {"sql":"VACUUM"}"#, "sql", "\u{0}"] {
            assert!(matches!(look(junk.as_bytes()), Err(Turned::Junk(_))), "{junk}");
        }
        assert!(look("[".repeat(100_000).as_bytes()).is_err());
    }
}
