//! What the kernel has mounted, told without touching it, and how a FUSE mount is taken away. Knows nothing of what is
//! in a mount.

pub mod detach;
pub mod fusermount;
mod health;
mod nfs;
mod patience;
mod table;
mod users;

pub use health::Health;
pub use nfs::can_mount_nfs;
pub use patience::within;
pub use table::{MountEntry, all, export_of, mount_at, source_of};
pub use users::{User, users_of};
