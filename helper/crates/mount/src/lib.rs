//! A file tree of the engine as a FUSE mount: preparing the mountpoint, attaching, answering the kernel, and
//! taking the mount away again so that no dead one stays behind.

mod attach;
mod detach;
mod error;
mod front;
mod fusermount;
mod mounted;
mod mountinfo;
mod mountpoint;
mod options;
mod preflight;
mod stale;
mod users;

pub use error::{Error, Result};
pub use mounted::{Mounted, Unmounted, mount};
pub use mountinfo::{MountEntry, mount_at};
pub use mountpoint::Mountpoint;
pub use options::{Access, Options, source_of};
pub use preflight::check as preflight;
pub use users::User;
