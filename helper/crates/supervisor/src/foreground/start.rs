//! From the order to a running command.

use std::fs::File;
use std::io::{self, PipeReader, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::{ffi::CString, fmt};

use nix::libc;
use nix::sys::signal::{SigSet, Signal};
use nixbox_state::Process;

use super::captured::Capturing;
use super::terminal::{self, Terminal};
use super::user::Account;
use super::view::Prepared;
use super::{Foreground, Outlet};
use crate::group::{self, Group};
use crate::limits::Confinement;
use crate::pidfd::Handle;

pub(super) struct Started {
    pub(super) child: Child,
    pub(super) handle: Handle,
    pub(super) terminal: Option<Terminal>,
    pub(super) capturing: Option<[Capturing; 2]>,
    pub(super) without_view: Option<io::Error>,
}

/// How far a child came before it failed.
const IN_GROUP: u8 = b'g';
const IN_VIEW: u8 = b'v';
const IN_PLACE: u8 = b'p';

pub(super) fn start(what: &Foreground) -> io::Result<Started> {
    let Some(view) = &what.view else { return attempt(what, None, &what.cwd).map_err(Failed::into) };
    match attempt(what, Some(view.prepare()?), &what.cwd) {
        // What is bound was asked for; without it the command would work on something else.
        Err(Failed { at: Stage::View, error }) if !view.binds.is_empty() => {
            Err(io::Error::new(io::ErrorKind::Unsupported, error))
        }
        Err(Failed { at: Stage::View, error }) => {
            // The same folder, where it really is: never the one that the view would have hidden.
            let really = match what.cwd.strip_prefix(&view.at) {
                Ok(rest) => view.shown.join(rest),
                Err(_) => what.cwd.clone(),
            };
            let started = attempt(what, None, &really)?;
            Ok(Started { without_view: Some(error), ..started })
        }
        other => other.map_err(Failed::into),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Stage {
    View,
    Place,
    Program,
}

struct Failed {
    at: Stage,
    error: io::Error,
}

/// It has no folder to begin in, which says nothing of the program.
#[derive(Debug)]
struct NoPlace(PathBuf, io::Error);

impl fmt::Display for NoPlace {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}: {}", self.0.display(), self.1)
    }
}

impl std::error::Error for NoPlace {}

impl From<Failed> for io::Error {
    fn from(failed: Failed) -> Self {
        failed.error
    }
}

fn attempt(what: &Foreground, view: Option<Prepared>, cwd: &Path) -> Result<Started, Failed> {
    let early = |error: io::Error| Failed { at: Stage::Program, error: io::Error::other(error) };
    let (mut told, tell) = io::pipe().map_err(early)?;
    let mut command = Command::new(&what.program);
    command.args(&what.args);
    if let Some(user) = &what.user {
        command.envs(user.env());
    }
    command.envs(what.env.iter().map(|(key, value)| (key, value)));
    let outward = outlet(what, &mut command).map_err(early)?;
    let wanted = view.is_some();
    let doors = what.confinement.group.as_ref().map_or(Ok(Vec::new()), Group::doors).map_err(early)?;
    let child = Inside {
        doors,
        confinement: what.confinement.clone(),
        view,
        user: what.user.clone(),
        cwd: CString::new(cwd.as_os_str().as_bytes()).map_err(|error| early(error.into()))?,
        terminal: what.outlet == Outlet::Terminal,
        parent: std::process::id(),
    };
    let stages = tell.as_raw_fd();
    // SAFETY: only async-signal-safe calls, no allocation. The pipe is open for as long as the command is.
    unsafe {
        command.pre_exec(move || {
            let stages = std::os::fd::BorrowedFd::borrow_raw(stages);
            child.settle(|stage| {
                let _ = nix::unistd::write(stages, &[stage]);
            })
        })
    };
    let spawned = command.spawn();
    drop((command, tell));
    let child = spawned.map_err(|error| {
        let mut reached = Vec::new();
        let _ = told.read_to_end(&mut reached);
        if what.confinement.group.is_some() && !reached.contains(&IN_GROUP) {
            let what = format!("its control group cannot be entered: {error}");
            return Failed { at: Stage::Program, error: io::Error::other(what) };
        }
        match (wanted && !reached.contains(&IN_VIEW), reached.contains(&IN_PLACE)) {
            (true, _) => Failed { at: Stage::View, error },
            (false, true) => Failed { at: Stage::Program, error },
            (false, false) => Failed { at: Stage::Place, error: io::Error::other(NoPlace(cwd.to_owned(), error)) },
        }
    })?;
    watched(child, outward).map_err(early)
}

fn watched(mut child: Child, outward: Outward) -> io::Result<Started> {
    // Not reaped yet, so the pid is still this child's even if it has ended already.
    let handle = Process::of(child.id() as i32)?.map(Handle::of).transpose()?.flatten();
    let Some(handle) = handle else {
        let _ = child.kill();
        let _ = child.wait();
        return Err(io::Error::other("the command cannot be watched"));
    };
    let capturing = match outward.pipes {
        Some([stdout, stderr]) => Some([Capturing::begin(stdout)?, Capturing::begin(stderr)?]),
        None => None,
    };
    Ok(Started { child, handle, terminal: outward.terminal, capturing, without_view: None })
}

#[derive(Default)]
struct Outward {
    terminal: Option<Terminal>,
    pipes: Option<[PipeReader; 2]>,
}

fn outlet(what: &Foreground, command: &mut Command) -> io::Result<Outward> {
    let mut outward = Outward::default();
    command.stdin(if what.input { Stdio::inherit() } else { Stdio::null() });
    match what.outlet {
        Outlet::Ours => {}
        Outlet::Terminal => {
            let (terminal, end) = Terminal::make()?;
            let copy = |end: &OwnedFd| end.try_clone().map(Stdio::from);
            command.stdin(copy(&end)?).stdout(copy(&end)?).stderr(copy(&end)?);
            outward.terminal = Some(terminal);
        }
        Outlet::Captured => {
            let ((stdout, to_stdout), (stderr, to_stderr)) = (io::pipe()?, io::pipe()?);
            command.stdout(to_stdout).stderr(to_stderr);
            outward.pipes = Some([stdout, stderr]);
        }
    }
    Ok(outward)
}

/// What the child does between fork and exec.
struct Inside {
    doors: Vec<File>,
    confinement: Confinement,
    view: Option<Prepared>,
    user: Option<Account>,
    cwd: CString,
    terminal: bool,
    parent: u32,
}

impl Inside {
    fn settle(&self, reached: impl Fn(u8)) -> io::Result<()> {
        // Our own mask, which holds back what arrives by signalfd, is not for the child.
        SigSet::empty().thread_set_mask()?;
        group::enter(&self.doors)?;
        reached(IN_GROUP);
        if self.terminal {
            terminal::own()?;
        }
        if let Some(view) = &self.view {
            view.enter()?;
            reached(IN_VIEW);
        }
        if let Some(user) = &self.user {
            user.become_it()?;
        }
        nix::unistd::chdir(self.cwd.as_c_str())?;
        reached(IN_PLACE);
        self.confinement.bound()?;
        nix::sys::prctl::set_pdeathsig(Signal::SIGTERM)?;
        // It may have died before we asked to be told.
        if std::os::unix::process::parent_id() != self.parent {
            return Err(io::ErrorKind::Interrupted.into());
        }
        // SAFETY: plain integers.
        if unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}
