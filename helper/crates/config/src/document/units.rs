//! What is kept up, and how: jobs, restarts, health, order.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::At;
use crate::processors::Processors;
use crate::size::Size;
use crate::span::Span;
use crate::words::{Condition, RestartOn};

/// A command that is kept running inside an instance, as `nixbox-helper exec` runs one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[schemars(extend("required" = ["exec"]))]
#[serde(deny_unknown_fields)]
pub(crate) struct JobDocument {
    /// Whether the job is brought up.
    #[schemars(extend("default" = true))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable: Option<At<bool>>,
    /// The instance that it runs in. Without it the default one.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<At<String>>,
    /// The program and its arguments. No shell reads them; where one should: `["sh", "-c", "…"]`.
    #[schemars(length(min = 1), inner(length(min = 1)))]
    pub exec: Vec<At<String>>,
    /// The folder to begin in, from the project folder as the job sees it. Without it that folder.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cwd: Option<At<String>>,
    /// Variables for it. Never a secret: name a file that holds it (`…_FILE`).
    #[schemars(default, extend("propertyNames" = { "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" }))]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, At<String>>,
    /// What has to be there before it starts, by the name of a job or an instance: `ready`, `started` or `completed`.
    /// That its own instance has to be ready goes without saying.
    #[schemars(default)]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub depends_on: BTreeMap<String, At<Condition>>,
    /// When it is started again. Without this table after a failure, five times a minute at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart: Option<At<RestartDocument>>,
    /// A check whether it is well. With one it is ready when that succeeds for the first time, without as soon as it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<At<HealthDocument>>,
    /// What of the instance it is started anew for when it changes. Without this table nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watch: Option<At<WatchDocument>>,
    /// Who runs it, as `USER` or `USER:GROUP`, by name or number; for root alone.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<At<String>>,
    /// The file that is its standard input, relative to the project root. Without it that is empty.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stdin: Option<At<String>>,
    /// How much of its output is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<At<LogDocument>>,
    /// What it may take of the machine, with all that it starts. Without one of these, what the instance says under
    /// `limits`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<At<ShareDocument>>,
}

/// Files at whose change a job is started anew. A command that ends by itself is then run again at the next change,
/// unless `restart.on` is `always` or `unless-stopped`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WatchDocument {
    /// Files and folders with all in them, from the project folder as the job sees it. Without it that folder.
    #[schemars(default, inner(length(min = 1), pattern("^[^/]")))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<At<String>>,
    /// What of these does not matter, as patterns of a `.gitignore` without `!`, from the project folder on. `.git` and
    /// what `exclude` hides never matter.
    #[schemars(default, inner(length(min = 1), pattern("^[^!]")))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<At<String>>,
    /// So long nothing more may have changed before it is started anew, so that a change of many files is one.
    #[schemars(extend("default" = "300ms"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub debounce: Option<At<Span>>,
}

/// When something that has ended is started again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RestartDocument {
    /// After which ends: `never`, `on-failure`, `always`, or `unless-stopped`, which is as `always` but leaves alone what
    /// was stopped by hand until somebody names it.
    #[schemars(extend("default" = "on-failure"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on: Option<At<RestartOn>>,
    /// So many restarts within `window`; after that it is left as it is.
    #[schemars(range(max = 1000000u32), extend("default" = 5))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<At<u32>>,
    /// The time in which restarts are counted. What has run for so long begins anew.
    #[schemars(extend("default" = "1min"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<At<Span>>,
    /// How long to wait before a restart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff: Option<At<BackoffDocument>>,
}

/// How long to wait before a restart.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BackoffDocument {
    /// Before the first.
    #[schemars(extend("default" = "500ms"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<At<Span>>,
    /// Before any.
    #[schemars(extend("default" = "30s"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<At<Span>>,
    /// So many times as long each time.
    #[schemars(range(min = 1, max = 100), extend("default" = 2))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub factor: Option<At<u32>>,
}

/// A check whether something is well, made again and again: a command or an address.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[schemars(extend(
    "anyOf" = [
        { "required": ["exec"], "properties": { "exec": { "minItems": 1 } } },
        { "required": ["http"] },
    ],
    "not" = { "required": ["exec", "http"], "properties": { "exec": { "minItems": 1 } } },
))]
#[serde(deny_unknown_fields)]
pub(crate) struct HealthDocument {
    /// A program and its arguments, which ends with 0 where all is well. Of a job it runs where the job does, of an
    /// instance in the project root.
    #[schemars(default, inner(length(min = 1)))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exec: Vec<At<String>>,
    /// `http://HOST:PORT/PATH`, which answers with a status from 200 to 299 where all is well.
    #[schemars(regex(pattern = "^http://[^/@?#\\s:]+(:[1-9][0-9]*)?(/\\S*)?$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<At<String>>,
    /// From the end of one check to the next.
    #[schemars(extend("default" = "10s"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<At<Span>>,
    /// How long one may take. After that it has failed, and is killed with all that it has started.
    #[schemars(extend("default" = "5s"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<At<Span>>,
    /// So many failures in a row mean that it is not well; what then happens is for `restart` to say.
    #[schemars(range(min = 1, max = 1000), extend("default" = 3))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<At<u32>>,
    /// Failures count only so long after a start, or after the first success.
    #[schemars(extend("default" = "0ms"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_period: Option<At<Span>>,
}

/// What a job may take of the machine, with all that it starts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShareDocument {
    /// So many processors at a time, such as `1.5`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<At<Processors>>,
    /// Memory, such as `"1GiB"`. What needs more is killed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<At<Size>>,
    /// Processes and threads. Beyond it starting one fails with EAGAIN.
    #[schemars(range(min = 1, max = 4194304))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids: Option<At<u32>>,
    /// How long it may run. After that it is told to end, and killed five seconds later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<At<Span>>,
}

/// How much output is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogDocument {
    /// A file that would grow beyond this is put aside, and a new one begun.
    #[schemars(extend("default" = "10MiB"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_size: Option<At<Size>>,
    /// So many that were put aside are kept.
    #[schemars(range(max = 100), extend("default" = 5))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep: Option<At<u32>>,
}
