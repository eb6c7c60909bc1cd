//! JSON with lines. `RawValue` keeps the text of each value, and its address in the file is the offset.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use nixbox_report::{Failure, codes};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::lines::Lines;
use super::{Entry, Value, join};
use crate::problems::Problems;

/// Deeper than any setting; each level is scanned once more, so the depth must end somewhere.
const DEEPEST: usize = 16;

pub(super) fn parse<'t>(text: &'t str, problems: &Problems) -> Option<Vec<Entry<'t>>> {
    let source = Source { text, lines: Lines::of(text), problems };
    let before = problems.count();
    let top = serde_json::from_str::<&RawValue>(text);
    let table = match top.map_err(|error| source.refuse(error.line(), None, &error)) {
        Ok(raw) => source.value(raw, "", 0),
        Err(()) => return None,
    };
    match table {
        _ if problems.count() > before => None,
        Value::Table(entries) => Some(entries),
        other => {
            let what = format!("The file must hold an object, not {}", other.kind());
            let failure = Failure::new(&codes::CONFIG_SYNTAX, what).help("begin with `{ \"version\": 1 }`");
            problems.in_text(Some(1), None, failure);
            None
        }
    }
}

struct Source<'t, 'p> {
    text: &'t str,
    lines: Lines,
    problems: &'p Problems,
}

impl<'t> Source<'t, '_> {
    fn refuse(&self, line: usize, key: Option<String>, why: &dyn fmt::Display) {
        let failure = Failure::new(&codes::CONFIG_SYNTAX, "The file is not valid JSON").why(why);
        self.problems.in_text(Some(line.max(1)), key, failure.help("write the file again, or use TOML"));
    }

    fn line_of(&self, raw: &RawValue) -> usize {
        self.lines.at((raw.get().as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize))
    }

    fn value(&self, raw: &'t RawValue, path: &str, depth: usize) -> Value<'t> {
        let text = raw.get();
        match text.as_bytes().first() {
            Some(b'{') if depth == DEEPEST => Value::Other("a deep object"),
            Some(b'{') => self.table(raw, path, depth),
            Some(b'[') if depth == DEEPEST => Value::Other("a deep array"),
            Some(b'[') => self.list(raw, path, depth),
            Some(b'"') => self.text(raw, path),
            Some(b't') => Value::Bool(true),
            Some(b'f') => Value::Bool(false),
            Some(b'n') => Value::Other("null"),
            _ => number(text),
        }
    }

    fn text(&self, raw: &'t RawValue, path: &str) -> Value<'t> {
        match serde_json::from_str::<Text<'t>>(raw.get()) {
            Ok(text) => Value::Text(text.0),
            Err(error) => {
                self.refuse(self.line_of(raw), Some(path.to_owned()), &error);
                Value::Other("a broken string")
            }
        }
    }

    fn list(&self, raw: &'t RawValue, path: &str, depth: usize) -> Value<'t> {
        match serde_json::from_str::<Vec<&'t RawValue>>(raw.get()) {
            Ok(items) => Value::List(
                items.into_iter().map(|raw| (self.line_of(raw), self.value(raw, path, depth + 1))).collect(),
            ),
            Err(error) => {
                self.refuse(self.line_of(raw), Some(path.to_owned()), &error);
                Value::Other("a broken array")
            }
        }
    }

    fn table(&self, raw: &'t RawValue, path: &str, depth: usize) -> Value<'t> {
        let pairs = match serde_json::from_str::<Pairs<'t>>(raw.get()) {
            Ok(Pairs(pairs)) => pairs,
            Err(error) => {
                self.refuse(self.line_of(raw), (!path.is_empty()).then(|| path.to_owned()), &error);
                return Value::Other("a broken object");
            }
        };
        let mut seen = HashSet::with_capacity(pairs.len());
        let mut entries = Vec::with_capacity(pairs.len());
        for (name, raw) in pairs {
            let (key, line) = (join(path, &name), self.line_of(raw));
            if seen.insert(name.clone()) {
                entries.push(Entry { line, value: self.value(raw, &key, depth + 1), name });
            } else {
                self.refuse(line, Some(key), &"the key stands twice");
            }
        }
        Value::Table(entries)
    }
}

fn number(text: &str) -> Value<'static> {
    if text.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
        return Value::Float(text.parse().unwrap_or(f64::NAN));
    }
    let saturated = if text.starts_with('-') { i128::MIN } else { i128::MAX };
    Value::Integer(text.parse().unwrap_or(saturated))
}

#[derive(Deserialize)]
struct Text<'t>(#[serde(borrow)] Cow<'t, str>);

/// The pairs of an object in their order, those that stand twice too.
struct Pairs<'t>(Vec<(Cow<'t, str>, &'t RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'de>, A::Error> {
                let mut pairs = Vec::with_capacity(map.size_hint().unwrap_or_default());
                while let Some((Text(name), raw)) = map.next_entry()? {
                    pairs.push((name, raw));
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}
