//! Children: spawn, watch, stop. Knows nothing of instances, configuration or command lines.
//!
//! One thread looks after any number of children: it sleeps in `poll` on their pidfds and pipes and on the
//! signals that were asked for, and wakes only when something happened.

mod child;
pub mod command;
mod conductor;
mod descendants;
mod event;
mod foreground;
mod group;
mod guardian;
mod hooks;
mod limits;
mod lines;
mod log;
mod memory;
mod notices;
mod pidfd;
mod restart;
mod roster;
mod spawn;
mod spec;
mod supervisor;
mod unit;

pub use child::{Child, Ended, State};
pub use conductor::{Conductor, News};
pub use descendants::{end_tree, tree_of};
pub use event::{Event, Id};
pub use foreground::{Account, Bind, Captured, Ending, Foreground, MOST, Outlet, PASSED_ON, View};
pub use group::{Group, Load, remove_left};
pub use guardian::{Guarded, guard};
pub use hooks::{HookFailure, Hooks};
pub use limits::{Confinement, Limit, Limits, Unheld};
pub use log::{Log, aside};
pub use memory::give_back;
pub use notices::Notice;
pub use pidfd::Handle;
pub use restart::{Backoff, On, Restart};
pub use roster::{Anew, Health, Member, Phase, PlanError, Roster, Taken, Why};
pub use spec::{Placement, Sink, Spec};
pub use supervisor::{Supervisor, Waker};
pub use unit::{Condition, Health as HealthCheck, LogFile, Need, Readiness, Unit};
