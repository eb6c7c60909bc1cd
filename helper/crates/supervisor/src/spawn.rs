use std::fs::OpenOptions;
use std::io::{self, PipeReader};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use nix::libc;
use nix::sys::signal::{SigSet, Signal};

use crate::spec::{Placement, Sink, Spec};

pub(crate) fn spawn(spec: &Spec) -> io::Result<(Child, Option<PipeReader>)> {
    let mut command = Command::new(&spec.program);
    command.args(&spec.args).envs(spec.env.iter().map(|(k, v)| (k, v))).stdin(Stdio::null());
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
    match placement {
        Placement::Tied => {
            nix::unistd::setpgid(nix::unistd::Pid::from_raw(0), nix::unistd::Pid::from_raw(0))?;
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
