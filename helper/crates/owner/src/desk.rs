//! Where requests on the database are put: open while the database is, and so made that no request can hold up the
//! owner. What it asks of the database runs on threads aside, a few at a time; waiting for a slow client takes none.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nixbox_engine::{ByPath, Caller, Kv, Layers, Review, Snapshots, ToolCalls};
use nixbox_report::{Failure, Report, codes};
use nixbox_supervisor::Hooks;
use nixbox_sync::Local;
use tokio::sync::{Semaphore, broadcast, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::metrics::Metrics;
use crate::stop::Stop;
use crate::sync::Syncing;

/// Threads that work for requests. The database has one lock; more would only wait for it.
const WORKERS: usize = 4;
/// Requests at a time; others wait.
const MAX_TALKS: u32 = 256;
/// How many new calls a slow follower of the timeline may be behind before it has to look them up.
const BEHIND: usize = 256;

/// What can be asked.
pub(crate) struct Open {
    pub(crate) files: ByPath,
    pub(crate) kv: Kv,
    pub(crate) calls: ToolCalls,
    pub(crate) review: Review,
    /// Of a view over a base.
    pub(crate) layers: Option<Layers>,
    /// What is changed is the base itself.
    pub(crate) in_place: bool,
    pub(crate) snapshots: Snapshots,
    /// With its remote, where it has one.
    pub(crate) sync: Option<Arc<Syncing>>,
    pub(crate) local: Local,
    /// What is run when something has happened.
    pub(crate) hooks: Hooks,
    /// Where the instance keeps what is its own beside the database.
    pub(crate) folder: PathBuf,
    /// Who the owner is.
    pub(crate) caller: Caller,
}

#[derive(Clone)]
pub(crate) struct Desk {
    state: Arc<watch::Sender<State>>,
    talks: Arc<Semaphore>,
    workers: Arc<Semaphore>,
    recorded: broadcast::Sender<i64>,
    metrics: Arc<Metrics>,
}

#[derive(Clone)]
enum State {
    NotYet,
    Open(Arc<Open>),
    /// Nothing is ever answered here, and why.
    Refusing(Arc<Failure>),
    Closed,
}

impl Desk {
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            state: Arc::new(watch::Sender::new(State::NotYet)),
            talks: Arc::new(Semaphore::new(MAX_TALKS as usize)),
            workers: Arc::new(Semaphore::new(WORKERS)),
            recorded: broadcast::Sender::new(BEHIND),
            metrics,
        }
    }

    pub(crate) fn open(&self, open: Open) {
        self.state.send_replace(State::Open(Arc::new(open)));
    }

    pub(crate) fn refuse(&self, why: Failure) {
        self.state.send_replace(State::Refusing(Arc::new(why)));
    }

    /// Takes no more requests, and waits for those that are at work, but not for long.
    pub(crate) async fn close(&self, patience: Duration) {
        self.state.send_replace(State::Closed);
        if timeout(patience, self.talks.acquire_many(MAX_TALKS)).await.is_err() {
            tracing::warn!("requests were broken off");
        }
    }

    /// Waits for the start to be over. The answer counts as a request at work for as long as it is kept.
    pub(crate) async fn take(&self, stop: &Stop) -> Result<Request, Report> {
        let mut state = self.state.subscribe();
        let known = tokio::select! {
            known = state.wait_for(|state| !matches!(state, State::NotYet)) => known.map(|state| state.clone()),
            () = stop.requested() => Ok(State::Closed),
        };
        let open = match known {
            Ok(State::Open(open)) => open,
            Ok(State::Refusing(why)) if !stop.is_requested() => return Err((*why).clone().into()),
            _ => return Err(stopping().into()),
        };
        let place = tokio::select! {
            place = self.talks.clone().acquire_owned() => place,
            () = stop.requested() => return Err(stopping().into()),
        };
        match place {
            Ok(place) if !stop.is_requested() => {
                Ok(Request { open, desk: self.clone(), stop: stop.clone(), _place: place })
            }
            _ => Err(stopping().into()),
        }
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The numbers of calls that begin or end from here on.
    pub(crate) fn follow(&self) -> broadcast::Receiver<i64> {
        self.recorded.subscribe()
    }
}

pub(crate) fn stopping() -> Failure {
    Failure::new(&codes::OWNER_STOPPING, "the owner is stopping")
        .why("it takes no more requests")
        .help("ask again when it is gone, or serves again")
}

/// A synced instance may be read-only for a time: then that is what has to be said.
fn why_read_only(open: &Open, report: Report) -> Report {
    let refused = report.failures.iter().any(|failure| failure.code == &codes::FILE_READ_ONLY);
    match open.sync.as_ref().filter(|_| refused).and_then(|sync| sync.read_only()) {
        Some(why) => why.into(),
        None => report,
    }
}

/// One request at work.
pub(crate) struct Request {
    open: Arc<Open>,
    desk: Desk,
    stop: Stop,
    _place: tokio::sync::OwnedSemaphorePermit,
}

impl Request {
    /// Runs what blocks on a thread aside, when one is free.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Open) -> Result<T, Report> + Send + 'static,
    ) -> Result<T, Report> {
        let broken = |error: &dyn std::fmt::Display| {
            Report::from(Failure::new(&codes::UNEXPECTED, "a request broke off").why(error))
        };
        let open = self.open.clone();
        // Where content may be far away, nobody waits for a thread behind whoever waits for that.
        let worker = match open.local.absent.is_any() {
            true => None,
            false => Some(self.desk.workers.clone().acquire_owned().await.map_err(|error| broken(&error))?),
        };
        let done = tokio::task::spawn_blocking(move || {
            let done = work(&open).map_err(|report| why_read_only(&open, report));
            drop((open, worker));
            done
        });
        done.await.map_err(|error| broken(&error))?
    }

    /// Runs what takes as long as its peer does, from now on, beside the threads for the others.
    pub(crate) fn aside<T: Send + 'static>(&self, work: impl FnOnce(&Open) -> T + Send + 'static) -> JoinHandle<T> {
        let open = self.open.clone();
        tokio::task::spawn_blocking(move || work(&open))
    }

    pub(crate) fn stop(&self) -> &Stop {
        &self.stop
    }

    pub(crate) fn desk(&self) -> &Desk {
        &self.desk
    }

    /// Tells those who follow the timeline. `outcome`: how the call ended, or `pending`.
    pub(crate) fn recorded(&self, id: i64, outcome: &str) {
        self.desk.metrics.tool_call(outcome);
        let _ = self.desk.recorded.send(id);
    }
}
