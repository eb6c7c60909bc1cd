//! How a verb and an owner talk: one JSON object a line over a Unix socket.
//!
//! A connection carries one request. `status` and `stop` get one answer; `subscribe` gets the status now and
//! again after every change, until either side closes.

mod client;
mod message;
mod wire;

pub use client::{Client, Error, Subscription};
pub use message::{HttpStatus, MountStatus, Phase, Request, Response, Status};
pub use wire::{MAX_LINE, decode, encode};
