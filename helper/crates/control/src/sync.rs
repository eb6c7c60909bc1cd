//! An instance and its remote.

use serde::{Deserialize, Serialize};

/// Names are paths from the root, and of values `kv:` and the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum SyncRequest {
    /// Changes nothing. Answered with a body of [`SyncLine`]s: the lease, what there is to do, and conflicts.
    Look,
    /// What the remote has comes here. Answered with a body of one [`SyncLine::Done`].
    Pull,
    /// The same, and then what is here goes there.
    Push,
    /// The content of these, or of all, comes here where it is not yet. Answered with a body of one [`SyncLine::Loaded`].
    Fetch { paths: Vec<String> },
    /// The next pull or push takes this side, as both are at this moment.
    Resolve { name: String, take: SyncSide },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SyncSide {
    Ours,
    Theirs,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "kebab-case")]
pub enum SyncLine {
    Lease(SyncLease),
    ToPush(SyncChange),
    ToPull(SyncChange),
    Conflict(SyncChange),
    /// What is not here of what came.
    Absent(SyncContent),
    Loaded(SyncContent),
    Done(SyncDone),
}

/// Who may write to the remote now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SyncLease {
    /// It is this instance.
    pub ours: bool,
    pub who: String,
    pub host: String,
    /// Seconds since 1970, by the remote's clock.
    pub since: f64,
    /// How many seconds it is good for; none where it is free.
    pub left: Option<f64>,
    pub fence: i64,
}

/// Of a conflict `before` is ours and `after` theirs. None where it is not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncChange {
    pub name: String,
    pub before: Option<SyncLook>,
    pub after: Option<SyncLook>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncLook {
    /// `file`, `folder`, `link`, `name`, `value`, `fifo`, `socket` or `device`.
    pub kind: String,
    /// The lower twelve mode bits.
    pub mode: u16,
    /// Of a file.
    pub size: Option<u64>,
    /// Seconds since 1970; none of folders and values.
    pub mtime: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncContent {
    pub files: u64,
    pub bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncDone {
    /// Files, folders, links and values.
    pub pulled: u64,
    pub pushed: u64,
    /// Of content that came, and of all that went.
    pub bytes_in: u64,
    pub bytes_out: u64,
}
