use nix::sys::signal::Signal;

use crate::child::Ended;
use crate::notices::Notice;

/// A child of one supervisor, in the order of their starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub usize);

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Lines of a child's output, each with a newline.
    Output {
        child: Id,
        text: String,
    },
    /// It did not stop within its grace and was killed, with everything in its group. `Ended` follows.
    GraceOver {
        child: Id,
    },
    Ended {
        child: Id,
        ended: Ended,
    },
    /// It said this of itself.
    Said {
        child: Id,
        notice: Notice,
    },
    /// One of the signals that the supervisor listens to.
    Signal(Signal),
    /// A `Waker` was used.
    Woken,
    /// The caller's own deadline has passed.
    Deadline,
}
