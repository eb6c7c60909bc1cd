//! The answers in JSON. JSON has text only: of a name that is not UTF-8 it shows what it can, and its bytes beside.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use nixbox_control::{FileEntry, FileKind};
use schemars::JsonSchema;
use serde::Serialize;

use crate::times;

#[derive(Serialize, JsonSchema)]
pub struct Listed {
    pub entries: Vec<Entry>,
}

#[derive(Serialize, JsonSchema)]
pub struct Entry {
    /// From the instance's root; in a listing, from the folder that is listed
    pub path: String,
    /// The path's bytes, only where they are not UTF-8
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_bytes: Option<Vec<u8>>,
    /// `file`, `folder`, `link`, `fifo`, `socket`, `char-device` or `block-device`
    pub kind: &'static str,
    /// Permissions, in octal
    pub mode: String,
    pub size: u64,
    pub ino: u64,
    pub links: u32,
    pub uid: u32,
    pub gid: u32,
    /// RFC 3339
    pub modified: String,
    pub changed: String,
    /// Where a link leads
    pub target: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub struct Written {
    pub path: String,
    pub bytes: u64,
}

#[derive(Serialize, JsonSchema)]
pub struct Transferred {
    pub from: String,
    pub to: String,
}

#[derive(Serialize, JsonSchema)]
pub struct Paths {
    pub paths: Vec<String>,
}

impl Entry {
    pub fn new(entry: FileEntry) -> Self {
        let path = entry.path.as_os_str();
        Self {
            path: text(path),
            path_bytes: path.to_str().is_none().then(|| path.as_bytes().to_owned()),
            kind: kind(entry.kind),
            mode: format!("{:04o}", entry.mode),
            size: entry.size,
            ino: entry.ino,
            links: entry.nlink,
            uid: entry.uid,
            gid: entry.gid,
            modified: times::rfc3339(seconds(entry.mtime)),
            changed: times::rfc3339(seconds(entry.ctime)),
            target: entry.target.as_ref().map(|target| text(target.as_os_str())),
        }
    }
}

pub fn text(path: &OsStr) -> String {
    path.to_string_lossy().into_owned()
}

pub fn seconds((seconds, nanoseconds): (i64, u32)) -> f64 {
    seconds as f64 + f64::from(nanoseconds) / 1e9
}

pub fn kind(kind: FileKind) -> &'static str {
    match kind {
        FileKind::File => "file",
        FileKind::Folder => "folder",
        FileKind::Link => "link",
        FileKind::Fifo => "fifo",
        FileKind::Socket => "socket",
        FileKind::CharDevice => "char-device",
        FileKind::BlockDevice => "block-device",
    }
}
