//! What can go wrong below a front end, and the errno that tells a program so.

use std::path::PathBuf;

use crate::encryption::Cipher;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An answer, not a failure: the file tree says no, in POSIX's words.
    #[error("{}", std::io::Error::from_raw_os_error(*.0))]
    Errno(i32),
    #[error("the database is in use by another program")]
    Busy { path: PathBuf, pid: Option<i32> },
    #[error("not an AgentFS database: {reason}")]
    NotAgentFs { path: PathBuf, reason: String },
    #[error("AgentFS schema {found} is older than 0.4")]
    OldSchema { path: PathBuf, found: &'static str },
    #[error("AgentFS schema {found} is newer than 0.4")]
    NewSchema { path: PathBuf, found: String },
    /// Upstream keeps all of a young database in its log: without that, it looks like a new one.
    #[error("the database holds nothing, and the write-ahead log that belongs to it is not there")]
    NoLog { path: PathBuf },
    #[error("the database is encrypted with {cipher}, and no key was given")]
    Encrypted { path: PathBuf, cipher: Cipher },
    #[error("the database is not encrypted, and a key was given")]
    NotEncrypted { path: PathBuf },
    #[error("the database is encrypted with {found}, and not with {declared}")]
    OtherCipher { path: PathBuf, declared: Cipher, found: Cipher },
    /// The file is as it was.
    #[error("its first page cannot be read with this key")]
    WrongKey { path: PathBuf },
    #[error("the database is an overlay over {}", base.display())]
    Overlay { path: PathBuf, base: PathBuf },
    #[error("the database is an overlay over {}, and not over {}", recorded.display(), wanted.display())]
    BaseMoved { path: PathBuf, recorded: PathBuf, wanted: PathBuf },
    #[error("the database lies over no folder")]
    NoBase { path: PathBuf },
    #[error("none of the {origins} entries that were copied out of the base is in {}", base.display())]
    BaseAnother { base: PathBuf, origins: u64 },
    /// In `direct` mode they would not be seen.
    #[error("the database holds files of its own, or changes over a base")]
    HoldsFiles { path: PathBuf },
    #[error("{source}")]
    BaseMissing { base: PathBuf, source: std::io::Error },
    #[error("`{glob}` is no possible pattern: {reason}")]
    BadGlob { glob: String, reason: String },
    #[error("the database is damaged: {reason}")]
    Damaged { path: PathBuf, reason: String },
    /// Acknowledged changes could not be written; nothing more is accepted, so that nothing is lost unseen.
    #[error("changes could not be written to the database: {reason}")]
    Lost { errno: i32, reason: String },
    /// Content that is somewhere else, and is to be fetched before this can be asked.
    #[error("its content is not here")]
    Absent { ino: u64, range: std::ops::Range<u64> },
    #[error("its content is at `{remote}`, and was not loaded: {reason}")]
    NotLoaded { path: String, remote: String, reason: String },
    #[error("the instance may hold {limit} bytes, and would hold more")]
    LimitSize { limit: u64 },
    #[error("the instance may hold {limit} files and folders, and would hold more")]
    LimitFiles { limit: u64 },
    #[error("database: {0}")]
    Store(#[from] StoreError),
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// What the SQL below the engine says, whichever library speaks it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    pub kind: StoreErrorKind,
    pub message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreErrorKind {
    Busy,
    Full,
    ReadOnly,
    Damaged,
    /// The library failed in a way that it does not recover from; nothing more is read or written.
    GaveUp,
    Other,
}

impl StoreError {
    pub fn new(kind: StoreErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

impl Error {
    /// An answer to the program that asked, rather than a failure of the database.
    pub fn is_answer(&self) -> bool {
        matches!(self, Self::Errno(_) | Self::LimitSize { .. } | Self::LimitFiles { .. } | Self::NotLoaded { .. })
    }

    pub fn errno(&self) -> i32 {
        match self {
            Self::Errno(errno) | Self::Lost { errno, .. } => *errno,
            Self::LimitSize { .. } => libc::ENOSPC,
            Self::LimitFiles { .. } => libc::EDQUOT,
            Self::Store(error) => match error.kind {
                StoreErrorKind::Full => libc::ENOSPC,
                StoreErrorKind::ReadOnly => libc::EROFS,
                _ => libc::EIO,
            },
            Self::Io(error) => error.raw_os_error().unwrap_or(libc::EIO),
            _ => libc::EIO,
        }
    }
}
