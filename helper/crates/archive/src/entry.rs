use std::ffi::OsString;
use std::path::PathBuf;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// What an archive may not say.
    #[error("{}: {why}", path.display())]
    Refused { path: PathBuf, why: &'static str },
    /// It is no tar archive, or not all of one.
    #[error("{0}")]
    Broken(String),
    /// Of the file that was read or written.
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    /// Of the stream.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// One thing in a tree. Its path is relative, without dots; empty for the top of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub path: PathBuf,
    pub kind: Kind,
    /// The lower twelve mode bits.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Seconds since 1970, and the nanoseconds after them.
    pub mtime: (i64, u32),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    File {
        size: u64,
    },
    Folder,
    Symlink {
        target: OsString,
    },
    /// Another name of what an earlier entry is.
    HardLink {
        to: PathBuf,
    },
    Fifo,
    CharDevice {
        major: u32,
        minor: u32,
    },
    BlockDevice {
        major: u32,
        minor: u32,
    },
}
