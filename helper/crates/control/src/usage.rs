use serde::{Deserialize, Serialize};

/// What was asked of an instance's files since its owner has had the database open, and how much there is of that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Of any kind, by the mount, verbs and tools.
    pub operations: u64,
    pub reads: u64,
    pub read_bytes: u64,
    pub writes: u64,
    pub written_bytes: u64,
    pub open_files: u64,
    pub database_bytes: u64,
    /// Of its log, which is not yet in the database file.
    pub log_bytes: u64,
}
