use nixbox_report::{Failure, Report, codes};
use tokio::signal::unix::{SignalKind, signal};

use crate::stop::{Reason, Stop};

/// From here on these signals end the process in order instead of at once.
pub(crate) fn listen(stop: &Stop) -> Result<(), Report> {
    let wanted =
        [(SignalKind::terminate(), "SIGTERM"), (SignalKind::interrupt(), "SIGINT"), (SignalKind::hangup(), "SIGHUP")];
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
    Ok(())
}
