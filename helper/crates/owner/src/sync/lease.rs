//! What is done under the lease: with the one that is held, or with one for its time.

use std::sync::Arc;

use nixbox_config::SyncMode;
use nixbox_remote::{Claim, Error as RemoteError, Held, Standing};
use nixbox_report::{Failure, codes};
use nixbox_sync::{Error, Room};

use super::hold::{Hold, Holder};
use super::place::{Place, Why};
use super::{Syncing, Trouble};

enum May {
    Push,
    OnceBack,
    Not,
}

impl Syncing {
    pub(super) fn hold(&self) -> Option<Arc<Hold>> {
        self.place().hold()
    }

    /// Where the lease is another's, or was, only a take makes this the one that writes.
    pub(super) fn may_push(&self, room: &Room) -> Result<(), Trouble> {
        let may = match &*self.place() {
            Place::Free | Place::Holder { .. } => May::Push,
            Place::Adrift | Place::Reader(Why::Unreached | Why::Starting) => May::OnceBack,
            Place::Reader(Why::Unserved) if self.settings.mode != SyncMode::Follow => May::Push,
            Place::Reader(_) => May::Not,
        };
        match may {
            May::Push => Ok(()),
            May::OnceBack => Ok(self.rejoin(room)?),
            May::Not => Err(self.read_only().unwrap_or_else(|| self.sealed_up()).into()),
        }
    }

    fn sealed_up(&self) -> Failure {
        Failure::new(&codes::SYNC_READ_ONLY, format!("`{}` is read-only now", self.instance))
            .why("it is declared with `mount.read_only`")
            .help("turn that off and restart its owner")
    }

    /// What only the remote can say of the lease is found out here: that it is another's now, or that it has only run
    /// out.
    pub(super) fn under_the_lease<T>(
        &self,
        room: &Room,
        work: impl Fn(&Claim, Held) -> Result<T, Error>,
    ) -> Result<T, Trouble> {
        let Some(hold) = self.hold() else {
            let hold = self.acquire(room, false)?;
            let done = hold.good().map_err(Error::from).and_then(|held| work(hold.claim(), held));
            if let Err(error) = hold.give_back(room.remote()) {
                tracing::warn!(%error, remote = self.name, "the lease runs out by itself");
            }
            return Ok(done?);
        };
        let with =
            |held: Result<Held, RemoteError>| held.map_err(Error::from).and_then(|held| work(hold.claim(), held));
        match with(hold.good()) {
            // Run out, perhaps, while nobody else took it.
            Err(Error::Remote(RemoteError::Lost(_))) => match hold.renew() {
                Err(RemoteError::Lost(standing)) => {
                    self.has_lost(standing.as_deref());
                    Err(RemoteError::Lost(standing).into())
                }
                again => Ok(with(again)?),
            },
            done => Ok(done?),
        }
    }
}

impl Holder for Syncing {
    fn renewed(&self, held: Held) {
        self.is_renewed(held.left());
        // Whatever failed meanwhile may go well now.
        if self.so_far().failure.as_ref().is_some_and(|failure| failure.code == codes::SYNC_UNREACHABLE.id) {
            self.is_due_now();
        }
    }

    fn cut_off(&self, error: RemoteError) {
        self.is_cut_off();
        let conflicts = self.so_far().conflicts.clone();
        self.has_failed(&self.failed(error.into()), conflicts);
    }

    fn lost(&self, standing: Option<Standing>) {
        self.has_lost(standing.as_ref());
    }
}
