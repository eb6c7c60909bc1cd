//! The program as it is used: every test runs it in a folder of its own, with an empty environment.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod support;

mod applying;
mod archives;
mod bases;
mod broken;
mod config;
mod confining;
mod copies;
mod copying;
mod documents;
mod environment;
mod far_content;
mod files;
mod help;
mod hooks;
mod hosting;
mod keeping_up;
mod kv;
mod leftovers;
mod lifecycle;
mod readiness;
mod reloading;
mod reviewing;
mod running;
mod settling;
mod starting;
mod surfaces;
mod switching;
mod sync_cut_off;
mod sync_modes;
mod syncing;
mod templates;
mod tools;
mod watching;
