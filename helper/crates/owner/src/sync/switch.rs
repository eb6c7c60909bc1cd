//! A local instance becomes a synced one, and a synced one a local one. What it holds stays, and is kept as a snapshot.

use nixbox_control::{SyncEntry, SyncLine};
use nixbox_remote::{Lease, Standing};
use nixbox_report::{Failure, Report, codes};
use nixbox_sync::{Done, Error, Local, State};

use super::{Errand, Syncing, holder, told};
use crate::failure;

impl Syncing {
    /// The first sync. What the remote holds already comes only with `merge`: where nothing is agreed on, what both have
    /// at one path is a conflict unless it is the same.
    pub(crate) fn begin(&self, local: &Local, errand: Errand, merge: bool) -> Result<SyncLine, Report> {
        let along = self.along(local, errand);
        self.on_record("enable", &along, |room, settled| {
            let is_new = local.agreed.all().map_err(Error::from)?.is_empty();
            if is_new && !merge {
                let state = room.look(local, &|_| None)?;
                let there = state.to_pull.len() + state.conflicts.len();
                if there > 0 {
                    return Err(self.holds_something(there).into());
                }
            }
            along.keep_before("enable")?;
            self.push_in(room, local, settled)
        })
    }

    /// Nothing is agreed on any more, and the remote's lease is free. `force`: also where not everything is there.
    pub(crate) fn end(&self, local: &Local, force: bool) -> Result<SyncLine, Report> {
        let along = self.along(local, Errand::default());
        let ended = self.working(&along, |room, settled| {
            let absent = local.absent.count().map_err(Error::from)?.0;
            if absent > 0 {
                return Err(self.is_not_here(absent).into());
            }
            if !force {
                let State { to_push, conflicts, .. } = room.look(local, &|conflict| settled.of_conflict(conflict))?;
                if to_push.len() + conflicts.len() > 0 {
                    return Err(self.is_pending(to_push.len(), conflicts.len()).into());
                }
            }
            along.keep_before("disable")?;
            if let Err(report) = self.give_lease_back(room.remote()) {
                let why = report.failures.first().map_or("", |failure| failure.what.as_str());
                tracing::warn!(why, remote = self.name, "the lease runs out by itself");
            }
            self.give_up();
            local.agreed.forget().map_err(Error::from)?;
            std::fs::remove_dir_all(&self.folder).map_err(|error| failure::io(&self.folder, &error))?;
            Ok(())
        });
        ended.map_err(|trouble| {
            let mut report = self.said(trouble);
            if let Some(failure) = report.failures.first_mut().filter(|it| it.code.id == codes::SYNC_UNREACHABLE.id) {
                failure.help = Some("ask again when it does, or with `--force`, which asks nobody".into());
            }
            report
        })?;
        let snapshot = along.kept();
        self.record(SyncEntry { did: "disable".into(), snapshot: snapshot.clone(), ..SyncEntry::default() });
        Ok(told::done(Done::default(), snapshot))
    }

    fn give_lease_back(&self, remote: &nixbox_remote::Remote) -> Result<(), Report> {
        let failed = |error: nixbox_remote::Error| self.failed(error.into());
        let standing = Standing::of(remote).map_err(failed)?;
        let id = holder::id(&self.folder)?;
        if standing.is_none_or(|standing| standing.left.is_none() || standing.holder != id) {
            return Ok(());
        }
        let claim = self.claim()?;
        match claim.take(remote, false).map_err(failed)? {
            Lease::Ours(held) => claim.release(remote, held).map_err(failed),
            Lease::Theirs(_) => Ok(()),
        }
    }

    fn holds_something(&self, there: usize) -> Failure {
        let (name, instance) = (&self.name, &self.instance);
        let what = match there {
            1 => format!("the remote `{name}` holds one thing that `{instance}` has not"),
            many => format!("the remote `{name}` holds {many} things that `{instance}` has not"),
        };
        Failure::new(&codes::SYNC_NOT_EMPTY, what)
            .why("nothing says that they belong together, and nothing was changed")
            .help("`--merge` brings both together, and asks about what differs; or name a remote that is empty")
    }

    fn is_not_here(&self, absent: u64) -> Failure {
        let what = format!("the content of {absent} files is on `{}` alone", self.name);
        Failure::new(&codes::SYNC_PENDING, what)
            .why("it was never read here, and could not be had afterwards; nothing was changed")
            .help("load it first: `nixbox-helper sync fetch`")
    }

    fn is_pending(&self, pending: usize, conflicts: usize) -> Failure {
        let (name, instance) = (&self.name, &self.instance);
        let why = match conflicts {
            0 => format!("{pending} to push; nothing was changed"),
            conflicts => format!("{pending} to push, {conflicts} in conflict; nothing was changed"),
        };
        Failure::new(&codes::SYNC_PENDING, format!("not all of `{instance}` is on `{name}`"))
            .why(why)
            .help("push first: `nixbox-helper sync push`; `--force` leaves it on this machine alone")
    }
}
