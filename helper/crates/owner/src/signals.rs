use nix::sys::signal::{SigSet, Signal};
use nixbox_report::{Failure, Report, codes};
use tokio::signal::unix::{SignalKind, signal};

use crate::stop::{Reason, Stop};

/// From here on these signals end the process in order instead of at once. What comes while each of them gets its
/// handler waits: between the kernel's knowing the handler and the handler's knowing whom to tell, it would be lost.
/// To be called before there are other threads, which would take it meanwhile.
pub(crate) fn listen(stop: &Stop) -> Result<(), Report> {
    let wanted =
        [(SignalKind::terminate(), "SIGTERM"), (SignalKind::interrupt(), "SIGINT"), (SignalKind::hangup(), "SIGHUP")];
    let waiting: SigSet = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().collect();
    let failed = |error| Failure::new(&codes::UNEXPECTED, "signals cannot be held back").why(error);
    waiting.thread_block().map_err(failed)?;
    for (kind, name) in wanted {
        let mut signals = signal(kind)
            .map_err(|error| Failure::new(&codes::UNEXPECTED, format!("{name} cannot be listened for")).why(error))?;
        let stop = stop.clone();
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                stop.request(Reason::Signal(name));
            }
        });
    }
    // Also where whoever started this process had held them back.
    waiting.thread_unblock().map_err(failed)?;
    Ok(())
}
