//! Which calls are wanted. All of it holds before any limit counts.

use serde_json::Value;

use super::{COLUMNS, ToolCall, ToolCalls, call};
use crate::error::Result;

/// How many calls are looked at under one hold of the lock.
const PAGE: u32 = 512;

/// Where a page ended: when its last call started, and its number.
pub type Behind = (f64, i64);

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Filter {
    pub tool: Option<String>,
    pub status: Option<String>,
    /// Seconds since 1970: started then or later.
    pub since: Option<f64>,
    /// Started before.
    pub until: Option<f64>,
    pub path: Option<String>,
}

impl Filter {
    pub fn wants(&self, call: &ToolCall) -> bool {
        self.tool.as_ref().is_none_or(|tool| *tool == call.name)
            && self.status.as_ref().is_none_or(|status| *status == call.status)
            && self.since.is_none_or(|since| call.started_at >= since)
            && self.until.is_none_or(|until| call.started_at < until)
            && self.path.as_ref().is_none_or(|path| names_path(call.parameters.as_deref().unwrap_or_default(), path))
    }
}

impl ToolCalls {
    /// Some of those that are wanted and were started before `behind`, newest first; with it the place to go on from,
    /// `None` at the end. A page may hold nothing and still not be the last.
    pub fn page(&self, filter: &Filter, behind: Option<Behind>) -> Result<(Vec<ToolCall>, Option<Behind>)> {
        let sql = format!(
            "{COLUMNS} WHERE (?1 IS NULL OR name = ?1) AND (?2 IS NULL OR status = ?2) \
             AND (?3 IS NULL OR started_at >= ?3) AND (?4 IS NULL OR started_at < ?4) \
             AND (?5 IS NULL OR (started_at, id) < (?5, ?6)) ORDER BY started_at DESC, id DESC LIMIT ?7"
        );
        let (tool, status) = (filter.tool.as_deref(), filter.status.as_deref());
        let (at, id) = (behind.map(|behind| behind.0), behind.map(|behind| behind.1));
        let args =
            [tool.into(), status.into(), filter.since.into(), filter.until.into(), at.into(), id.into(), PAGE.into()];
        let mut calls = Vec::new();
        self.files.read_store(|store| {
            store.query(&sql, &args, &mut |row| {
                calls.push(call(row)?);
                Ok(())
            })
        })?;
        let last = calls.last().map(|call| (call.started_at, call.id));
        let next = last.filter(|_| calls.len() as u32 >= PAGE);
        calls.retain(|call| filter.wants(call));
        Ok((calls, next))
    }
}

/// Does any text in this JSON say `path`, or one below it? With or without the leading slash, as callers like it.
fn names_path(json: &str, path: &str) -> bool {
    let path = path.trim_matches('/');
    serde_json::from_str(json).is_ok_and(|value| any_text(&value, &|text| is_at_or_below(text, path)))
}

fn is_at_or_below(text: &str, path: &str) -> bool {
    let text = text.trim_matches('/');
    text == path || path.is_empty() || text.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'))
}

fn any_text(value: &Value, is_it: &dyn Fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => is_it(text),
        Value::Array(values) => values.iter().any(|value| any_text(value, is_it)),
        Value::Object(fields) => fields.values().any(|value| any_text(value, is_it)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_found_with_those_below_it_and_no_others() {
        let json = r#"{"path": "/src/main.rs", "n": 3, "to": ["a \"b\"", "dé"]}"#;
        for path in ["/src/main.rs", "src/main.rs", "/src", "src/", "/", "dé", "a \"b\""] {
            assert!(names_path(json, path), "{path}");
        }
        for path in ["/src/main", "/sr", "main.rs", "/src/main.rs/x"] {
            assert!(!names_path(json, path), "{path}");
        }
        assert!(!names_path("", "/a") && !names_path("/a", "/a"));
    }
}
