//! That, and why, this process is to end. Known everywhere, said by whoever learns of it first.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nixbox_report::{Failure, Report, codes};
use nixbox_supervisor::Ended;
use tokio::sync::watch;

#[derive(Debug, Clone)]
pub(crate) struct Stop {
    state: Arc<watch::Sender<State>>,
    /// Where an ephemeral instance is saved, when that is asked for.
    ephemeral: Option<Arc<Path>>,
}

#[derive(Debug, Default)]
struct State {
    reason: Option<Reason>,
    hurry: bool,
    keep: bool,
}

#[derive(Debug)]
pub(crate) enum Reason {
    Signal(&'static str),
    /// By a request on the control socket.
    Asked,
    /// The kernel has let go of the mount.
    MountEnded(io::Result<()>),
    /// Upstream's program has.
    UpstreamEnded(Ended),
}

impl Stop {
    pub(crate) fn new() -> Self {
        Self { state: Arc::new(watch::Sender::new(State::default())), ephemeral: None }
    }

    /// Of an instance that is gone with its owner, unless it is kept.
    pub(crate) fn of_ephemeral(saved: PathBuf) -> Self {
        Self { ephemeral: Some(saved.into()), ..Self::new() }
    }

    /// What was changed is to be saved in the end. Of others than ephemeral instances it is anyway.
    pub(crate) fn keep(&self) -> Result<(), Report> {
        if let Some(path) = self.ephemeral.as_deref().filter(|path| path.exists()) {
            return Err(occupied(path).into());
        }
        self.state.send_modify(|state| state.keep = true);
        Ok(())
    }

    pub(crate) fn is_to_keep(&self) -> bool {
        self.ephemeral.is_some() && self.state.borrow().keep
    }

    /// The first reason counts. A second signal says that there is no time left.
    pub(crate) fn request(&self, reason: Reason) {
        self.state.send_modify(|state| match (&state.reason, reason) {
            (None, reason) => state.reason = Some(reason),
            (Some(_), Reason::Signal(_)) => state.hurry = true,
            (Some(_), _) => {}
        });
    }

    pub(crate) fn is_requested(&self) -> bool {
        self.state.borrow().reason.is_some()
    }

    pub(crate) fn is_hurried(&self) -> bool {
        self.state.borrow().hurry
    }

    pub(crate) async fn requested(&self) {
        self.reached(|state| state.reason.is_some()).await;
    }

    pub(crate) async fn hurried(&self) {
        self.reached(|state| state.hurry).await;
    }

    /// Why, once it is known.
    pub(crate) fn with_reason<T>(&self, look: impl FnOnce(Option<&Reason>) -> T) -> T {
        look(self.state.borrow().reason.as_ref())
    }

    async fn reached(&self, state: impl FnMut(&State) -> bool) {
        // Fails only when the sender is gone, which we hold.
        let _ = self.state.subscribe().wait_for(state).await;
    }
}

pub(crate) fn occupied(path: &Path) -> Failure {
    Failure::new(&codes::DATABASE_EXISTS, format!("{} is there already", path.display()))
        .why("an ephemeral instance is never saved over a database")
        .help("move that away, or stop without `--keep`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_counts_and_only_a_second_signal_hurries() {
        let stop = Stop::new();
        assert!(!stop.is_requested());
        stop.request(Reason::Asked);
        stop.request(Reason::MountEnded(Ok(())));
        assert!(stop.is_requested() && !stop.is_hurried());
        stop.request(Reason::Signal("SIGTERM"));
        assert!(stop.is_hurried());
        assert!(stop.with_reason(|reason| matches!(reason, Some(Reason::Asked))));
    }
}
