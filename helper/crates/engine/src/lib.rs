//! An AgentFS database (SPEC 0.4): the store and the file tree in it. Knows no sockets, no FUSE, no configuration.

mod database;
mod error;
mod files;
mod filesystem;
mod journal;
mod probe;
mod schema;
mod store;

pub use database::{DEFAULT_CHUNK_SIZE, Database, Options};
pub use error::{Error, Result, StoreError, StoreErrorKind};
pub use files::Files;
pub use filesystem::*;
