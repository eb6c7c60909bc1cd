//! One call: understood, done on a thread aside, put on record, answered.

use std::time::{Duration, Instant};

use nixbox_config::McpTool;
use nixbox_engine::Outcome;
use nixbox_report::{Failure, Report, codes};
use rmcp::model::{CallToolResult, JsonObject};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::answer::{Answer, failed};
use super::{Agent, files, find, kv, review};
use crate::desk::{Open, Request};
use crate::failure;

/// A parameter is put on record up to this length.
const MAX_RECORDED: usize = 4096;
/// And so many of them.
const MAX_VALUES: usize = 16;

/// `allowed`: or why not. A call that is refused is put on record like any other.
pub(super) async fn call(
    agent: &Agent,
    tool: McpTool,
    arguments: JsonObject,
    allowed: Result<(), Failure>,
) -> CallToolResult {
    let begun = Instant::now();
    let parameters = for_the_record(&arguments);
    let request = match agent.desk.take(&agent.stop).await {
        Ok(request) => request,
        Err(report) => return failed(&report),
    };
    let done = match allowed {
        Ok(()) => request.work(move |open| run(tool, arguments, open)).await,
        Err(failure) => Err(failure.into()),
    };
    let result = done.as_ref().map(|answer| answer.recorded.clone()).map_err(Clone::clone);
    record(&format!("mcp.{}", tool.as_str()), parameters, result, begun.elapsed(), &request).await;
    done.map_or_else(|report| failed(&report), Into::into)
}

fn run(tool: McpTool, arguments: JsonObject, open: &Open) -> Result<Answer, Report> {
    match tool {
        McpTool::ReadFile => files::read(understood(arguments)?, open),
        McpTool::WriteFile => files::write(understood(arguments)?, open),
        McpTool::Readdir => files::list(understood(arguments)?, open),
        McpTool::Mkdir => files::make_folder(understood(arguments)?, open),
        McpTool::Remove => files::remove(understood(arguments)?, open),
        McpTool::Rename => files::rename(understood(arguments)?, open),
        McpTool::Stat => files::stat(understood(arguments)?, open),
        McpTool::Access => files::access(understood(arguments)?, open),
        McpTool::Find => find::find(understood(arguments)?, open),
        McpTool::Status => review::status(understood(arguments)?, open),
        McpTool::Diff => review::diff(understood(arguments)?, open),
        McpTool::KvGet => kv::get(understood(arguments)?, open),
        McpTool::KvSet => kv::set(understood(arguments)?, open),
        McpTool::KvDelete => kv::delete(understood(arguments)?, open),
        McpTool::KvList => kv::list(understood(arguments)?, open),
    }
}

fn understood<T: DeserializeOwned>(arguments: JsonObject) -> Result<T, Report> {
    serde_json::from_value(Value::Object(arguments)).map_err(|error| {
        Failure::new(&codes::MCP_ARGUMENTS, "the arguments were not understood")
            .why(error)
            .help("the tool's input schema says what it takes")
            .into()
    })
}

/// Which file, which key: never what is in it.
fn for_the_record(arguments: &JsonObject) -> JsonObject {
    let kept = arguments.iter().filter(|(name, _)| !matches!(name.as_str(), "content" | "value"));
    let kept = kept.take(MAX_VALUES);
    kept.map(|(name, value)| match value {
        Value::Array(values) => (name.clone(), values.iter().take(MAX_VALUES).map(short).collect()),
        value => (name.clone(), short(value)),
    })
    .collect()
}

fn short(value: &Value) -> Value {
    match value {
        Value::String(text) if text.len() > MAX_RECORDED => {
            let end = text.char_indices().map(|(at, _)| at).take_while(|at| *at <= MAX_RECORDED).last();
            Value::String(format!("{}…", &text[..end.unwrap_or(0)]))
        }
        Value::Array(_) | Value::Object(_) => Value::Null,
        value => value.clone(),
    }
}

/// That a call could not be put on record is no reason to fail it: it has happened.
pub(super) async fn record(
    name: &str,
    parameters: JsonObject,
    result: Result<Value, Report>,
    took: Duration,
    request: &Request,
) {
    let how = if result.is_ok() { "success" } else { "error" };
    let name = name.to_owned();
    let put = request.work(move |open| {
        if open.calls.is_read_only() {
            return Ok(None);
        }
        let parameters = Value::Object(parameters).to_string();
        let took = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let put = match &result {
            Ok(result) => {
                let result = result.to_string();
                open.calls.record(&name, Some(&parameters), Outcome::Success { result: Some(&result) }, took)
            }
            Err(report) => {
                let error = report.failures.first().map_or("", |failure| &failure.what);
                open.calls.record(&name, Some(&parameters), Outcome::Error { error }, took)
            }
        };
        put.map(Some).map_err(failure::working)
    });
    match put.await {
        Ok(Some(id)) => request.recorded(id, how),
        Ok(None) => {}
        Err(report) => tracing::warn!(why = ?report.failures, "a call could not be put on record"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn content_is_not_put_on_record() {
        let long = "é".repeat(5000);
        let given = json!({"path": "/a", "content": "secret", "value": {"a": 1}, "create_dirs": true, "x": long, "paths": ["src", [1]]});
        let kept = for_the_record(given.as_object().unwrap());
        assert_eq!((&kept["path"], &kept["create_dirs"], kept.len()), (&json!("/a"), &json!(true), 4));
        assert_eq!(kept["paths"], json!(["src", null]));
        assert_eq!(kept["x"].as_str().unwrap().len(), MAX_RECORDED + "…".len());
    }
}
