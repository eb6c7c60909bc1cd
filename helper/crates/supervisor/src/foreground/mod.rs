//! One command in the place of this process, as far as its user can tell: the same terminal or one of its own, signals
//! passed on, its end told as it was.

mod captured;
mod relay;
mod start;
mod terminal;
mod user;
mod view;

use std::ffi::OsString;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use nix::sys::signal::Signal;
use nixbox_state::Process;

pub use self::captured::{Captured, MOST};
pub use self::relay::PASSED_ON;
pub use self::user::Account;
pub use self::view::{Bind, View};
use crate::limits::Confinement;

/// What to run, and what it finds there.
#[derive(Debug, Clone)]
pub struct Foreground {
    pub program: OsString,
    pub args: Vec<OsString>,
    /// Set on top of this process's own environment.
    pub env: Vec<(OsString, OsString)>,
    /// Where it starts, as the view shows it.
    pub cwd: PathBuf,
    pub view: Option<View>,
    pub user: Option<Account>,
    /// Our standard input; empty without.
    pub input: bool,
    pub outlet: Outlet,
    /// How long it may take. After that it is told to end, and then killed with all it has started: with everything
    /// below this process, which is to have no other children.
    pub limit: Option<Duration>,
    /// When it has ended, what it has started ends as well, under the same condition.
    pub leaves_nothing: bool,
    /// A child of this process that is none of the command's, and stays with all below it.
    pub spares: Option<Process>,
    /// What holds it to its limits. What is still in its group at the end ends.
    pub confinement: Confinement,
}

/// Where the command's output goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outlet {
    /// Where ours goes.
    Ours,
    /// To a terminal of its own, and from there to our output.
    Terminal,
    /// Into the answer.
    Captured,
}

#[derive(Debug)]
pub struct Ending {
    pub status: ExitStatus,
    pub took: Duration,
    /// It did not end in the time that it had.
    pub timed_out: bool,
    /// It was ended because the caller wants it no more.
    pub recalled: bool,
    /// Who runs it was told to end, and passed that on.
    pub told: Option<Signal>,
    /// Why it saw the machine's folders as they are, where it was to see a view.
    pub without_view: Option<io::Error>,
    /// Something of it was killed because it needed more memory than it was to have.
    pub out_of_memory: bool,
    pub output: Captured,
}

impl Ending {
    /// As a shell would tell it.
    pub fn code(&self) -> u8 {
        let signal = || 128 + self.status.signal().unwrap_or(0);
        u8::try_from(self.status.code().unwrap_or_else(signal)).unwrap_or(u8::MAX)
    }
}

impl Foreground {
    /// Runs it to its end. An error of kind `NotFound` or `PermissionDenied` is about the program itself.
    pub fn run(&self) -> io::Result<Ending> {
        relay::run(self, None)
    }

    /// Until something can be read from `recall`, too: then it is told to end, and killed where it does not.
    pub fn run_until(&self, recall: BorrowedFd<'_>) -> io::Result<Ending> {
        relay::run(self, Some(recall))
    }
}
