//! How a verb and an owner talk: one JSON object a line over a Unix socket, and bodies of any size in frames.
//!
//! A connection carries one request.
//!
//! - `status`, `usage` and `stop` get one answer; `subscribe` gets the status now and again after every change, until either
//!   side closes.
//! - `kv`, `tool`, `timeline`, `files`, `review`, `snapshot` and `sync` get one answer. A request that brings a body ([`Request::has_body`]) is first
//!   answered with `go`; only then the body is sent, so a refusal costs nothing and can be tried again elsewhere.
//!   The answer `body` is followed by one.
//!
//! - `mcp` is answered with `yours`; from there on both sides speak the Model Context Protocol, a message a line, until one
//!   of them closes.
//!
//! A body is a row of frames: four bytes, big-endian, say how long a frame is ([`MAX_FRAME`] at most), then come its
//! bytes as they are. A frame of length 0 is the end of a whole body. The length `FF FF FF FF` says that the sender
//! cannot go on; from an owner, a line `refused` follows it. A connection that closes before either has broken off,
//! and nobody takes its body for a whole one. Bodies that hold several things are JSON objects a line.
//!
//! Who serves a remote of this project's own is asked the same way, with words of its own ([`HostedRequest`]).
//!
//! An owner that only answers one request speaks the same over the socket that is its standard input.

mod apply;
mod body;
mod client;
mod hosted;
mod message;
mod name;
mod operation;
mod review;
mod snapshot;
mod sync;
mod upkeep;
mod usage;
mod wire;

pub use apply::{Applied, FileOperation, MAX_OPERATIONS, MAX_OPERATIONS_BYTES, Permissions};
pub use body::{BROKEN_OFF, Frame, MAX_FRAME, frame_header, read_frame, write_frame};
pub use client::{Client, Conversation, Error, Subscription};
pub use hosted::{Hold, Hosted, HostedPhase, HostedRequest, HostedResponse, HostedStatus};
pub use message::{HttpStatus, MountStatus, NfsStatus, Phase, Refusal, Request, Response, Status};
pub use name::Name;
pub use operation::{
    ExportForm, FileEntry, FileKind, FilesRequest, KvEntry, KvRequest, Layer, TimelineRequest, ToolCall, ToolDetails,
    ToolRequest,
};
pub use review::{Change, ChangeKind, Compared, Difference, ReviewRequest, Side};
pub use snapshot::{Snapshot, SnapshotRequest};
pub use sync::{
    SyncChange, SyncContent, SyncDone, SyncEntry, SyncFailure, SyncLease, SyncLine, SyncLook, SyncPhase, SyncProgress,
    SyncRequest, SyncSide, SyncSizes, SyncState, SyncSuccess,
};
pub use upkeep::{Checked, Finding, Migrated};
pub use usage::Usage;
pub use wire::{MAX_LINE, decode, encode};
