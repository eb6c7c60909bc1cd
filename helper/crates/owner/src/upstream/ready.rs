//! Whether it serves what it is to serve. It says so itself only in part: it may be mounted and answer nothing, and
//! what it prints of its mount is nothing at all.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nixbox_mounts::{detach, mount_at};
use nixbox_report::Report;

use crate::failure;
use crate::program::Program;
use crate::stop::Stop;

const READY_WITHIN: Duration = Duration::from_secs(10);
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_millis(2);
/// What may lie stacked there; only keeps a loop from being endless.
const MOST_STACKED: usize = 16;

/// The kernel shows its mount, and that answers.
pub(super) fn mount(program: &Program, path: &Path, database: &Path, stop: &Stop) -> Result<(), Report> {
    until(program, stop, || is_mounted(path, database))?;
    if answers(path) || stop.is_requested() { Ok(()) } else { Err(failure::upstream_silent().into()) }
}

pub(super) fn nfs(program: &Program, address: SocketAddr, stop: &Stop) -> Result<(), Report> {
    until(program, stop, || TcpStream::connect_timeout(&address, ANSWERS_WITHIN).is_ok())
}

fn until(program: &Program, stop: &Stop, is_so: impl Fn() -> bool) -> Result<(), Report> {
    let deadline = Instant::now() + READY_WITHIN;
    loop {
        if let Some(ended) = program.ended() {
            return Err(failure::upstream_ended(&ended).into());
        }
        if is_so() || stop.is_requested() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(failure::upstream_silent().into());
        }
        thread::sleep(RETRY);
    }
}

pub(super) fn is_mounted(path: &Path, database: &Path) -> bool {
    mount_at(path).ok().flatten().is_some_and(|entry| entry.database() == Some(database))
}

/// Takes away what a program that has ended left mounted.
pub(super) fn clear(path: &Path, database: &Path) -> io::Result<()> {
    for _ in 0..MOST_STACKED {
        if !is_mounted(path, database) {
            return Ok(());
        }
        detach::lazily(path)?;
    }
    Ok(())
}

/// Asked by another process: whoever asks a mount that hangs may never come back.
fn answers(path: &Path) -> bool {
    let program = std::env::current_exe().unwrap_or_else(|_| "/proc/self/exe".into());
    let asked = Command::new(program)
        .arg("probe")
        .arg(path)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let answered = asked.and_then(|mut child| {
        let answered = ends_well(&mut child, ANSWERS_WITHIN)?;
        if answered.is_none() {
            // One that hangs in the kernel is reaped when that lets go of it.
            child.kill()?;
        }
        Ok(answered == Some(true))
    });
    answered.unwrap_or_else(|error| {
        tracing::warn!(%error, "the mount could not be asked");
        false
    })
}

fn ends_well(child: &mut Child, within: Duration) -> io::Result<Option<bool>> {
    let deadline = Instant::now() + within;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status.success()));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        thread::sleep(RETRY);
    }
}

/// The question itself, in the process that was started for it. Only statfs is certain to go to whoever serves the
/// mount; the rest the kernel may know by heart.
pub(crate) fn probe(path: &Path) -> bool {
    nix::sys::statvfs::statvfs(path).is_ok()
}
