//! What `nixbox-owner fsck` and `nixbox-owner migrate` print: one JSON object. They work on a database that nobody has
//! open, so nobody is asked over a socket.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    pub found: Vec<Finding>,
    /// What is still wrong after a repair; of a look, all that was found.
    pub left: Vec<Finding>,
    /// The database as it was before a repair.
    pub backup: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub code: String,
    pub what: String,
    pub count: u64,
    /// The first of them.
    pub places: Vec<String>,
    /// What the repair does; none where there is no repair.
    pub fix: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Migrated {
    pub from: String,
    pub to: String,
    pub steps: Vec<String>,
    pub backup: Option<PathBuf>,
}
