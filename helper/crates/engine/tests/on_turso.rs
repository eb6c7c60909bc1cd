//! What every store must do, with Turso below; see `support::backing`.
// Each of them brings its own copy of `support`, as it does where it is a program of its own.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::duplicate_mod)]

#[path = "against_linux.rs"]
mod against_linux;
#[path = "allocate.rs"]
mod allocate;
#[path = "by_path.rs"]
mod by_path;
#[path = "content.rs"]
mod content;
#[path = "durability.rs"]
mod durability;
#[path = "limits.rs"]
mod limits;
#[path = "overlay.rs"]
mod overlay;
#[path = "overlay_against_linux.rs"]
mod overlay_against_linux;
#[path = "overlay_attributes.rs"]
mod overlay_attributes;
#[path = "together.rs"]
mod together;
#[path = "tree.rs"]
mod tree;
#[path = "unfinished.rs"]
mod unfinished;
#[path = "values.rs"]
mod values;
