//! Being told to stop while something half done would be left: it is cleared away first.

use std::sync::atomic::{AtomicI32, Ordering};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, raise, sigaction};

static TOLD: AtomicI32 = AtomicI32::new(0);

extern "C" fn note(signal: i32) {
    TOLD.store(signal, Ordering::Relaxed);
}

/// From here on INT, TERM and HUP are noted, for as long as the value lives. A second one ends the program.
pub struct Minded(());

impl Minded {
    pub fn new() -> Self {
        let noted = SigAction::new(SigHandler::Handler(note), SaFlags::SA_RESETHAND, SigSet::empty());
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            // SAFETY: the handler stores to an atomic and does nothing else.
            let _ = unsafe { sigaction(signal, &noted) };
        }
        Self(())
    }

    pub fn is_told(&self) -> bool {
        TOLD.load(Ordering::Relaxed) != 0
    }

    /// Ends as the signal would have ended it, once nothing half done is left; returns where there was none.
    pub fn end_if_told(&self) {
        if let Ok(signal) = Signal::try_from(TOLD.load(Ordering::Relaxed)) {
            let standard = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
            // SAFETY: this takes the handler away.
            let _ = unsafe { sigaction(signal, &standard) };
            let _ = raise(signal);
        }
    }
}

impl Drop for Minded {
    fn drop(&mut self) {
        let standard = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            // SAFETY: this takes the handler away.
            let _ = unsafe { sigaction(signal, &standard) };
        }
    }
}
