//! A file tree of the engine for others to use. As a FUSE mount: preparing the mountpoint, attaching, answering the
//! kernel, and taking the mount away again so that no dead one stays behind. And over NFS.

mod attach;
mod error;
mod front;
pub mod kernel_nfs;
mod mounted;
mod mountpoint;
pub mod nfs;
mod notices;
mod options;
mod place;
mod preflight;
mod stale;

pub use error::{Error, Result};
pub use mounted::{Mounted, mount};
pub use mountpoint::Mountpoint;
pub use notices::Notices;
pub use options::{Access, Options};
pub use place::Unmounted;
pub use preflight::check as preflight;
