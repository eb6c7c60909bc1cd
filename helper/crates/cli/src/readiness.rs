//! Waiting until an instance is ready: by listening to its owner, and while there is none, by being told that
//! something changed in the folders where an owner shows itself. No timer in either case.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use nixbox_config::{Instance, Project};
use nixbox_control::{Error, Phase, Status};
use nixbox_report::{Failure, Report, codes};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use crate::presence::connect;

/// Counts what happens in a project's runtime folder. One inotify instance for all who wait: a user has few.
pub struct Changes {
    count: Arc<(Mutex<u64>, Condvar)>,
    _watcher: RecommendedWatcher,
}

/// Why it is not ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotReady {
    Nobody,
    Starting,
    Stopping,
    Silent,
}

impl Changes {
    pub fn watch(project: &Project, instances: &[&Instance]) -> Result<Self, Report> {
        let runtime = &project.runtime_dir;
        nixbox_state::create_private_dir(runtime).map_err(|error| {
            Failure::new(&codes::OWNER_RUNTIME_DIR, format!("{} cannot be used", runtime.display()))
                .why(error)
                .help("set `runtime_dir` to a folder of your own")
        })?;
        let count = Arc::new((Mutex::new(0), Condvar::new()));
        let told = Arc::clone(&count);
        let failed = |error: notify::Error| Failure::new(&codes::IO, "the runtime folder cannot be watched").why(error);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Our own look at the lock file is an event too, and would wake us for ever.
            if !event.is_ok_and(|event| event.kind.is_access()) {
                *told.0.lock().unwrap_or_else(PoisonError::into_inner) += 1;
                told.1.notify_all();
            }
        })
        .map_err(failed)?;
        watcher.watch(runtime, RecursiveMode::NonRecursive).map_err(failed)?;
        // An owner that was started in another environment shows itself only by its lock.
        for folder in instances.iter().filter_map(|instance| instance.paths.lock.parent()).filter(|dir| dir.is_dir()) {
            watcher.watch(folder, RecursiveMode::NonRecursive).map_err(failed)?;
        }
        Ok(Self { count, _watcher: watcher })
    }

    fn seen(&self) -> u64 {
        *self.count.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// False when the deadline came first.
    fn more_than(&self, seen: u64, deadline: Option<Instant>) -> bool {
        let mut count = self.count.0.lock().unwrap_or_else(PoisonError::into_inner);
        while *count == seen {
            count = match deadline.map(|at| at.saturating_duration_since(Instant::now())) {
                None => self.count.1.wait(count).unwrap_or_else(PoisonError::into_inner),
                Some(left) if left.is_zero() => return false,
                Some(left) => self.count.1.wait_timeout(count, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
        true
    }
}

/// An owner that dies is waited for again: its process manager may restart it.
pub fn until_ready(instance: &Instance, changes: &Changes, deadline: Option<Instant>) -> Result<Status, NotReady> {
    loop {
        let seen = changes.seen();
        if let Some(settled) = listen(instance, deadline) {
            return settled;
        }
        if !changes.more_than(seen, deadline) {
            return Err(NotReady::Nobody);
        }
    }
}

/// `None` when there is nobody, or nobody any more.
fn listen(instance: &Instance, deadline: Option<Instant>) -> Option<Result<Status, NotReady>> {
    let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
    let mut events = connect(instance).and_then(|client| client.subscribe(left)).ok()?;
    let mut last = NotReady::Silent;
    loop {
        match events.next(deadline) {
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
        NotReady::Silent => failure
            .why("its owner accepts connections and says nothing")
            .help(format!("end it with `nixbox-helper stop {name}`")),
    }
}
