//! Waiting until an instance is ready: by listening to its owner, and while there is none, by being told that
//! something changed in the folders where an owner shows itself. No timer in either case.

use std::path::Path;
use std::time::Instant;

use nixbox_config::Instance;
use nixbox_control::{Error, Phase, Status};
use nixbox_report::{Failure, codes};

use crate::changes::Changes;
use crate::presence::connect;
use crate::recorded::speaks_for;

/// Why it is not ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotReady {
    Nobody,
    Starting,
    Stopping,
    Silent,
    /// Nobody, and no way to be told when there is.
    Unwatched,
}

/// An owner that dies is waited for again: its process manager may restart it.
pub fn until_ready(instance: &Instance, changes: &Changes, deadline: Option<Instant>) -> Result<Status, NotReady> {
    let mut seen = None;
    loop {
        if let Some(settled) = listen(instance, deadline) {
            return settled;
        }
        // Once more after the watch has begun: it may have come in between.
        seen = Some(match seen {
            None => changes.begin().map_err(|_| NotReady::Unwatched)?,
            Some(before) if changes.more_than(before, deadline) => changes.seen(),
            Some(_) => return Err(NotReady::Nobody),
        });
    }
}

/// `None` when there is nobody, or nobody any more.
fn listen(instance: &Instance, deadline: Option<Instant>) -> Option<Result<Status, NotReady>> {
    let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
    let mut events = connect(instance).and_then(|client| client.subscribe(left)).ok()?;
    let mut last = NotReady::Silent;
    loop {
        match events.next(deadline) {
            Ok(status) if !speaks_for(&status, instance) => return None,
            Ok(status) if status.is_ready() => return Some(Ok(status)),
            Ok(status) if status.phase == Phase::Stopping => last = NotReady::Stopping,
            Ok(_) => last = NotReady::Starting,
            Err(Error::TimedOut) => return Some(Err(last)),
            Err(_) => return None,
        }
    }
}

pub fn not_ready(name: &str, why: NotReady, log: &Path) -> Failure {
    let failure = Failure::new(&codes::OWNER_NOT_READY, format!("instance `{name}` did not become ready in time"));
    match why {
        NotReady::Nobody => failure
            .why("nobody has started its owner")
            .help(format!("start it with `nixbox-helper up {name}`, or by your process manager")),
        NotReady::Starting => {
            failure.why("its owner is still starting").help("wait longer with `--timeout`, or look at its log")
        }
        NotReady::Stopping => {
            failure.why("its owner is stopping").help(format!("see what stopped it, for example in {}", log.display()))
        }
        NotReady::Unwatched => failure
            .why("nobody has started its owner, and the runtime folder cannot be watched")
            .help("raise fs.inotify.max_user_instances, or start the owner first"),
        NotReady::Silent => failure
            .why("its owner accepts connections and says nothing")
            .help(format!("end it with `nixbox-helper stop {name}`")),
    }
}
