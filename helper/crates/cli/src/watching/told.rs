//! Changes that the kernel does not tell of: those that verbs and agents make through the owner, past the mount. They are
//! on record, and whoever follows the record hears of them.

use std::path::PathBuf;

use nixbox_control::{Request, TimelineRequest, ToolCall};
use nixbox_report::Report;
use serde_json::Value;

use super::Teller;
use super::tree::Place;
use crate::asking::Asked;

/// What changes files, as it is called on record.
const CHANGES: [&str; 11] = [
    "fs.write",
    "fs.cp",
    "fs.mv",
    "fs.rm",
    "fs.mkdir",
    "fs.apply",
    "import",
    "write_file",
    "mkdir",
    "remove",
    "rename",
];

/// From now on, until the owner ends. `place` is the instance.
pub fn follow(asked: &Asked, place: Place, teller: Teller) -> Result<(), Report> {
    let talk = asked.ask_owner(&Request::Timeline(TimelineRequest {
        limit: Some(0),
        tool: None,
        status: None,
        since: None,
        until: None,
        path: None,
        follow: true,
    }))?;
    let listen = move || {
        // It ends with the owner, in which the job lives.
        let _ = talk.lines(|call: ToolCall| {
            teller.tell(paths(&call).into_iter().filter(|path| place.matters(path)).collect());
            Ok(true)
        });
    };
    std::thread::Builder::new().name("told".into()).spawn(listen)?;
    Ok(())
}

/// Which files a call has changed, from the top of the instance.
fn paths(call: &ToolCall) -> Vec<PathBuf> {
    if call.status != "success" || !CHANGES.contains(&call.name.as_str()) {
        return Vec::new();
    }
    let parameters = call.parameters.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
    let Some(Value::Object(parameters)) = parameters else { return Vec::new() };
    if parameters.get("dry_run") == Some(&Value::Bool(true)) {
        return Vec::new();
    }
    let moves = matches!(call.name.as_str(), "fs.mv" | "rename");
    let says = |key: &str| matches!(key, "path" | "paths" | "to") || (moves && key == "from");
    let named = parameters.iter().filter(|(key, _)| says(key)).flat_map(|(_, value)| match value {
        Value::String(path) => vec![path.as_str()],
        Value::Array(paths) => paths.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    });
    named.map(|path| PathBuf::from(path.trim_start_matches('/'))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(name: &str, status: &str, parameters: &str) -> Vec<String> {
        let call = ToolCall {
            id: 1,
            name: name.into(),
            parameters: Some(parameters.into()),
            result: None,
            error: None,
            status: status.into(),
            started_at: 0.0,
            completed_at: None,
            duration_ms: None,
        };
        paths(&call).iter().map(|path| path.display().to_string()).collect()
    }

    #[test]
    fn only_what_has_changed_something_counts() {
        assert_eq!(changed("fs.write", "success", r#"{"path":"src/a"}"#), ["src/a"]);
        assert_eq!(changed("write_file", "success", r#"{"path":"/src/a"}"#), ["src/a"]);
        assert_eq!(changed("fs.mv", "success", r#"{"from":"a","to":"b"}"#), ["a", "b"]);
        assert_eq!(changed("fs.cp", "success", r#"{"from":"a","to":"b"}"#), ["b"]);
        assert_eq!(changed("fs.apply", "success", r#"{"dry_run":false,"paths":["a","b"]}"#), ["a", "b"]);
        for (name, status, parameters) in [
            ("fs.write", "error", r#"{"path":"a"}"#),
            ("fs.write", "pending", r#"{"path":"a"}"#),
            ("fs.cat", "success", r#"{"path":"a"}"#),
            ("read_file", "success", r#"{"path":"a"}"#),
            ("fs.apply", "success", r#"{"dry_run":true,"paths":["a"]}"#),
            ("fs.write", "success", "[1]"),
            ("fs.write", "success", "{"),
        ] {
            assert_eq!(changed(name, status, parameters), [""; 0], "{name} {parameters}");
        }
    }
}
