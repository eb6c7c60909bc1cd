//! nixbox.toml: types, defaults, validation, environment contract.
//!
//! Text becomes a [`tree`] that knows its lines, the [`reader`] makes a [`document`] of it and collects every
//! problem on the way, [`resolve`] applies the environment and the defaults, and [`check`] compares the instances
//! with each other.

mod address;
mod check;
mod document;
pub mod env;
mod glob;
mod load;
mod locate;
mod made;
mod origin;
mod paths;
mod problems;
mod processors;
mod project;
mod reader;
mod render;
mod resolve;
mod schedule;
mod schema;
mod secret;
mod size;
mod sources;
mod span;
mod tree;
mod unit;
mod warnings;
mod words;

pub use address::{Address, AddressError};
pub use glob::Patterns;
pub use load::{Loaded, load, project};
pub use locate::UNDECLARED;
pub use made::to_toml as made_to_toml;
pub use origin::{Origin, Origins, Setting};
pub use paths::in_store;
pub use processors::Processors;
pub use project::{
    Base, Encryption, Http, Instance, KeySource, Limits, Made, Mount, Nfs, Partial, Paths, Project, Remote, Served,
    ServedPaths, Sync,
};
pub use render::{to_json, to_toml};
pub use schedule::{Schedule, What, When};
pub use schema::schema;
pub use size::Size;
pub use sources::{Environment, Sources};
pub use span::Span;
pub use unit::{Backoff, Health, Job, LogLimits, Probe, Restart, Share, Watch};
pub use words::{
    Backend, Cipher, Condition, Engine, HookEvent, LogLevel, McpTool, Mode, Offline, Overlap, RestartOn, SyncMode,
    UnknownWord,
};
