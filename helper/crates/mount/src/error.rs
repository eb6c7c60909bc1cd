use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("/dev/fuse: {0}")]
    NoFuse(io::Error),
    #[error("{0}")]
    NoNfs(String),
    #[error("fusermount3 was not found")]
    NoFusermount,
    #[error("`user_allow_other` is not set in /etc/fuse.conf")]
    AllowOther,
    #[error("{} is a mount of {}", path.display(), source_name.display())]
    Busy { path: PathBuf, source_name: OsString },
    #[error("the dead mount at {} could not be removed: {source}", path.display())]
    Stale { path: PathBuf, source: io::Error },
    #[error("{} is not empty", path.display())]
    NotEmpty { path: PathBuf },
    #[error("{} does not exist", path.display())]
    Missing { path: PathBuf },
    #[error("{} is not a folder", path.display())]
    NotAFolder { path: PathBuf },
    #[error("{}: {source}", path.display())]
    Mountpoint { path: PathBuf, source: io::Error },
    /// The kernel or fusermount3 said no.
    #[error("{reason}")]
    Refused { reason: String },
    #[error("the mount did not answer in time")]
    Silent,
}

impl Error {
    pub(crate) fn at(path: &std::path::Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Mountpoint { path: path.to_owned(), source }
    }
}
