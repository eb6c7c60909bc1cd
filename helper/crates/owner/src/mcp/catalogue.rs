//! The tools, as a client is told of them.

use std::sync::Arc;

use nixbox_config::McpTool;
use rmcp::handler::server::tool::{schema_for_output, schema_for_type};
use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use schemars::JsonSchema;

use super::{arguments, files, find, kv, review};

/// What a call may do to the instance.
enum Effect {
    Reads,
    /// Makes what was not there.
    Adds,
    /// Takes away or replaces; a second call of the same changes nothing more.
    Settles,
    /// Takes away or replaces.
    Changes,
}

pub(super) fn tool(tool: McpTool) -> Tool {
    use Effect::{Adds, Changes, Reads, Settles};
    match tool {
        McpTool::ReadFile => entry::<arguments::ReadFile, files::Read>(
            tool,
            "Read a file",
            "Read file contents from the filesystem. A long file comes in parts: the answer says how to go on.",
            Reads,
        ),
        McpTool::WriteFile => entry::<arguments::WriteFile, files::Written>(
            tool,
            "Write a file",
            "Write content to a file in the filesystem: the whole file at once, or, with append, more of it.",
            Changes,
        ),
        McpTool::Readdir => {
            entry::<arguments::Readdir, files::Listed>(tool, "List a directory", "List contents of a directory", Reads)
        }
        McpTool::Mkdir => {
            entry::<arguments::Mkdir, files::Done>(tool, "Create a directory", "Create a directory", Adds)
        }
        McpTool::Remove => entry::<arguments::Remove, files::Done>(
            tool,
            "Remove a file or directory",
            "Remove a file or empty directory, or, with recursive, a directory with all that is in it",
            Changes,
        ),
        McpTool::Rename => entry::<arguments::Rename, files::Renamed>(
            tool,
            "Move a file or directory",
            "Move or rename a file or directory",
            Changes,
        ),
        McpTool::Stat => {
            entry::<arguments::Path, files::Stats>(tool, "Look at a file", "Get file or directory metadata", Reads)
        }
        McpTool::Access => {
            entry::<arguments::Path, files::Exists>(tool, "Is it there?", "Test if a path exists", Reads)
        }
        McpTool::Find => entry::<arguments::Find, find::FoundPaths>(
            tool,
            "Find files",
            "Find files and directories by name, path, kind, size and age",
            Reads,
        ),
        McpTool::Status => entry::<arguments::Status, review::Status>(
            tool,
            "What has changed",
            "List what differs from the real folder below: files added, modified, deleted or renamed. Without such a \
             folder, everything was added.",
            Reads,
        ),
        McpTool::Diff => entry::<arguments::Diff, review::Differences>(
            tool,
            "What has changed in the files",
            "Show what differs from the real folder below as a patch that `git apply` takes. A long one comes in parts, \
             each of whole files: the answer says how to go on.",
            Reads,
        ),
        McpTool::KvGet => {
            entry::<arguments::Key, kv::Got>(tool, "Get a value", "Get a value from the key-value store", Reads)
        }
        McpTool::KvSet => {
            entry::<arguments::KvSet, kv::Done>(tool, "Set a value", "Set a value in the key-value store", Settles)
        }
        McpTool::KvDelete => entry::<arguments::Key, kv::Deleted>(
            tool,
            "Delete a value",
            "Delete a key from the key-value store",
            Settles,
        ),
        McpTool::KvList => entry::<arguments::KvList, kv::Keys>(
            tool,
            "List keys",
            "List keys in the key-value store with optional prefix",
            Reads,
        ),
    }
}

fn entry<In: JsonSchema + 'static, Out: JsonSchema + 'static>(
    tool: McpTool,
    title: &str,
    about: &'static str,
    effect: Effect,
) -> Tool {
    let hints = ToolAnnotations::with_title(title).open_world(false);
    let hints = match effect {
        Effect::Reads => hints.read_only(true),
        Effect::Adds => hints.read_only(false).destructive(false).idempotent(false),
        Effect::Settles => hints.read_only(false).destructive(true).idempotent(true),
        Effect::Changes => hints.read_only(false).destructive(true).idempotent(false),
    };
    Tool::new(tool.as_str(), about, plain(schema_for_type::<In>()))
        .with_title(title)
        .with_annotations(hints)
        .with_raw_output_schema(plain(schema_for_output::<Out>()))
}

/// Without what only says how our source calls it.
fn plain(schema: Arc<JsonObject>) -> Arc<JsonObject> {
    let mut schema = Arc::unwrap_or_clone(schema);
    for word in ["title", "$schema", "description"] {
        schema.remove(word);
    }
    Arc::new(schema)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_tool_is_told_of_in_full() {
        for known in McpTool::ALL {
            let told = tool(*known);
            assert_eq!(told.name, known.as_str());
            assert!(told.title.is_some() && told.description.is_some_and(|about| about.len() > 10));
            let hints = told.annotations.unwrap();
            assert_eq!((hints.open_world_hint, hints.read_only_hint.is_some()), (Some(false), true));
            for schema in [&told.input_schema, &told.output_schema.unwrap()] {
                assert_eq!(schema["type"], "object", "{known}");
                assert!(schema["properties"].as_object().is_some_and(|all| !all.is_empty()), "{known}");
            }
            for (name, argument) in told.input_schema["properties"].as_object().unwrap() {
                assert!(argument["description"].is_string(), "{known} {name}");
            }
            assert_eq!(told.input_schema["additionalProperties"], false, "{known}");
        }
    }
}
