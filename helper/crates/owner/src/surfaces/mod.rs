//! The ways in that an owner offers.

pub(crate) mod control;
pub(crate) mod http;
pub(crate) mod mount;
pub(crate) mod nfs;
