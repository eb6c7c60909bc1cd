use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// What the source of a mount begins with, here as in upstream's tools.
pub(crate) const SOURCE_PREFIX: &str = "agentfs:";

/// Whom the kernel lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Access {
    #[default]
    Owner,
    OwnerAndRoot,
    All,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Names the mount in mountinfo.
    pub database: PathBuf,
    pub read_only: bool,
    pub access: Access,
    /// Show every file as this user's, whatever the tree says.
    pub uid: Option<u32>,
    pub gid: Option<u32>,
}

/// The source under which a database is mounted.
pub fn source_of(database: &Path) -> OsString {
    let mut source = OsString::from(SOURCE_PREFIX);
    source.push(database);
    source
}

/// The database that a source names.
pub(crate) fn database_of(source: &OsStr) -> Option<&Path> {
    use std::os::unix::ffi::OsStrExt;
    source.as_bytes().strip_prefix(SOURCE_PREFIX.as_bytes()).map(|path| Path::new(OsStr::from_bytes(path)))
}
