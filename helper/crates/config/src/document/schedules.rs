//! What is run at certain times.

use schemars::JsonSchema;
use serde::Serialize;

use super::At;
use crate::span::Span;
use crate::words::Overlap;

/// Something that is run at certain times, where `up` keeps the project up, or whoever runs it in its place.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[schemars(extend("allOf" = [
    { "oneOf": [{ "required": ["cron"] }, { "required": ["at"] }] },
    { "oneOf": [{ "required": ["run"] }, { "required": ["exec"] }] },
    { "if": { "required": ["timezone"] }, "then": { "required": ["cron"] } },
    { "if": { "required": ["instance"] }, "then": { "required": ["exec"] } },
]))]
#[serde(deny_unknown_fields)]
pub(crate) struct ScheduleDocument {
    /// Whether it is run by itself.
    #[schemars(extend("default" = true))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable: Option<At<bool>>,
    /// When, in the five fields of cron (minute, hour, day of the month, month, day of the week), with seconds before them
    /// or seconds before and years after them, or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`. Of a day of the
    /// month and one of the week either is enough.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cron: Option<At<String>>,
    /// Once, at a point in time as RFC 3339 has it, such as `"2026-11-21T06:45:00Z"`.
    #[schemars(
        with = "Option<String>",
        regex(
            pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$"
        )
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<At<String>>,
    /// Whose clocks `cron` is read by, such as `"Europe/Berlin"`. Without it this machine's.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<At<String>>,
    /// What is run: a verb of `nixbox-helper` with its arguments, such as `["sync", "push"]`.
    #[schemars(default, length(min = 1), inner(length(min = 1)))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub run: Vec<At<String>>,
    /// Or a program and its arguments, run in an instance as `nixbox-helper exec` runs one.
    #[schemars(default, length(min = 1), inner(length(min = 1)))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exec: Vec<At<String>>,
    /// The instance that `exec` runs in. Without it the default one.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<At<String>>,
    /// What happens when its time comes while it still runs: `skip` leaves that one out, `queue` runs it when the other
    /// has ended, of several one, and `allow` runs it beside the other.
    #[schemars(extend("default" = "skip"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlap: Option<At<Overlap>>,
    /// Up to so much later than `cron` or `at` says, each time by another time, which is always the same for that time.
    #[schemars(extend("default" = "0ms"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter: Option<At<Span>>,
    /// Run it once for all the times that have come while nothing kept it, or the machine slept.
    #[schemars(extend("default" = false))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub catch_up: Option<At<bool>>,
}
