//! What can go wrong below a front end, and the errno that tells a program so.

use std::path::PathBuf;

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
    #[error("the database is encrypted")]
    Encrypted { path: PathBuf },
    #[error("the database is an overlay over {}", base.display())]
    Overlay { path: PathBuf, base: PathBuf },
    #[error("database: {0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

impl Error {
    pub fn errno(&self) -> i32 {
        match self {
            Self::Errno(errno) => *errno,
            Self::Sqlite(error) => match error.sqlite_error_code() {
                Some(rusqlite::ErrorCode::DiskFull) => libc::ENOSPC,
                Some(rusqlite::ErrorCode::ReadOnly) => libc::EROFS,
                _ => libc::EIO,
            },
            Self::Io(error) => error.raw_os_error().unwrap_or(libc::EIO),
            _ => libc::EIO,
        }
    }
}
