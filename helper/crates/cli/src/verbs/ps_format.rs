//! What `ps --format` prints of each: a text with fields in it, or only the fields.

use std::str::FromStr;

use serde::Serialize;
use serde_json::Value;

use super::ps::Answer;
use crate::output::span;

/// In the order in which they are told of where one is not known.
const FIELDS: [&str; 13] = [
    "name",
    "kind",
    "state",
    "health",
    "pid",
    "uptime",
    "restarts",
    "paused",
    "instance",
    "mount",
    "url",
    "why",
    "description",
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(&'static str),
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if !text.contains("{{") {
            let fields = text.split(',').map(|name| field(name).map(Part::Field)).collect::<Result<Vec<_>, _>>()?;
            let mut parts = Vec::new();
            for field in fields {
                if !parts.is_empty() {
                    parts.push(Part::Text("\t".into()));
                }
                parts.push(field);
            }
            return Ok(Self(parts));
        }
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some((before, after)) = rest.split_once("{{") {
            let (name, after) = after.split_once("}}").ok_or("a field that begins with {{ ends with }}")?;
            parts.extend([Part::Text(plain(before)), Part::Field(field(name)?)]);
            rest = after;
        }
        parts.push(Part::Text(plain(rest)));
        Ok(Self(parts))
    }
}

/// `.Name`, `name` and ` .name ` are one.
fn field(name: &str) -> Result<&'static str, String> {
    let name = name.trim().trim_start_matches('.').to_ascii_lowercase();
    let found = FIELDS.iter().find(|known| **known == name);
    found.copied().ok_or_else(|| format!("`{name}` is no field; there are {}", FIELDS.join(", ")))
}

/// A shell passes these on as two characters.
fn plain(text: &str) -> String {
    text.replace("\\t", "\t").replace("\\n", "\n")
}

/// One of that kind, as `--json` tells it.
struct Of(&'static str, Value);

impl Format {
    /// A line for each.
    pub fn lines(&self, answer: &Answer) -> String {
        let of = of("instance", &answer.instances).chain(of("job", &answer.jobs)).chain(of("remote", &answer.remotes));
        of.map(|one| self.line(&one) + "\n").collect()
    }

    fn line(&self, one: &Of) -> String {
        let text = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Field(name) => one.field(name),
        };
        self.0.iter().map(text).collect()
    }
}

fn of<T: Serialize>(kind: &'static str, rows: &[T]) -> impl Iterator<Item = Of> {
    rows.iter().map(move |row| Of(kind, serde_json::to_value(row).unwrap_or_default()))
}

impl Of {
    fn field(&self, name: &str) -> String {
        let Self(kind, row) = self;
        let key = match (*kind, name) {
            (kind, "kind") => return kind.to_owned(),
            ("remote", "name") => "unit",
            ("remote", "url") => "address",
            ("instance", "instance") => return String::new(),
            (kind, "name") => kind,
            (_, "uptime") => "uptime_seconds",
            (_, name) => name,
        };
        match &row[key] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            Value::Number(seconds) if name == "uptime" => seconds.as_u64().map(span).unwrap_or_default(),
            other => other.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_format_is_a_text_with_fields_or_only_fields() {
        let one = Of("job", serde_json::json!({ "job": "a", "state": "ready", "pid": null, "uptime_seconds": 61 }));
        let shown = |format: &str| format.parse::<Format>().unwrap().line(&one);
        assert_eq!(shown("name,state"), "a\tready");
        assert_eq!(shown(r"{{.Name}}\t{{ .State }} of {{kind}}"), "a\tready of job");
        assert_eq!(shown("[{{.Pid}}{{.Mount}}]"), "[]");
        assert_eq!(shown("uptime"), span(61));
        for wrong in ["colour", "name,", "{{.Name", "{{.Names}}"] {
            assert!(wrong.parse::<Format>().is_err(), "{wrong}");
        }
    }
}
