//! An AgentFS database (SPEC 0.4): the store, the file tree in it, and
//! the folder that this may lie over. Knows no sockets, no FUSE, no configuration.

mod database;
mod error;
mod files;
mod filesystem;
mod journal;
mod overlay;
mod probe;
mod schema;
mod store;

pub use database::{DEFAULT_CHUNK_SIZE, Database, Options};
pub use error::{Error, Result, StoreError, StoreErrorKind};
pub use files::Files;
pub use filesystem::*;
pub use overlay::{BaseOptions, Change, ChangeKind, Overlay};
