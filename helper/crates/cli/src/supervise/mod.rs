//! Keeping a project's instances and jobs up: one process for each project, which `up` becomes or starts, and which
//! other verbs ask over a socket of its own.
//!
//! What is to run comes with the order (`plan`), so whoever keeps it up need not read the configuration again, and an
//! `up` after a change brings the change along.

mod client;
mod desk;
mod failure;
mod message;
mod places;
mod plan;
mod record;
mod reload;
mod scheduled;
mod session;
mod waiting;

pub use client::{Client, Follow, Heard};
pub use failure::{unit_failed, unknown};
pub use message::{Done, Health, Order, State, UnitStatus};
pub use places::{Places, mark};
pub use plan::{Choice, helper, remote_unit, served_unit, units};
pub use record::Recorded;
pub use reload::follow_file;
pub use session::{Session, Turn};
pub use waiting::{
    job_not_running, late, not_answering, still_ending, still_stopping, tell_ready, until_stopped, until_up,
};
