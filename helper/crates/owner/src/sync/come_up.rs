//! What comes before an instance is ready: the lease, then what the remote has, and only then whoever wants to write.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use nixbox_config::SyncMode;
use nixbox_control::SyncLine;
use nixbox_remote::{Backoff, Claim, Lease};
use nixbox_report::{Code, Report, codes};
use nixbox_sync::{Local, Room};

use super::hold::{self, Hold};
use super::place::{Place, Why};
use super::{Errand, Syncing, holder};
use crate::desk;
use crate::failure;

/// Beside the copy of the remote: who has it was, as far as is known here, the last that wrote there.
const LAST: &str = "wrote-last";
/// Asking for the lease is tried again where it may go well the next time.
const TRIES: u32 = 3;

impl Syncing {
    /// For an owner of a single request: what it may change is what needs nobody who goes on.
    pub(crate) fn come_up_alone(&self) {
        self.stand(match self.settings.mode {
            SyncMode::Manual => Place::Free,
            SyncMode::Follow => Place::Reader(Why::Follows),
            SyncMode::Periodic | SyncMode::RealTime => Place::Reader(Why::Unserved),
        });
    }

    /// Blocks for as long as the remote takes.
    pub(crate) fn come_up(&self, local: &Local) -> Result<(), Report> {
        match self.settings.mode {
            SyncMode::Manual => self.stand(Place::Free),
            SyncMode::Follow => self.stand(Place::Reader(Why::Follows)),
            SyncMode::Periodic | SyncMode::RealTime => return self.come_up_writing(local),
        }
        if !self.settings.pull_on_start {
            return Ok(());
        }
        let along = self.along(local, Errand::default());
        let pulled = self.on_record("pull", &along, |room, settled| self.pull_in(room, local, settled));
        self.go_on_with(pulled)
    }

    fn come_up_writing(&self, local: &Local) -> Result<(), Report> {
        let begun = self.on_record("pull", &self.along(local, Errand::default()), |room, settled| {
            let hold = self.acquire(room, false)?;
            if self.is_stopping() {
                // Nobody is left who would give it back.
                let _ = hold.give_back(room.remote());
                return Err(desk::stopping().into());
            }
            self.stand(Place::Holder { hold, pulled: false });
            self.pull_in(room, local, settled)
        });
        let unreached = begun.as_ref().is_err_and(|report| is(report, &codes::SYNC_UNREACHABLE));
        if unreached && self.hold().is_none() && self.may_be_offline() {
            self.stand(if self.were_last() { Place::Adrift } else { Place::Reader(Why::Unreached) });
        }
        self.go_on_with(begun)
    }

    /// Without the remote where that is allowed, and with what can only be settled by those who look at both.
    fn go_on_with(&self, begun: Result<SyncLine, Report>) -> Result<(), Report> {
        let Err(report) = begun else { return Ok(()) };
        let offline = self.may_be_offline() && is(&report, &codes::SYNC_UNREACHABLE);
        if offline || is_somebodys(&report) {
            self.is_due_later(&report);
            return Ok(());
        }
        Err(report)
    }

    /// After having been offline.
    pub(super) fn rejoin(&self, room: &Room) -> Result<(), Report> {
        let pulled = matches!(*self.place(), Place::Adrift);
        let hold = self.acquire(room, false).inspect_err(|report| {
            // Whoever has it may have written since.
            if is(report, &codes::SYNC_LEASE) {
                self.is_overtaken(report);
            }
        })?;
        // Who was writing goes on: that is merged with what the remote has by now.
        self.stand(Place::Holder { hold, pulled });
        Ok(())
    }

    fn is_overtaken(&self, report: &Report) {
        let who = report.failures.first().map_or_else(String::new, |failure| failure.what.clone());
        let who = who.rsplit_once(" is ").map_or(who.clone(), |(_, who)| who.to_owned());
        self.set_duty(super::Duty::Follow);
        self.stand(Place::Reader(Why::Lost(who)));
    }

    pub(super) fn acquire(&self, room: &Room, force: bool) -> Result<Arc<Hold>, Report> {
        let claim = self.claim()?;
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(2));
        let mut tries = TRIES;
        let lease = loop {
            tries -= 1;
            match claim.take(room.remote(), force) {
                // One whose answer was lost is ours already, and taken again.
                Err(error) if error.may_have_happened() && tries > 0 => std::thread::sleep(backoff.pause()),
                taken => break taken.map_err(|error| self.failed(error.into()))?,
            }
        };
        match lease {
            Lease::Ours(held) => {
                self.remember_that_we_were_last()?;
                let remote = self.remote_within(hold::deadlines(claim.length))?;
                Ok(Arc::new(Hold::keep(claim, held, remote, self.me.clone())))
            }
            Lease::Theirs(standing) => {
                self.forget_that_we_were_last();
                Err(self.is_held(&standing).into())
            }
        }
    }

    pub(super) fn claim(&self) -> Result<Claim, Report> {
        Ok(Claim {
            holder: holder::id(&self.folder)?,
            who: holder::who(&self.instance),
            host: holder::host(),
            length: self.settings.lease.0,
        })
    }

    /// An empty file: there or not, whoever is killed meanwhile.
    fn remember_that_we_were_last(&self) -> Result<(), Report> {
        let path = self.folder.join(LAST);
        File::create(&path).map(drop).map_err(|error| failure::io(&path, &error).into())
    }

    pub(super) fn forget_that_we_were_last(&self) {
        let _ = std::fs::remove_file(self.folder.join(LAST));
    }

    fn were_last(&self) -> bool {
        self.folder.join(LAST).exists()
    }
}

pub(super) fn is(report: &Report, code: &Code) -> bool {
    report.failures.first().is_some_and(|failure| failure.code == code)
}

/// To settle: it goes on failing until somebody has looked at it.
pub(super) fn is_somebodys(report: &Report) -> bool {
    is(report, &codes::SYNC_CONFLICT) || is(report, &codes::SYNC_OLDER)
}
