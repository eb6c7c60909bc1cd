//! Ending what serves a remote from here, whoever has started it.

use std::time::{Duration, Instant};

use nixbox_config::{Project, Served};
use nixbox_control::{Error, Hosted};
use nixbox_report::{Failure, Report, codes};
use nixbox_state::Process;
use nixbox_supervisor::Handle;

const PROBE_WITHIN: Duration = Duration::from_secs(2);
const GONE_WITHIN: Duration = Duration::from_secs(5);

/// Returns the names of those that were stopped.
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
