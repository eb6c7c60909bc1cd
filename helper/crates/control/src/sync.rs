//! An instance and its remote.

use serde::{Deserialize, Serialize};

/// Names are paths from the root, and of values `kv:` and the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum SyncRequest {
    /// Changes nothing. Answered with a body of [`SyncLine`]s: how it stands here, then what only the remote knows: the lease,
    /// what there is to do, and conflicts.
    Look,
    /// Answered with a body of [`SyncLine::State`]s: how it stands here, then again after every change, without end.
    Watch,
    /// What the remote has comes here. Answered with a body of any number of [`SyncLine::Progress`] and one
    /// [`SyncLine::Done`]. Closing the connection calls it off: nothing is changed then, unless it was on its way there.
    Pull,
    /// The same, and then what is here goes there. `again`: also to a remote that was put back to an older state, where
    /// nothing is agreed on any more.
    Push {
        #[serde(default)]
        again: bool,
    },
    /// The remote's lease is taken, and kept until it is released or the owner ends. `force`: from whoever has it.
    /// Answered with a body of one [`SyncLine::State`], and a [`SyncLine::Done`] of what was synced with it.
    Take {
        #[serde(default)]
        force: bool,
    },
    /// What is here is pushed, and the lease given back. Answered as a take is.
    Release,
    /// The content of these, or of all, comes here where it is not yet. Answered with [`SyncLine::Progress`] and one
    /// [`SyncLine::Loaded`].
    Fetch { paths: Vec<String> },
    /// The next pull or push takes this side, as both are at this moment. No name: of all that is in conflict. Answered
    /// with a body of [`SyncLine::Conflict`]s, which are none any more.
    Resolve { name: Option<String>, take: SyncSide },
    /// What was synced, newest first, so many at most. Answered with a body of [`SyncLine::Logged`].
    Log { limit: u64 },
    /// The logs of the database, and of the copy of the remote, become part of them. Answered with a body of one
    /// [`SyncLine::Checkpointed`].
    Checkpoint,
    /// The first sync of an instance that was none before. Answered as `push` is. Where the remote holds something that
    /// the instance has not, it is refused without `merge`.
    Begin { merge: bool },
    /// The last one: nothing is agreed on any more. Answered with a body of one [`SyncLine::Done`]. Where not all is on the
    /// remote, it is refused without `force`.
    End { force: bool },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SyncSide {
    Ours,
    Theirs,
    Both,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "kebab-case")]
pub enum SyncLine {
    State(SyncState),
    Lease(SyncLease),
    ToPush(SyncChange),
    ToPull(SyncChange),
    Conflict(SyncChange),
    /// What is not here of what came.
    Absent(SyncContent),
    Loaded(SyncContent),
    Progress(SyncProgress),
    Done(SyncDone),
    Logged(Box<SyncEntry>),
    Checkpointed(SyncSizes),
}

/// How an instance stands to its remote, as far as that is known without asking there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SyncState {
    /// `manual`, `periodic`, `real-time` or `follow`.
    pub mode: String,
    /// What is in it may be changed now.
    pub writable: bool,
    /// Why it may not, and what to do about that.
    pub why: Option<String>,
    pub help: Option<String>,
    /// The lease is ours: its number, and how many seconds it is good for.
    pub fence: Option<i64>,
    pub left: Option<f64>,
    /// Changes that the remote may not have yet; none where that was not looked at.
    pub pending: Option<u64>,
    /// How many seconds the oldest of them is old; where nothing is written here, the last look at the remote.
    pub lag: f64,
    /// Things that both sides changed, at the last sync.
    pub conflicts: u64,
    pub success: Option<SyncSuccess>,
    /// Since the last success.
    pub failure: Option<SyncFailure>,
    /// When the next sync comes by itself, in seconds since 1970.
    pub next: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SyncSuccess {
    /// Seconds since 1970, by this machine's clock.
    pub at: f64,
    pub pulled: u64,
    pub pushed: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SyncFailure {
    /// Seconds since 1970, by this machine's clock.
    pub at: f64,
    /// Out of the catalogue of failures, and stable.
    pub code: String,
    pub message: String,
    pub why: Option<String>,
    pub help: Option<String>,
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
    /// `file`, `folder`, `link`, `name`, `value`, `fifo`, `socket` or `device`; over a base `gone`, and `attributes` of what is
    /// the base's otherwise.
    pub kind: String,
    /// The lower twelve mode bits.
    pub mode: u16,
    /// Of a file.
    pub size: Option<u64>,
    /// Seconds since 1970; none of folders and values.
    pub mtime: Option<i64>,
    /// It stands in the place of something of the base.
    #[serde(default)]
    pub of_base: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncContent {
    pub files: u64,
    pub bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncDone {
    /// Files, folders, links and values.
    pub pulled: u64,
    pub pushed: u64,
    /// Of content that came, and of all that went.
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// What was here before, where something was changed here and something has given way.
    #[serde(default)]
    pub snapshot: Option<String>,
}

/// How far a sync is. What is not known is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncProgress {
    pub phase: SyncPhase,
    pub things: u64,
    pub of_things: u64,
    pub bytes: u64,
    pub of_bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SyncPhase {
    /// Bringing the copy of the remote up to date.
    Fetching,
    /// Looking at both sides.
    Comparing,
    /// Changing what is here.
    Applying,
    /// Making up what goes there.
    Packing,
    /// It is on its way, as one.
    Sending,
}

/// One line of the log of an instance's syncs, as it is kept and as it is told.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SyncEntry {
    /// Seconds since 1970.
    pub at: f64,
    /// `pull`, `push`, `take`, `resolve`, `enable`, `disable`, `hook`, `noticed`.
    pub did: String,
    pub remote: String,
    /// Seconds.
    pub took: f64,
    pub pulled: u64,
    pub pushed: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// The names of the first of them.
    pub conflicts: Vec<String>,
    pub of_conflicts: u64,
    pub snapshot: Option<String>,
    /// Out of the catalogue of failures, where it failed.
    pub code: Option<String>,
    pub message: Option<String>,
    /// How often in a row it failed so; `at` is the last time.
    pub times: u64,
}

/// Bytes on the disk, logs included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncSizes {
    pub before: u64,
    pub after: u64,
}
