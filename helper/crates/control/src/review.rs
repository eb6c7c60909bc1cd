//! What an instance comes to against its base.

use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::operation::FileKind;

/// `paths`: files, folders and patterns of the instance, from its root; none means all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum ReviewRequest {
    /// Answered with a body of [`Change`] lines, in the order of their paths.
    Changes { paths: Vec<Name> },
    /// Answered with a body of [`Difference`] lines. `patch`: with what is in the files.
    Differences { paths: Vec<Name>, patch: bool },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Where it is, or was where it is gone.
    pub path: Name,
    pub kind: ChangeKind,
    /// Where it was, if it was renamed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Name>,
    /// Whether its bytes or its target differ, of what is there before and after.
    pub content: bool,
    /// Whether its permissions or its owner do.
    pub mode: bool,
    /// The base's file is no longer what it was when it was first written to here.
    pub diverged: bool,
    pub before: Option<Side>,
    pub after: Option<Side>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    Added,
    Modified,
    Deleted,
    Renamed,
    TypeChanged,
}

/// An entry in the base, or in the view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    pub kind: FileKind,
    /// The lower twelve mode bits.
    pub mode: u16,
    pub uid: u32,
    pub gid: u32,
    pub size: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    #[serde(flatten)]
    pub change: Change,
    pub compared: Compared,
    /// As `git apply` takes it, where it was asked for.
    pub patch: Option<Name>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compared {
    /// Of text: how many lines came and went.
    Lines {
        added: u64,
        removed: u64,
    },
    /// There is no content, or it is the same.
    Nothing,
    Binary,
    TooLarge,
}
