//! The environment contract: which variables there are, and what each instance exports.

mod exports;
mod registry;

pub use exports::{Addresses, exports, prefix};
pub(crate) use registry::not_for_users;
pub use registry::{Direction, Owner, REGISTRY, Variable};
