//! What an owner does with its database when asked, and the lines in which it tells what it found.

use serde::{Deserialize, Serialize};

use crate::name::Name;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum KvRequest {
    /// Answered with a body of one [`KvEntry`].
    Get {
        key: String,
    },
    /// Its body is the value, JSON.
    Set {
        key: String,
    },
    /// Answered with a body of [`KvEntry`] lines, by key.
    List {
        prefix: String,
    },
    Delete {
        key: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KvEntry {
    pub key: String,
    /// JSON, in the words of whoever stored it.
    pub value: String,
    /// Seconds since 1970, as far as the database has them.
    pub created_at: Option<i64>,
    pub updated_at: Option<i64>,
}

/// Each brings a body: [`ToolDetails`]. Answered with the call's number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum ToolRequest {
    /// A call that is over.
    Record {
        name: String,
        duration_ms: u64,
    },
    Start {
        name: String,
    },
    Finish {
        id: i64,
    },
}

/// `parameters` and `result` are JSON. A call that has an error has failed: what it came to all the same is told to
/// hooks, and the log, whose format has one of the two, keeps the error.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ToolDetails {
    pub parameters: Option<String>,
    pub result: Option<String>,
    pub error: Option<String>,
}

/// Answered with a body of [`ToolCall`] lines, newest first; where they are followed, oldest first and without end.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TimelineRequest {
    /// That many of those which the rest lets through.
    pub limit: Option<u64>,
    pub tool: Option<String>,
    pub status: Option<String>,
    /// Seconds since 1970: started then or later.
    pub since: Option<f64>,
    /// Started before.
    pub until: Option<f64>,
    /// Whose parameters name this path or one below it.
    pub path: Option<String>,
    #[serde(default)]
    pub follow: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    pub id: i64,
    pub name: String,
    /// JSON, in the words of whoever stored it.
    pub parameters: Option<String>,
    pub result: Option<String>,
    pub error: Option<String>,
    /// `pending`, `success` or `error`.
    pub status: String,
    /// Seconds since 1970. Some programs store whole ones, some fractions.
    pub started_at: f64,
    pub completed_at: Option<f64>,
    pub duration_ms: Option<f64>,
}

/// Paths are those of the instance, from its root.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum FilesRequest {
    /// Answered with a body of [`FileEntry`] lines: what the folder holds, by name; the file itself where it is none.
    List {
        path: Name,
        recursive: bool,
        /// Of one layer of an overlay alone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        layer: Option<Layer>,
    },
    /// Answered with a body: the content.
    Read {
        path: Name,
        /// Of one layer of an overlay alone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        layer: Option<Layer>,
    },
    /// Its body is the content. Nothing of it is seen before all of it has come, unless it is appended.
    Write {
        path: Name,
        append: bool,
    },
    Copy {
        from: Name,
        to: Name,
        recursive: bool,
    },
    Move {
        from: Name,
        to: Name,
    },
    Remove {
        path: Name,
        recursive: bool,
    },
    /// `parents`: those above it too, and it may be there.
    MakeFolder {
        path: Name,
        parents: bool,
    },
    /// Its body is lines of [`FileOperation`](crate::FileOperation), of which all are done or none. Answered with
    /// what came of it.
    Apply {
        /// Only whether it can be done.
        dry_run: bool,
    },
    /// Answered with a body: the instance, or the folder `path` in it, as it is at that moment.
    Export {
        path: Name,
        form: ExportForm,
    },
    /// Its body is a tar archive, which is put into the folder `into`, or becomes it where it is not there. Nothing of it
    /// is seen before all of it has come.
    Import {
        into: Name,
        /// Files that are there give way, and folders that are there take in what is in those of their name.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        replace: bool,
    },
    /// The same with a database that lies at `from` for the owner. Its values and tool calls come along.
    ImportDatabase {
        from: Name,
        into: Name,
    },
    /// Answered with a body of one [`FileEntry`]. Links are not followed.
    Stat {
        path: Name,
        /// Of one layer of an overlay alone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        layer: Option<Layer>,
    },
    /// Answered with a body of [`FileEntry`] lines: what lies below and is all that is asked for.
    Find {
        path: Name,
        glob: String,
        kind: Option<FileKind>,
        min_size: Option<u64>,
        newer: Option<f64>,
        /// Of one layer of an overlay alone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        layer: Option<Layer>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// What the database has.
    Delta,
    Base,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExportForm {
    Tar,
    /// The database file itself; of an overlay, what differs from its base.
    Database,
    /// A database without a base that has everything in it.
    Flat,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// From the root; of a listing, below the folder that was asked for.
    pub path: Name,
    pub kind: FileKind,
    /// The lower twelve mode bits.
    pub mode: u16,
    pub size: u64,
    pub ino: u64,
    pub nlink: u32,
    pub uid: u32,
    pub gid: u32,
    /// Seconds since 1970, and the nanoseconds after them.
    pub mtime: (i64, u32),
    pub ctime: (i64, u32),
    /// Of a symbolic link.
    pub target: Option<Name>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileKind {
    File,
    Folder,
    Link,
    Fifo,
    Socket,
    CharDevice,
    BlockDevice,
}
