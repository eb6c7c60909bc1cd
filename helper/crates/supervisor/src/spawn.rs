use std::fs::OpenOptions;
use std::io::{self, PipeReader};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use nix::libc;
use nix::sys::signal::{SigHandler, SigSet, Signal, signal};

use crate::spec::{Placement, Sink, Spec};

pub(crate) fn spawn(spec: &Spec) -> io::Result<(Child, Option<PipeReader>)> {
    let mut command = Command::new(&spec.program);
    // Whom it tells that it is ready is for its spec to say: what we were told is for us.
    command.env_remove("NOTIFY_SOCKET");
    command.args(&spec.args).envs(spec.env.iter().map(|(k, v)| (k, v)));
    command.stdin(Stdio::null());
    if let Some(cwd) = &spec.cwd {
        command.current_dir(cwd);
    }
    let reader = match &spec.output {
        Sink::Lines => {
            let (reader, writer) = io::pipe()?;
            command.stdout(writer.try_clone()?).stderr(writer);
            Some(reader)
        }
        Sink::Append(path) => {
            let log = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
            log.set_permissions(std::fs::Permissions::from_mode(0o600))?;
            command.stdout(log.try_clone()?).stderr(log);
            None
        }
        Sink::Null => {
            command.stdout(Stdio::null()).stderr(Stdio::null());
            None
        }
    };
    let parent = std::process::id();
    let placement = spec.placement;
    // SAFETY: only async-signal-safe calls, no allocation.
    unsafe { command.pre_exec(move || place(placement, parent)) };
    // Dropping the command closes our ends of what the child writes to.
    Ok((command.spawn()?, reader))
}

/// Runs in the child, between fork and exec.
fn place(placement: Placement, parent: u32) -> io::Result<()> {
    // Our own mask, which holds back what arrives by signalfd, is not for the child.
    SigSet::empty().thread_set_mask()?;
    // Nor is what whoever started us wanted us not to hear, such as `nohup`.
    for heard in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGUSR1, Signal::SIGUSR2] {
        // SAFETY: this takes a handler away, between fork and exec.
        unsafe { signal(heard, SigHandler::SigDfl) }?;
    }
    match placement {
        Placement::Tied => {
            nix::unistd::setsid()?;
            // What loses its parent stays below this one, and can be found.
            nix::sys::prctl::set_child_subreaper(true)?;
            nix::sys::prctl::set_pdeathsig(Signal::SIGTERM)?;
            // It may have died before we asked to be told.
            if std::os::unix::process::parent_id() != parent {
                return Err(io::ErrorKind::Interrupted.into());
            }
        }
        Placement::Detached => {
            nix::unistd::setsid()?;
        }
    }
    // direnv and other callers wait until nobody holds a descriptor of theirs; closing it here, before exec,
    // would also close the one by which exec reports its failure.
    // SAFETY: plain integers.
    if unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
