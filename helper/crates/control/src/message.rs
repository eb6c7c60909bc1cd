use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::apply::Applied;
use crate::operation::{FilesRequest, KvRequest, TimelineRequest, ToolRequest};
use crate::review::ReviewRequest;
use crate::snapshot::SnapshotRequest;
use crate::sync::SyncRequest;
use crate::usage::Usage;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    Status,
    /// What was asked of its files so far.
    Usage,
    /// The status now, then again after every change.
    Subscribe,
    /// Stop serving; the answer comes when the owner has begun, the connection closes when it is gone. `keep`: an
    /// ephemeral instance is saved as its database first.
    Stop {
        #[serde(default)]
        keep: bool,
    },
    Kv(KvRequest),
    Tool(ToolRequest),
    Timeline(TimelineRequest),
    Files(FilesRequest),
    Review(ReviewRequest),
    Snapshot(SnapshotRequest),
    Sync(SyncRequest),
    /// From the answer on, the stream carries MCP, a message a line, until either side closes.
    Mcp,
}

impl Request {
    /// Does a body follow, once the owner says `go`?
    pub fn has_body(&self) -> bool {
        matches!(
            self,
            Self::Kv(KvRequest::Set { .. })
                | Self::Tool(_)
                | Self::Files(FilesRequest::Write { .. } | FilesRequest::Import { .. } | FilesRequest::Apply { .. })
        )
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "response", rename_all = "kebab-case")]
pub enum Response {
    Status(Status),
    Usage(Usage),
    Stopping,
    /// The request's body may come.
    Go,
    Done,
    /// Done, to the call of this number.
    Call {
        id: i64,
    },
    /// Done, all of it.
    Applied(Applied),
    /// A body follows.
    Body,
    /// The stream is the peer's, in the protocol that it has asked for.
    Yours,
    /// The request was not understood or not possible.
    Refused(Refusal),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Out of the catalogue of failures, and stable.
    pub code: String,
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// What an owner says of itself. Also published as `RUNTIME_DIR/NAME.json`, rewritten at every change, for
/// readers that must not wait (shell entry).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Version of this shape.
    pub schema: u32,
    pub instance: String,
    pub version: String,
    pub pid: i32,
    /// Together with the pid: the process, whatever has reused its number since.
    pub start_time: u64,
    /// Milliseconds since 1970.
    pub since: u64,
    pub phase: Phase,
    pub database: PathBuf,
    pub socket: PathBuf,
    pub mount: Option<MountStatus>,
    pub http: Option<HttpStatus>,
    #[serde(default)]
    pub nfs: Option<NfsStatus>,
}

/// Only a ready owner has a time at which it became so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Phase {
    Starting,
    /// `at`: milliseconds since 1970.
    Ready {
        at: u64,
    },
    Stopping,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountStatus {
    pub path: PathBuf,
    pub backend: String,
    pub read_only: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpStatus {
    /// With the port that was really bound.
    pub address: SocketAddr,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NfsStatus {
    /// With the port that was really bound.
    pub address: SocketAddr,
}

impl Status {
    pub const SCHEMA: u32 = 1;

    pub fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Ready { .. })
    }
}
