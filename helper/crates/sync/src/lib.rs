//! An instance and a remote, brought together. Either side is a file tree and values; what they last had in common is
//! known by path, and so is what each did since. What only one did is done to the other, what both did in different ways
//! is told and left alone. The remote is written by a single batch that proves two things first: that the lease is still
//! ours, and that the remote still is what was read.
//!
//! Knows no sockets, no clap, no configuration. See `docs/decisions/0005-sync-by-path.md`.

mod apply;
mod beside;
mod company;
mod content;
mod error;
mod fetch;
mod had;
mod history;
mod intake;
mod layer;
mod look;
mod merge;
mod mirror;
mod order;
mod room;
mod rows;
mod scan;
mod source;

pub use company::{Company, Phase, Progress};
pub use content::RemoteContent;
pub use error::{Error, Result};
pub use look::{Key, Look, Over, What};
pub use merge::{Conflict, Settled};
pub use room::{Difference, Done, Local, Older, Room, State, turn};
