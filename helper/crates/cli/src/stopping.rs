//! Ending an owner for certain, and clearing up after one that could not do so itself.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nixbox_config::{Instance, Mode};
use nixbox_control::Error;
use nixbox_mounts::{Health, within};
use nixbox_report::{Failure, Report, codes};
use nixbox_state::{Holder, Lock, LockError, MadeFolders, Process};
use nixbox_supervisor::Handle;

use crate::asking::said;
use crate::context::io_failure;
use crate::mounts;
use crate::presence::{self, connect, now};
use crate::recorded;

/// A kill takes effect at once, but a process in the middle of disk writes goes when these are done.
const AFTER_KILL: Duration = Duration::from_secs(10);

const CLEARED: Duration = Duration::from_secs(2);
const RETRY: Duration = Duration::from_millis(2);

/// The lock in an instance's folder, as `Paths` names it.
pub const LOCK_NAME: &str = "owner.lock";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Nobody was there.
    WasNotRunning,
    Stopped,
    Killed,
}

#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    pub end: End,
    /// A dead mount was taken away.
    pub repaired: bool,
}

/// Asks the owner to stop, waits until it is really gone, kills it when `grace` is over, and removes what a
/// killed one leaves. `keep`: an ephemeral one is saved, and therefore never killed.
pub fn stop(instance: &Instance, grace: Duration, keep: bool) -> Result<Outcome, Report> {
    let deadline = Instant::now() + grace;
    let Some(owner) = owner(instance) else {
        return Ok(Outcome { end: End::WasNotRunning, repaired: clear(instance)? });
    };
    let Some(handle) = handle(instance, owner)? else {
        return Ok(Outcome { end: End::Stopped, repaired: clear(instance)? });
    };
    let keep = keep && instance.mode == Mode::Ephemeral;
    ask(instance, &handle, grace, keep)?;
    let waited = |until| handle.wait(Some(until)).map_err(Report::from);
    let end = if waited(deadline)? {
        End::Stopped
    } else if keep {
        return Err(still_saving(instance).into());
    } else {
        handle.signal(Signal::SIGKILL).map_err(|error| cannot_kill(instance, handle.process(), error))?;
        if !waited(Instant::now() + AFTER_KILL)? {
            return Err(cannot_kill(instance, handle.process(), "it does not die").into());
        }
        End::Killed
    };
    if keep && !instance.paths.db.exists() {
        return Err(not_kept(instance).into());
    }
    Ok(Outcome { end, repaired: clear(instance)? })
}

/// As the lock says, or where that was deleted from under it, as its record does.
fn owner(instance: &Instance) -> Option<Process> {
    let until = Instant::now() + CLEARED;
    let locked = loop {
        match Lock::live_holder(&instance.paths.lock) {
            // Another verb, or who keeps the project up: no owner, and none to be ended for one.
            Some(holder) if holder.clears && Instant::now() < until => std::thread::sleep(RETRY),
            found => break found.filter(|holder| !holder.clears).map(|holder| holder.process),
        }
    };
    locked.or_else(|| recorded::owner(instance))
}

/// By its socket; by a signal where that is not answered.
fn ask(instance: &Instance, handle: &Handle, grace: Duration, keep: bool) -> Result<(), Report> {
    let target = instance.clone();
    let patience = grace.min(Duration::from_secs(2)).max(Duration::from_millis(100));
    let asked = within(patience, move || connect(&target)?.stop(keep, Some(patience)));
    match asked {
        Some(Ok(())) => return Ok(()),
        Some(Err(Error::Refused(refusal))) => return Err(said(refusal).into()),
        // A signal would end it without.
        _ if keep => return Err(presence::silent(&instance.name, None).into()),
        _ => {}
    }
    handle.signal(Signal::SIGTERM).map_err(|error| cannot_kill(instance, handle.process(), error).into())
}

fn still_saving(instance: &Instance) -> Failure {
    let name = &instance.name;
    Failure::new(&codes::OWNER_SILENT, format!("`{name}` is still being saved"))
        .why("the time to stop in is over, and killed now it would be lost")
        .help(format!("wait: `nixbox-helper ps {name}` tells when it is gone, and --timeout gives it longer"))
}

fn not_kept(instance: &Instance) -> Failure {
    Failure::new(&codes::DATABASE_FAILED, format!("`{}` was not saved", instance.name))
        .why(format_args!("{} is not there", instance.paths.db.display()))
        .help("its log says why")
}

fn handle(instance: &Instance, process: Process) -> Result<Option<Handle>, Report> {
    Handle::of(process).map_err(|error| cannot_kill(instance, process, error).into())
}

fn cannot_kill(instance: &Instance, process: Process, why: impl std::fmt::Display) -> Failure {
    Failure::new(&codes::OWNER_HELD, format!("the owner of `{}` cannot be stopped", instance.name))
        .why(format_args!("process {}: {why}", process.pid))
        .help("stop it as the user who started it")
}

/// Takes away what no live owner stands behind: a dead mount, the folders made for it, socket and record. True when there
/// was a mount.
///
/// The lock is held meanwhile, so no owner can come up in the middle, and is given back with its file removed.
pub fn clear(instance: &Instance) -> Result<bool, Report> {
    let paths = &instance.paths;
    let mounted = dead_mount(instance)?;
    let made = MadeFolders::noted_in(&paths.dir);
    let left = [&paths.socket, &paths.record, &paths.lock].map(|path| path.as_path());
    if mounted.is_none() && !left.into_iter().chain([made.path()]).any(|path| path.exists()) {
        return Ok(false);
    }
    let folder = paths.lock.parent().is_some_and(|dir| dir.is_dir());
    let me = Holder::clearing(now())?;
    let lock = match folder.then(|| Lock::acquire(&paths.lock, &me)).transpose() {
        Ok(lock) => lock,
        // An owner has just come up: what is there is its own.
        Err(LockError::Held(_)) => return Ok(false),
        Err(LockError::Io { path, source }) => return Err(io_failure("lock", &path, source)),
    };
    let repaired = match dead_mount(instance)? {
        Some(path) => mounts::unmount(&path, true).map(|()| true)?,
        None => false,
    };
    made.take_away();
    // Another project that shares the runtime folder may have an owner of that name.
    let of_nobody = if recorded::is_of_the_living(&paths.record) { vec![] } else { vec![&paths.socket, &paths.record] };
    for path in of_nobody {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(io_failure("remove", path, error));
            }
            _ => {}
        }
    }
    drop(lock);
    Ok(repaired)
}

fn dead_mount(instance: &Instance) -> Result<Option<std::path::PathBuf>, Report> {
    let Some(mount) = &instance.mount else { return Ok(None) };
    let mounted = mounts::agentfs_at(&mount.path)?;
    Ok(mounted.filter(|mounted| mounted.health() == Health::Dead).map(|mounted| mounted.path))
}
