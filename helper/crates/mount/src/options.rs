use std::path::PathBuf;

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
