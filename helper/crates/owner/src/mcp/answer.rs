//! What a tool answers, and what a client gets of it.

use nixbox_report::Report;
use rmcp::model::{CallToolResult, ContentBlock};
use serde::Serialize;
use serde_json::Value;

pub(super) struct Answer {
    /// In upstream's words, where upstream has the tool.
    text: String,
    /// What an agent has to know beside it: that this was not all, and how to go on.
    note: Option<String>,
    structured: Value,
    /// For the record, which has no room for content.
    pub recorded: Value,
}

impl Answer {
    pub fn new(text: impl Into<String>, structured: impl Serialize) -> Self {
        // Our own structures, with names for keys: nothing in them that JSON cannot say.
        let structured = serde_json::to_value(structured).unwrap_or_default();
        Self { text: text.into(), note: None, structured, recorded: Value::Object(Default::default()) }
    }

    pub fn note(mut self, note: Option<String>) -> Self {
        self.note = note;
        self
    }

    pub fn recorded(mut self, result: Value) -> Self {
        self.recorded = result;
        self
    }
}

impl From<Answer> for CallToolResult {
    fn from(answer: Answer) -> Self {
        let texts = std::iter::once(answer.text).chain(answer.note);
        let mut result = Self::success(texts.map(ContentBlock::text).collect());
        result.structured_content = Some(answer.structured);
        result
    }
}

/// In the words that verbs print.
pub(super) fn failed(report: &Report) -> CallToolResult {
    let mut result = CallToolResult::error(vec![ContentBlock::text(nixbox_report::text(report, false).trim_end())]);
    result.structured_content = Some(nixbox_report::json(report));
    result
}
