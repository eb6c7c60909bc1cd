//! nixbox.toml: types, defaults, validation, environment contract.

mod document;
mod project;

pub use document::{Backend, LogLevel};
pub use project::{Http, Instance, Mount, Paths, Project};
