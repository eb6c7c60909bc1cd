//! What `ps --format` prints of each: a text with fields in it, or only the fields.

use std::str::FromStr;

use super::ps::{Answer, as_word};
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

/// One of whatever kind: its fields but `kind`, and that.
struct Of(Vec<(&'static str, Option<String>)>, &'static str);

impl Format {
    /// A line for each.
    pub fn lines(&self, answer: &Answer) -> String {
        all(answer).iter().map(|one| self.line(one) + "\n").collect()
    }

    fn line(&self, one: &Of) -> String {
        let text = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Field("kind") => one.1.to_owned(),
            Part::Field(name) => {
                one.0.iter().find(|(known, _)| known == name).and_then(|(_, value)| value.clone()).unwrap_or_default()
            }
        };
        self.0.iter().map(text).collect()
    }
}

fn all(answer: &Answer) -> Vec<Of> {
    let number = |number: Option<i32>| number.map(|number| number.to_string());
    let instances = answer.instances.iter().map(|row| {
        let fields = vec![
            ("name", Some(row.instance.clone())),
            ("state", Some(as_word(&row.state))),
            ("health", row.health.as_ref().map(as_word)),
            ("pid", number(row.pid)),
            ("uptime", row.uptime_seconds.map(span)),
            ("restarts", Some(row.restarts.to_string())),
            ("paused", Some(row.paused.to_string())),
            ("mount", row.mount.clone()),
            ("url", row.url.clone()),
            ("description", Some(row.description.clone())),
        ];
        Of(fields, "instance")
    });
    let jobs = answer.jobs.iter().map(|row| {
        let fields = vec![
            ("name", Some(row.job.clone())),
            ("state", Some(as_word(&row.state))),
            ("health", row.health.as_ref().map(as_word)),
            ("pid", number(row.pid)),
            ("uptime", row.uptime_seconds.map(span)),
            ("restarts", Some(row.restarts.to_string())),
            ("paused", Some(row.paused.to_string())),
            ("instance", Some(row.instance.clone())),
            ("why", row.why.clone()),
        ];
        Of(fields, "job")
    });
    let remotes = answer.remotes.iter().map(|row| {
        let fields = vec![
            ("name", Some(row.unit.clone())),
            ("state", Some(as_word(&row.state))),
            ("pid", number(row.pid)),
            ("uptime", row.uptime_seconds.map(span)),
            ("restarts", Some(row.restarts.to_string())),
            ("paused", Some(row.paused.to_string())),
            ("url", Some(row.address.clone())),
            ("why", row.why.clone()),
        ];
        Of(fields, "remote")
    });
    instances.chain(jobs).chain(remotes).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_format_is_a_text_with_fields_or_only_fields() {
        let one = Of(vec![("name", Some("a".into())), ("state", Some("ready".into())), ("pid", None)], "job");
        let shown = |format: &str| format.parse::<Format>().unwrap().line(&one);
        assert_eq!(shown("name,state"), "a\tready");
        assert_eq!(shown(r"{{.Name}}\t{{ .State }} of {{kind}}"), "a\tready of job");
        assert_eq!(shown("[{{.Pid}}{{.Mount}}]"), "[]");
        for wrong in ["colour", "name,", "{{.Name", "{{.Names}}"] {
            assert!(wrong.parse::<Format>().is_err(), "{wrong}");
        }
    }
}
