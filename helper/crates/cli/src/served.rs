//! Remotes that are served from here, where nothing else starts them: before the instances that sync with them, and after
//! those they end.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nixbox_config::{Instance, Project, Served};
use nixbox_control::{Error, Hosted};
use nixbox_report::{Failure, Report, codes};
use nixbox_state::Process;
use nixbox_supervisor::Handle;

use crate::context::Context;
use crate::presence;
use crate::verbs::remote::{command, probe};

const READY_WITHIN: Duration = Duration::from_secs(30);
const PROBE_WITHIN: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
const GONE_WITHIN: Duration = Duration::from_secs(5);

/// Those that were begun here. They end with the value, after all that syncs with them, unless they are left.
#[derive(Debug, Default)]
pub struct Remotes<'p> {
    begun: Vec<(&'p str, &'p Served, Child, Option<Handle>)>,
}

/// Serves what `instances` sync with, and comes back when it is ready. One that is served already is left to whoever does.
/// `detach`: they outlive this process, which otherwise is to be the one that stops them.
pub fn begin<'p>(
    context: &Context,
    project: &'p Project,
    instances: &[&Instance],
    detach: bool,
) -> Result<Remotes<'p>, Report> {
    let mut remotes = Remotes::default();
    let wanted =
        |name: &str| instances.iter().any(|instance| instance.sync.as_ref().is_some_and(|sync| sync.remote == name));
    for (name, served) in project.served().filter(|(name, _)| wanted(name)) {
        if Hosted::connect(&served.paths.socket).is_ok() {
            continue;
        }
        let child = start(context, project, name, served, detach)?;
        let handle = Process::of(child.id() as i32)?.map(Handle::of).transpose()?.flatten();
        remotes.begun.push((name, served, child, handle));
    }
    for index in 0..remotes.begun.len() {
        remotes.ready(index)?;
    }
    for (name, ..) in &remotes.begun {
        context.output.note(format!("{name}: the remote is served"));
    }
    Ok(remotes)
}

fn start(context: &Context, project: &Project, name: &str, served: &Served, detach: bool) -> Result<Child, Report> {
    nixbox_state::create_private_dir(&project.runtime_dir)?;
    let log = log(&served.paths.log)?;
    let mut command = command(context, project, name)?;
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).env_remove("NOTIFY_SOCKET");
    // SAFETY: only async-signal-safe calls, no allocation.
    unsafe {
        command.pre_exec(move || match detach {
            true => nix::unistd::setsid().map(drop).map_err(Into::into),
            // A group of its own, so that Ctrl-C reaches this process alone, which then decides.
            false => nix::unistd::setpgid(nix::unistd::Pid::from_raw(0), nix::unistd::Pid::from_raw(0))
                .and_then(|()| set_pdeathsig(Signal::SIGTERM))
                .map_err(Into::into),
        });
    }
    command.spawn().map_err(|error| {
        Failure::new(&codes::OWNER_MISSING, format!("{} cannot be run", Path::new(command.get_program()).display()))
            .why(error)
            .into()
    })
}

fn log(path: &Path) -> Result<std::fs::File, Report> {
    use std::os::unix::fs::OpenOptionsExt;
    let opened = std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    opened.map_err(|error| crate::context::io_failure("write", path, error))
}

impl Remotes<'_> {
    fn ready(&mut self, index: usize) -> Result<(), Report> {
        let (name, served, child, _) = &mut self.begun[index];
        let until = Instant::now() + READY_WITHIN;
        loop {
            let asked = probe(name, served, PROBE_WITHIN);
            let Err(report) = asked else { return Ok(()) };
            if let Some(status) = child.try_wait()? {
                let said = std::fs::read_to_string(&served.paths.log).unwrap_or_default();
                return Err(presence::owner_failed(name, status.code(), &said));
            }
            if Instant::now() >= until {
                return Err(report);
            }
            thread::sleep(LOOK_AGAIN);
        }
    }

    /// For who stops them later.
    pub fn leave(mut self) {
        self.begun.clear();
    }
}

impl Drop for Remotes<'_> {
    fn drop(&mut self) {
        for (_, served, child, handle) in &mut self.begun {
            if stop(served).is_err()
                && let Some(handle) = handle
            {
                // It may not have come so far as to have a socket.
                let _ = handle.signal(Signal::SIGKILL);
            }
            let _ = child.wait();
        }
    }
}

/// Whoever serves them, whether or not this program started it. Returns the names of those that were stopped.
pub fn stop_all(project: &Project) -> Result<Vec<&str>, Report> {
    let mut stopped = Vec::new();
    for (name, served) in project.served() {
        match stop(served) {
            Ok(()) => stopped.push(name.as_str()),
            Err(Error::NotRunning) => {}
            Err(error) => {
                return Err(Failure::new(&codes::REMOTE_NOT_READY, format!("the remote `{name}` does not end"))
                    .why(error)
                    .help("end its process: `nixbox-helper remote status` names it")
                    .into());
            }
        }
    }
    Ok(stopped)
}

/// Returns when its process is gone: that closes its connections a moment before.
fn stop(served: &Served) -> Result<(), Error> {
    let status = Hosted::connect(&served.paths.socket)?.status(PROBE_WITHIN)?;
    let process = Process::of(status.pid)?.map(Handle::of).transpose()?.flatten();
    Hosted::connect(&served.paths.socket)?.stop(GONE_WITHIN)?;
    match process {
        Some(handle) if !handle.wait(Some(Instant::now() + GONE_WITHIN))? => Err(Error::TimedOut),
        _ => Ok(()),
    }
}
