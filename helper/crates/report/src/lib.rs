//! Failures as people and programs see them. Both programs print them through here, so that one failure has one
//! code, one wording and one exit code wherever it comes up.

mod catalogue;
mod failure;
mod render;

pub use catalogue::{ALL, Code, Exit, codes};
pub use failure::{Failure, Place, Report};
pub use render::{json, text};
