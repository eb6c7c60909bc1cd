//! A file tree of the engine as a FUSE mount: preparing the mountpoint, attaching, answering the kernel, and
//! taking the mount away again so that no dead one stays behind.

mod attach;
mod error;
mod front;
mod mounted;
mod mountpoint;
mod notices;
mod options;
mod preflight;
mod stale;

pub use error::{Error, Result};
pub use mounted::{Mounted, Unmounted, mount};
pub use mountpoint::Mountpoint;
pub use notices::Notices;
pub use options::{Access, Options};
pub use preflight::check as preflight;
