//! Durable records, locks and process identity. Knows nothing of instances.

mod lock;
mod made_folders;
mod process;
mod write;

pub use lock::{Holder, Lock, LockError};
pub use made_folders::MadeFolders;
pub use process::Process;
pub use write::{clear_begun, create_private_dir, publish, publish_json, read_json, write_atomic, write_json};
