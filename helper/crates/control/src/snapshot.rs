//! Frozen copies of an instance.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum SnapshotRequest {
    /// Newest first. Answered with a body of [`Snapshot`]s.
    List,
    /// Makes one. Answered with a body of one [`Snapshot`].
    Keep {
        /// What it is that it is kept from: one word.
        before: String,
    },
}

/// One of them, as it is kept beside its copy and as it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    pub id: String,
    /// Milliseconds since 1970.
    pub at: u64,
    /// What it was made before: `sync`, `enable`, `disable`, `take`, `restore` or `run`.
    pub before: String,
    /// Of the copy.
    pub bytes: u64,
}
