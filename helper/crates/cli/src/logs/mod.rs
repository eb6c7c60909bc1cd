//! What units have said, out of the files that it is kept in: `NAME.log`, and before it what was put aside.

mod chain;
mod merge;

pub use chain::{Chain, Watched};
pub use merge::{Said, merged};
