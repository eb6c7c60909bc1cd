//! Key-value state and tool calls.

use super::rule::{Find, Repair, Rule};

macro_rules! no_json {
    () => {
        "(typeof(value) NOT IN ('text', 'integer', 'real') OR NOT json_valid(value))"
    };
}

macro_rules! no_status {
    () => {
        "(status IS NULL OR status NOT IN ('pending', 'success', 'error'))"
    };
}

macro_rules! no_time {
    () => {
        "(typeof(started_at) NOT IN ('integer', 'real') OR typeof(completed_at) NOT IN ('integer', 'real', 'null') \
         OR typeof(duration_ms) NOT IN ('integer', 'real', 'null') OR duration_ms < 0 OR completed_at < started_at - 1)"
    };
}

pub(super) const RULES: &[Rule] = &[
    Rule {
        code: "kv-value",
        what: "a value is not JSON",
        fix: Some("keep it as a JSON string; of bytes, as their hexadecimal digits"),
        on: &["kv_store"],
        find: Find::Rows(concat!("SELECT 'key `' || key || '`' FROM kv_store WHERE ", no_json!())),
        repair: Repair::Statements(&[concat!(
            "UPDATE kv_store SET value = json_quote(CASE typeof(value) WHEN 'blob' THEN hex(value) \
             ELSE CAST(coalesce(value, '') AS TEXT) END) WHERE ",
            no_json!()
        )]),
    },
    Rule {
        code: "tool-status",
        what: "a tool call's status is none of `pending`, `success`, `error`",
        fix: Some("set it to what its other columns say"),
        on: &["tool_calls"],
        find: Find::Rows(concat!("SELECT 'call ' || id FROM tool_calls WHERE ", no_status!())),
        repair: Repair::Statements(&[concat!(
            "UPDATE tool_calls SET status = CASE WHEN error IS NOT NULL THEN 'error' \
             WHEN completed_at IS NOT NULL THEN 'success' ELSE 'pending' END WHERE ",
            no_status!()
        )]),
    },
    Rule {
        code: "tool-times",
        what: "a tool call's times are no numbers, or it ends before it begins",
        fix: Some("keep when it ended; else take it for a call of no length"),
        on: &["tool_calls"],
        find: Find::Rows(concat!("SELECT 'call ' || id FROM tool_calls WHERE ", no_time!())),
        repair: Repair::Statements(&[concat!(
            "UPDATE tool_calls SET \
             started_at = CASE WHEN typeof(started_at) IN ('integer', 'real') THEN min(started_at, \
               CASE WHEN typeof(completed_at) IN ('integer', 'real') THEN completed_at ELSE started_at END) \
               WHEN typeof(completed_at) IN ('integer', 'real') THEN completed_at ELSE 0 END, \
             completed_at = CASE WHEN typeof(completed_at) IN ('integer', 'real') THEN completed_at END, \
             duration_ms = CASE WHEN typeof(duration_ms) IN ('integer', 'real') AND duration_ms >= 0 THEN duration_ms END \
             WHERE ",
            no_time!()
        )]),
    },
];
