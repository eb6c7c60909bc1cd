//! `nixbox.toml` as it is written: what a person or the Nix modules put into the file, nothing resolved. The JSON
//! Schema is made from these types, and `render` writes them out again.

mod schedules;
mod units;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, Serializer};

use crate::processors::Processors;
use crate::size::Size;
use crate::span::Span;
use crate::words::{Backend, Cipher, Condition, Engine, HookEvent, LogLevel, McpTool, Mode, Offline, SyncMode};

pub(crate) use schedules::ScheduleDocument;
pub(crate) use units::{
    BackoffDocument, HealthDocument, JobDocument, LogDocument, RestartDocument, ShareDocument, WatchDocument,
};

/// A value and the line that it stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct At<T> {
    pub value: T,
    pub line: usize,
}

impl<T> At<T> {
    /// For documents that were not read from a file.
    pub fn nowhere(value: T) -> Self {
        Self { value, line: 0 }
    }
}

impl<T: Serialize> Serialize for At<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// The AgentFS instances of a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(title = "nixbox.toml")]
#[serde(deny_unknown_fields)]
pub(crate) struct Document {
    /// Version of this format.
    #[schemars(extend("const" = 1))]
    pub version: At<u32>,
    /// Where the databases live, relative to the project root. `$AGENTFS_DATA_DIR` overrides it; without either it
    /// is `$DEVENV_STATE/agentfs`, else `.agentfs`.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<At<String>>,
    /// Where sockets and tokens live while an owner runs, relative to the project root. Without it
    /// `$DEVENV_RUNTIME/agentfs`, else a folder of the project's own below `$XDG_RUNTIME_DIR/nixbox`.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime_dir: Option<At<String>>,
    /// Upstream's program, for instances with `engine = "agentfs"`, relative to the project root. `$NIXBOX_AGENTFS`
    /// overrides it; without either it is looked for on PATH.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agentfs_program: Option<At<String>>,
    /// The instance that the unprefixed `AGENTFS_*` variables mean. Without it the only enabled instance, else the
    /// one named `default`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_instance: Option<At<String>>,
    /// How much the programs say on stderr.
    #[schemars(extend("default" = "info"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_level: Option<At<LogLevel>>,
    /// The databases that instances are synced with, by name: lower case letters, digits, `-` and `_`, at most 63.
    #[schemars(default, extend("propertyNames" = { "pattern": "^[a-z0-9][a-z0-9_-]*$", "maxLength": 63 }))]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub remotes: BTreeMap<String, At<RemoteDocument>>,
    /// The instances, by name: lower case letters, digits, `-` and `_`, at most 63.
    #[schemars(default, extend("propertyNames" = { "pattern": "^[a-z0-9][a-z0-9_-]*$", "maxLength": 63 }))]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub instances: BTreeMap<String, At<InstanceDocument>>,
    /// The jobs, by name: as instances are named, and none as one of them.
    #[schemars(default, extend("propertyNames" = { "pattern": "^[a-z0-9][a-z0-9_-]*$", "maxLength": 63 }))]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub jobs: BTreeMap<String, At<JobDocument>>,
    /// What is run at certain times, by name: as instances are named, and none as one of them, or as a job.
    #[schemars(default, extend("propertyNames" = { "pattern": "^[a-z0-9][a-z0-9_-]*$", "maxLength": 63 }))]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub schedules: BTreeMap<String, At<ScheduleDocument>>,
}

/// One AgentFS database and everything declared around it. An empty table is complete.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[schemars(extend("allOf" = [
    {
        "if": { "required": ["exclude"], "properties": { "exclude": { "minItems": 1 } } },
        "then": { "required": ["base"] },
    },
    {
        "if": { "required": ["mode"], "properties": { "mode": { "const": "direct" } } },
        "then": {
            "required": ["base"],
            "properties": { "limits": { "not": { "anyOf": [{ "required": ["size"] }, { "required": ["files"] }] } } },
        },
    },
    {
        "if": { "required": ["mode"], "properties": { "mode": { "const": "ephemeral" } } },
        "then": { "not": { "required": ["encryption"] } },
    },
    {
        "if": { "required": ["base"] },
        "then": { "properties": { "sync": { "not": { "required": ["partial"] } } } },
    },
    {
        "if": { "required": ["sync"] },
        "then": {
            "not": { "required": ["encryption"] },
            "properties": { "mode": { "const": "overlay" } },
        },
    },
]))]
#[serde(deny_unknown_fields)]
pub(crate) struct InstanceDocument {
    /// Whether the instance is brought up.
    #[schemars(extend("default" = true))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable: Option<At<bool>>,
    /// A line for people, shown by `ps` and `info`.
    #[schemars(extend("default" = ""))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<At<String>>,
    /// What works on the database: nixbox itself, or upstream's program `agentfs`, which has less: see the guide.
    #[schemars(extend("default" = "builtin"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<At<Engine>>,
    /// The folder that the instance lies over, relative to the project root: its files are seen in the instance, and
    /// never written to. Without it the instance begins empty.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<At<String>>,
    /// Patterns, as in a `.gitignore`, of what the instance does not show of its base.
    #[schemars(default, inner(length(min = 1), pattern("^[^!]")))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<At<String>>,
    /// Where changes go: `overlay` keeps them in the database and the base as it is; `direct` writes to the base itself,
    /// and there is nothing to review; `ephemeral` forgets them when the owner stops.
    #[schemars(extend("default" = "overlay"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<At<Mode>>,
    /// How much the instance may hold itself, and what each command in it may take. Without this table the disk and the
    /// machine are the limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<At<LimitsDocument>>,
    /// Free-form names and values to select instances by.
    #[schemars(default)]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, At<String>>,
    /// Extra variables that come with this instance. Never a secret: name a file that holds it (`…_FILE`).
    #[schemars(default, extend("propertyNames" = { "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" }))]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, At<String>>,
    /// Where and how the instance is mounted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mount: Option<At<MountDocument>>,
    /// The HTTP surface. Without this table there is none; an empty one means loopback on a free port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<At<HttpDocument>>,
    /// The instance over NFS. Without this table it is not; an empty one means loopback on a free port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nfs: Option<At<NfsDocument>>,
    /// Encrypts the database. Without this table it is plain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption: Option<At<EncryptionDocument>>,
    /// Syncs the instance with a remote. Without this table it is on this machine alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync: Option<At<SyncDocument>>,
    /// Commands that are run when something has happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hooks: Option<At<HooksDocument>>,
    /// What the instance offers to agents over MCP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mcp: Option<At<McpDocument>>,
    /// What has to be there before `up` starts it, by the name of a job or an instance: `ready`, `started` or `completed`.
    #[schemars(default)]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub depends_on: BTreeMap<String, At<Condition>>,
    /// When `up` starts its owner again. Without this table after a failure, five times a minute at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart: Option<At<RestartDocument>>,
    /// A check whether it is well, beside what its owner says of itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<At<HealthDocument>>,
}

/// A Turso or libSQL database, in the cloud or self-hosted, and where the token for it comes from: a file, a command or
/// a variable. The owner alone reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(extend(
    "anyOf" = [
        { "required": ["url"] },
        { "required": ["serve"], "properties": { "serve": { "not": {
            "required": ["enable"], "properties": { "enable": { "const": false } }
        } } } },
    ],
    "not" = { "anyOf": [
        { "required": ["token_file", "token_env"] },
        { "required": ["token_file", "token_command"], "properties": { "token_command": { "minItems": 1 } } },
        { "required": ["token_env", "token_command"], "properties": { "token_command": { "minItems": 1 } } },
    ] }
))]
#[serde(deny_unknown_fields)]
pub(crate) struct RemoteDocument {
    /// Where it is: `libsql://…` or `https://…`; `http://…` on this machine, elsewhere only with `insecure`. Of one that is
    /// served here it is `http://127.0.0.1:PORT` where nothing is said.
    #[schemars(
        with = "Option<String>",
        regex(pattern = "^(libsql|https|http)://[^/@?#\\s:]+(:[1-9][0-9]*)?(/[^@?#\\s]*)?$")
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<At<String>>,
    /// The file that holds the token, relative to the project root. One that everybody can read is refused. Of a remote that
    /// is served here it is made where it is missing, and is in its folder where nothing is said.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<At<String>>,
    /// A program and its arguments, run without a shell in the project root, that prints the token.
    #[schemars(default, inner(length(min = 1)))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub token_command: Vec<At<String>>,
    /// The name of the environment variable that holds the token when the owner starts. Where nothing is said it is
    /// `TURSO_DB_AUTH_TOKEN`, and none is sent where that is not set.
    #[schemars(regex(pattern = "^[A-Za-z_][A-Za-z0-9_]*$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_env: Option<At<String>>,
    /// Allow `http://` to another machine. Whoever is on the way reads the token and everything else.
    #[schemars(extend("default" = false))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insecure: Option<At<bool>>,
    /// Serves the remote from this machine: `nixbox-helper remote serve`. Without this table it is somebody else's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serve: Option<At<ServeDocument>>,
}

/// A remote of one's own: `tursodb --sync-server` on a database in `DATA_DIR/remotes/NAME`, reached only through a proxy on
/// `127.0.0.1` that asks for the token.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServeDocument {
    /// False: it is not served, as if this table were not there.
    #[schemars(extend("default" = true))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable: Option<At<bool>>,
    /// The port on `127.0.0.1`.
    #[schemars(range(min = 1), extend("default" = 7440))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<At<u16>>,
    /// Turso's program `tursodb`, relative to the project root. Where nothing is said it is the one on `PATH`.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<At<String>>,
    /// What the machine may be called by, beside `localhost` and its loopback addresses: the name under which a proxy with TLS
    /// in front passes requests on.
    #[schemars(default, inner(length(max = 253), pattern("^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<At<String>>,
    /// Warn when the database's log is larger, such as `"2GiB"`. It keeps every change for ever.
    #[schemars(extend("default" = "1GiB"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wal_alarm: Option<At<Size>>,
}

/// With what an instance is synced, and when: what it holds goes there, and what others have put there comes here.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[schemars(extend("required" = ["remote"], "allOf" = [
    {
        "if": { "required": ["interval"] },
        "then": { "required": ["mode"], "properties": { "mode": { "enum": ["periodic", "follow"] } } },
    },
    {
        "if": { "required": ["debounce"] },
        "then": { "required": ["mode"], "properties": { "mode": { "const": "real-time" } } },
    },
    {
        "if": { "required": ["push_on_stop"], "properties": { "push_on_stop": { "const": true } } },
        "then": { "properties": { "mode": { "enum": ["manual", "periodic", "real-time"] } } },
    },
    {
        "if": { "required": ["pull_on_start"], "properties": { "pull_on_start": { "const": false } } },
        "then": { "properties": { "mode": { "enum": ["manual", "follow"] } } },
    },
    {
        "if": { "required": ["offline"] },
        "then": { "anyOf": [
            { "required": ["mode"], "properties": { "mode": { "enum": ["periodic", "real-time"] } } },
            {
                "required": ["mode"],
                "properties": { "mode": { "const": "follow" }, "pull_on_start": { "const": true } },
            },
            {
                "required": ["pull_on_start"],
                "properties": { "mode": { "const": "manual" }, "pull_on_start": { "const": true } },
            },
        ] },
    },
]))]
#[serde(deny_unknown_fields)]
pub(crate) struct SyncDocument {
    /// The name of one of `remotes`.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<At<String>>,
    /// Names and metadata come with a pull, and content when it is read. Without this table all of it comes at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partial: Option<At<PartialDocument>>,
    /// When: `manual`, when somebody says so with `nixbox-helper sync`; `periodic`, every `interval`; `real-time`, soon
    /// after each change; `follow` only takes what others write, and is read-only. In `periodic` and `real-time` the owner
    /// holds the remote's lease for as long as it runs, and nobody else writes there.
    #[schemars(extend("default" = "manual"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<At<SyncMode>>,
    /// How long from one sync to the next, such as `"30s"` or `"5min"`, at least `"1s"`; a little more or less
    /// each time, so that not all machines come at once. In `periodic` and `follow`.
    #[schemars(with = "String", regex(pattern = "^(0*[1-9][0-9]* ?(s|min|h)|0*[1-9][0-9]{3,} ?ms)$"), extend("default" = "30s"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<At<Span>>,
    /// How long nothing must change before it is pushed, such as `"500ms"`, at least `"10ms"`; where it goes on
    /// changing, ten times that. In `real-time`.
    #[schemars(with = "String", regex(pattern = "^(0*[1-9][0-9]* ?(s|min|h)|0*[1-9][0-9]+ ?ms)$"), extend("default" = "500ms"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub debounce: Option<At<Span>>,
    /// Take what the remote has before the instance is ready. By default in every mode but `manual`; those that write by
    /// themselves always do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull_on_start: Option<At<bool>>,
    /// Push what is here when the owner stops, as far as its last seconds allow. By default in `periodic` and `real-time`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub push_on_stop: Option<At<bool>>,
    /// What a start does that cannot reach the remote: `refuse` ends, `allow` goes on with what is here.
    #[schemars(extend("default" = "refuse"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offline: Option<At<Offline>>,
    /// How long the remote's lease is good for without being renewed, at least `"2s"`: how long others wait for a
    /// machine that was cut off, and how long one may be cut off that writes.
    #[schemars(with = "String", regex(pattern = "^(0*([2-9]|[1-9][0-9]+) ?s|0*[1-9][0-9]* ?(min|h)|0*([2-9][0-9]{3}|[1-9][0-9]{4,}) ?ms)$"), extend("default" = "2min"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease: Option<At<Span>>,
}

/// What of the content comes before it is read. An empty table is complete: nothing does.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PartialDocument {
    /// Load the rest while the owner serves, after whoever reads. Without it, it waits for readers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefetch: Option<At<bool>>,
    /// How much of a file comes at once, around what is read: from 4 KiB to 1 MiB, what is less or more counting as that.
    /// Without it 128 KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment_size: Option<At<Size>>,
    /// What comes with a pull: one `SELECT` that the remote answers with inode numbers or paths, one a row.
    #[schemars(regex(pattern = "^[Ss][Ee][Ll][Ee][Cc][Tt][ \\t\\r\\n][^;]*$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bootstrap_query: Option<At<String>>,
    /// How much of the content comes with a pull, the smallest files first. Without it nothing does but what
    /// `bootstrap_query` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bootstrap_length: Option<At<Size>>,
}

/// Commands that are run, one after another, when something has happened: each a program and its arguments, without a
/// shell, in the project root. It gets a JSON object on its standard input, and 30 seconds. One that fails is told in
/// `nixbox-helper sync log`, and keeps nobody.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HooksDocument {
    /// After its database was made.
    #[schemars(default, inner(length(min = 1)))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub created: Vec<At<Command>>,
    /// When it can be used, each time that it comes up.
    #[schemars(default, inner(length(min = 1)))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ready: Vec<At<Command>>,
    /// When its `health` check has failed too often, where `up` keeps it up.
    #[schemars(default, inner(length(min = 1)))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unhealthy: Vec<At<Command>>,
    /// When it was started again because it had ended, or was not well, where `up` keeps it up.
    #[schemars(default, inner(length(min = 1)))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub restarted: Vec<At<Command>>,
    /// When its owner has ended, and nothing is mounted or held any more. Not where that was killed.
    #[schemars(default, inner(length(min = 1)))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stopped: Vec<At<Command>>,
    /// After a command in it, by `exec` or a job.
    #[schemars(default, inner(length(min = 1)))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exec: Vec<At<Command>>,
    /// After a snapshot was made of it.
    #[schemars(default, inner(length(min = 1)))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub snapshot: Vec<At<Command>>,
    /// After a sync that changed something, here or on the remote.
    #[schemars(default, inner(length(min = 1)))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sync: Vec<At<Command>>,
    /// After a sync that found something which both sides changed in different ways.
    #[schemars(default, inner(length(min = 1)))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conflict: Vec<At<Command>>,
}

impl HooksDocument {
    pub fn each(&self) -> [(HookEvent, &Vec<At<Command>>); 9] {
        [
            (HookEvent::Created, &self.created),
            (HookEvent::Ready, &self.ready),
            (HookEvent::Unhealthy, &self.unhealthy),
            (HookEvent::Restarted, &self.restarted),
            (HookEvent::Stopped, &self.stopped),
            (HookEvent::Exec, &self.exec),
            (HookEvent::Snapshot, &self.snapshot),
            (HookEvent::Sync, &self.sync),
            (HookEvent::Conflict, &self.conflict),
        ]
    }
}

/// A program and its arguments.
pub(crate) type Command = Vec<At<String>>;

/// How much an instance may hold, where of a base counts only what has been changed, and so copied; and what each
/// command and each job in it may take of the machine, with all that it starts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitsDocument {
    /// Bytes of content, such as `"2GiB"` or `"500MB"`. Beyond it writing fails with ENOSPC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<At<Size>>,
    /// Files, folders and links together. Beyond it making one fails with EDQUOT.
    #[schemars(range(min = 1, max = 9007199254740991u64))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<At<u64>>,
    /// So many processors at a time, such as `1.5`, for a command in the instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<At<Processors>>,
    /// Memory, such as `"1GiB"`, for a command in the instance: what needs more is killed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<At<Size>>,
    /// Processes and threads of a command in the instance. Beyond it starting one fails with EAGAIN.
    #[schemars(range(min = 1, max = 4194304))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids: Option<At<u32>>,
    /// How long a command in the instance may take. After that it is told to end, and killed five seconds later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<At<Span>>,
}

/// Where and how an instance is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[schemars(extend("not" = {
    "required": ["allow_root", "allow_other"],
    "properties": { "allow_root": { "const": true }, "allow_other": { "const": true } },
}))]
#[serde(deny_unknown_fields)]
pub(crate) struct MountDocument {
    /// The mountpoint, relative to the project root. Without it `mnt/NAME` in the data folder.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<At<String>>,
    /// How to mount: `auto` takes FUSE, and the kernel's NFS where there is no FUSE; `none` does not mount at all.
    #[schemars(extend("default" = "auto"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend: Option<At<Backend>>,
    /// Refuse writes through the mount.
    #[schemars(extend("default" = false))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_only: Option<At<bool>>,
    /// Let root, too, enter the mount. Not together with `allow_other`.
    #[schemars(extend("default" = false))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_root: Option<At<bool>>,
    /// Let every user enter the mount. Needs `user_allow_other` in /etc/fuse.conf.
    #[schemars(extend("default" = false))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_other: Option<At<bool>>,
    /// Show every file as owned by this user id, whatever the database says.
    #[schemars(range(max = 4294967294u32))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<At<u32>>,
    /// Show every file as owned by this group id, whatever the database says.
    #[schemars(range(max = 4294967294u32))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gid: Option<At<u32>>,
    /// Create the mountpoint where it is missing, and remove it again after unmounting.
    #[schemars(extend("default" = true))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub create: Option<At<bool>>,
}

/// The HTTP surface of an instance: health, metrics, status, events, MCP.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpDocument {
    /// The address to listen on: of loopback, unless `expose` allows another.
    #[schemars(extend("default" = "127.0.0.1"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind: Option<At<IpAddr>>,
    /// The port to listen on; 0 picks a free one, which the owner records.
    #[schemars(extend("default" = 0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<At<u16>>,
    /// Allow `bind` to be an address that other machines reach. What they send is not encrypted.
    #[schemars(extend("default" = false))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expose: Option<At<bool>>,
    /// Names that callers may use for this machine, beside `localhost` and the address that they connect to. A request
    /// with any other name in its Host or Origin header is refused.
    #[schemars(default, inner(length(max = 253), pattern("^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<At<String>>,
}

/// What an instance offers to agents over MCP, on standard input and at `/mcp` of the HTTP surface.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct McpDocument {
    /// The tools that may be called. Without this key all of them; an empty array means none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<At<McpTool>>>,
}

/// An instance over NFS version 3, which knows no password: whoever reaches the port is who he says he is.
/// `mount.read_only`, `mount.uid` and `mount.gid` hold for it, too, also where nothing is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NfsDocument {
    /// Whether it is served.
    #[schemars(extend("default" = true))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable: Option<At<bool>>,
    /// The address to listen on: of loopback, unless `expose` allows another.
    #[schemars(extend("default" = "127.0.0.1"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind: Option<At<IpAddr>>,
    /// The port to listen on; 0 picks a free one, which the owner records.
    #[schemars(extend("default" = 0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<At<u16>>,
    /// Allow `bind` to be an address that other machines reach. They may then do whatever they like with the instance.
    #[schemars(extend("default" = false))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expose: Option<At<bool>>,
}

/// How the database is encrypted, and where its key comes from: a file, a command or a variable, and one of them only.
/// The owner alone reads it, when it opens the database.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[schemars(extend("allOf" = [{ "oneOf": [
    { "required": ["key_file"] },
    { "required": ["key_command"], "properties": { "key_command": { "minItems": 1 } } },
    { "required": ["key_env"] },
] }]))]
#[serde(deny_unknown_fields)]
pub(crate) struct EncryptionDocument {
    /// The cipher. An existing database must have this one; `nixbox-helper rekey` gives it another.
    #[schemars(extend("default" = "aegis256"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cipher: Option<At<Cipher>>,
    /// The file that holds the key, relative to the project root: 64 hexadecimal digits, or 32 for a cipher with 128
    /// in its name. One that everybody can read is refused.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<At<String>>,
    /// A program and its arguments, run without a shell in the project root, that prints the key.
    #[schemars(default, inner(length(min = 1)))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub key_command: Vec<At<String>>,
    /// The name of the environment variable that holds the key when the owner starts.
    #[schemars(regex(pattern = "^[A-Za-z_][A-Za-z0-9_]*$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_env: Option<At<String>>,
}

impl Document {
    pub fn empty() -> Self {
        Self {
            version: At::nowhere(crate::reader::VERSION),
            data_dir: None,
            runtime_dir: None,
            agentfs_program: None,
            default_instance: None,
            log_level: None,
            remotes: BTreeMap::new(),
            instances: BTreeMap::new(),
            jobs: BTreeMap::new(),
            schedules: BTreeMap::new(),
        }
    }
}
