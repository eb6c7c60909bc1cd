//! When something is due. Asks no clock and waits for nothing: whoever does says what time it is, so that a clock that is
//! set, a summer that begins and a machine that has slept are figures in a test.
//!
//! [`Calendar`] knows the times, [`look`] what follows from them and from what was seen so far.

mod calendar;
mod look;
mod on_calendar;

pub use calendar::{Calendar, Due, Refused, zone};
pub use look::{Look, look};
pub use on_calendar::{Wordless, on_calendar, on_calendar_once};
