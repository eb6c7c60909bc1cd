//! An AgentFS database (SPEC 0.4): the store and the file tree in it. Knows no sockets, no FUSE, no configuration.

mod error;
mod filesystem;

pub use error::{Error, Result};
pub use filesystem::*;
