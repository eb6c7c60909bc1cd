//! Children: spawn, watch, stop. Knows nothing of instances, configuration or command lines.
//!
//! One thread looks after any number of children: it sleeps in `poll` on their pidfds and pipes and on the
//! signals that were asked for, and wakes only when something happened.

mod child;
mod descendants;
mod event;
mod foreground;
mod lines;
mod pidfd;
mod spawn;
mod spec;
mod supervisor;

pub use child::{Child, Ended, State};
pub use event::{Event, Id};
pub use foreground::{Account, Captured, Ending, Foreground, MOST, Outlet, View};
pub use pidfd::Handle;
pub use spec::{Placement, Sink, Spec};
pub use supervisor::{Supervisor, Waker};
