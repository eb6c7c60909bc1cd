//! The lease by hand: taken for as long as the owner lives, and given back.

use std::sync::atomic::Ordering;

use nixbox_config::SyncMode;
use nixbox_control::SyncLine;
use nixbox_remote::{Error as RemoteError, Standing};
use nixbox_report::{Failure, Report, codes};
use nixbox_sync::{Local, Older};

use super::come_up::is;
use super::place::{Place, Why};
use super::{Duty, Errand, Syncing, holder};

impl Syncing {
    /// From here on this is the one that writes, on what the remote has, also where that was put back.
    pub(crate) fn take(&self, local: &Local, force: bool) -> Result<Vec<SyncLine>, Report> {
        let along = self.along_with(local, Errand::default(), Older::Take);
        let taken = self.on_record("take", &along, |room, settled| {
            let still = self.hold().map(|hold| hold.renew());
            match still {
                Some(Ok(_)) => {}
                Some(Err(error)) if !matches!(error, RemoteError::Lost(_)) => return Err(error.into()),
                Some(Err(_)) | None => {
                    let pulled = matches!(*self.place(), Place::Free | Place::Adrift);
                    let hold = self.acquire(room, force)?;
                    self.stand(Place::Holder { hold, pulled });
                    tracing::info!(remote = self.name, force, "the lease is taken");
                }
            }
            self.set_duty(Duty::Write);
            self.pull_in(room, local, settled)
        });
        match taken {
            Ok(done) => {
                self.is_due_now();
                Ok(vec![self.state_line(), done])
            }
            Err(report) => {
                if self.hold().is_some() {
                    self.is_due_later(&report);
                }
                Err(report)
            }
        }
    }

    /// What is here goes there first; where that cannot be, it is pending, and said to be.
    pub(crate) fn release(&self, local: &Local) -> Result<Vec<SyncLine>, Report> {
        let Some(hold) = self.hold() else { return self.release_what_is_left(local) };
        if self.settings.mode != SyncMode::Manual {
            self.settle();
            self.gate.shut();
        }
        let along = self.along(local, Errand::default());
        let pushed = match self.pending() {
            Some(0) => Ok(None),
            _ => self.on_record("push", &along, |room, settled| self.push_in(room, local, settled)).map(Some),
        };
        let done = match pushed {
            Err(report) if is(&report, &codes::SYNC_UNREACHABLE) => Err(report),
            // What it came to otherwise is on record, and pending.
            pushed => self
                .remote()
                .and_then(|remote| hold.give_back(&remote).map_err(|error| self.failed(error.into())))
                .map(|()| pushed.ok().flatten()),
        };
        // It is ours still where it could not be given back.
        let done = done.inspect_err(|_| self.is_renewed(hold.left()))?;
        self.stand_back();
        tracing::info!(remote = self.name, "the lease is given back");
        Ok([self.state_line()].into_iter().chain(done).collect())
    }

    fn stand_back(&self) {
        if self.settings.mode == SyncMode::Manual {
            return self.stand(Place::Free);
        }
        self.set_duty(Duty::Follow);
        self.stand(Place::Reader(if self.settings.mode == SyncMode::Follow { Why::Follows } else { Why::Released }));
        self.is_due_now();
    }

    /// Of one that was lost, or that a killed owner has left at the remote.
    fn release_what_is_left(&self, local: &Local) -> Result<Vec<SyncLine>, Report> {
        let was_lost = matches!(*self.place(), Place::Reader(Why::Lost(_)));
        if was_lost {
            self.stand_back();
            return Ok(vec![self.state_line()]);
        }
        let standing = self.remote().map(|remote| Standing::of(&remote))?.map_err(|error| self.failed(error.into()))?;
        let ours = holder::id(&self.folder)?;
        match standing.filter(|standing| standing.left.is_some() && standing.holder == ours) {
            // A push takes it, and gives it back.
            Some(_) => self.push(local, Errand::default(), false).map(|done| vec![self.state_line(), done]),
            None => Err(Failure::new(&codes::SYNC_NOT_HELD, format!("the lease of `{}` is not held here", self.name))
                .why("nothing was taken, or it was given back already")
                .help("`nixbox-helper sync status` says whose it is")
                .into()),
        }
    }

    /// Nobody syncs it any more: it is on this machine alone.
    pub(super) fn give_up(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.bell.notify_one();
        self.stand(Place::Free);
    }

    /// What programs have written through a mapping is in the tree, before nothing more gets in.
    pub(super) fn settle(&self) {
        if let Some(witness) = self.witness.get() {
            witness.settle(None);
        }
    }
}
