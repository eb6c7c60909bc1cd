//! Who goes along with a sync: is told how far it is, may call it off, and keeps a copy before something is given up.

use std::sync::Arc;

use crate::error::{Error, Result};

/// What a sync is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Bringing the copy of the remote up to date.
    Fetching,
    /// Looking at both sides.
    Comparing,
    /// Changing what is here.
    Applying,
    /// Making up what goes there.
    Packing,
    /// It is on its way, as one; from here on nobody calls it off.
    Sending,
}

/// How far it is in a phase. What is not known is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub phase: Phase,
    pub things: u64,
    pub of_things: u64,
    pub bytes: u64,
    pub of_bytes: u64,
}

impl Progress {
    pub(crate) fn at(phase: Phase) -> Self {
        Self { phase, things: 0, of_things: 0, bytes: 0, of_bytes: 0 }
    }
}

pub trait Company: Send + Sync {
    /// Called often.
    fn tell(&self, _progress: Progress) {}

    /// Called often.
    fn is_called_off(&self) -> bool {
        false
    }

    /// Where something was changed here, something here is about to give way to what the remote has. Where this fails,
    /// nothing is changed; it says so with [`Error::NotKept`].
    fn keep(&self) -> Result<()> {
        Ok(())
    }
}

/// Nobody.
impl Company for () {}

pub(crate) type Together = Arc<dyn Company>;

/// Says how far it is, unless it is called off.
pub(crate) fn go_on(company: &dyn Company, progress: Progress) -> Result<()> {
    if company.is_called_off() {
        return Err(Error::CalledOff);
    }
    company.tell(progress);
    Ok(())
}
