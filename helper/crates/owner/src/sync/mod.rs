//! The instance's place at its remote: one sync at a time, under the remote's lease where it writes there.

mod along;
mod content;
mod failure;
mod holder;
mod log;
mod settled;
mod switch;
mod token;
mod told;

use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use nixbox_config::{Partial, Remote as Declared};
use nixbox_control::{SyncEntry, SyncLine, SyncSide, SyncSizes};
use nixbox_remote::{Claim, Deadlines, Endpoint, Held, Lease, Remote};
use nixbox_report::{Failure, Report, codes};
use nixbox_sync::{Conflict, Done, Error, Local, Room};
use zeroize::Zeroizing;

use crate::desk::Open;
use crate::moment;
use crate::plan::Plan;
use crate::shelf::Shelf;
use along::Along;
pub(crate) use along::Errand;
use content::Bell;
pub(crate) use content::LoadsAhead;
pub(crate) use log::Log;
use settled::Settlements;

/// Renewed while a push is at work. Whoever dies with it has it again at once; others wait.
const LEASE: Duration = Duration::from_secs(120);
const RENEW: Duration = Duration::from_secs(40);

pub(crate) struct Syncing {
    instance: String,
    name: String,
    declared: Declared,
    partial: Option<Partial>,
    /// Who loads content ahead.
    ahead: Arc<Bell>,
    root: PathBuf,
    /// For what belongs to this remote.
    folder: PathBuf,
    /// Had once: a variable is wiped when it was read.
    token: OnceLock<Option<Zeroizing<String>>>,
    at_work: Mutex<()>,
    shelf: PathBuf,
    log: Log,
}

/// How many conflicts the log names.
const LOGGED: usize = 20;

/// Why a sync came to nothing.
enum Trouble {
    Sync(Error),
    Said(Report),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Sync(error)
    }
}

impl From<nixbox_remote::Error> for Trouble {
    fn from(error: nixbox_remote::Error) -> Self {
        Self::Sync(error.into())
    }
}

impl From<Report> for Trouble {
    fn from(report: Report) -> Self {
        Self::Said(report)
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Said(failure.into())
    }
}

/// What the instance is synced with, or that it is not.
pub(crate) fn on(open: &Open) -> Result<&Syncing, Report> {
    open.sync.as_deref().ok_or_else(|| {
        Failure::new(&codes::SYNC_NOT_DECLARED, "the instance is declared without `sync`")
            .why("nothing says which remote it belongs to")
            .help("declare one: [remotes.NAME] with its `url`, and `sync.remote = \"NAME\"` in the instance")
            .into()
    })
}

impl Syncing {
    pub(crate) fn of(plan: &Plan) -> Option<Arc<Self>> {
        let (name, declared) = (plan.instance.sync.clone()?, plan.remote.clone()?);
        Some(Arc::new(Self {
            instance: plan.instance.name.clone(),
            folder: plan.instance.paths.dir.join("sync").join(&name),
            name,
            declared,
            partial: plan.instance.partial.clone(),
            ahead: Arc::default(),
            root: plan.root.clone(),
            token: OnceLock::new(),
            at_work: Mutex::new(()),
            log: Log::of(&plan.instance.paths.dir),
            shelf: plan.instance.paths.dir.clone(),
        }))
    }

    pub(crate) fn look(&self, local: &Local) -> Result<Vec<SyncLine>, Report> {
        let looked = self.working(&self.along(local, Errand::default()), |room, settled| {
            let state = room.look(local, &|conflict| settled.of_conflict(conflict))?;
            let absent = local.absent.count().map_err(crate::failure::working)?;
            Ok(told::state(state, absent, &holder::id(&self.folder)?))
        });
        looked.map_err(|trouble| self.said(trouble))
    }

    pub(crate) fn pull(&self, local: &Local, errand: Errand) -> Result<SyncLine, Report> {
        self.on_record("pull", &self.along(local, errand), |room, settled| {
            let before = self.absent(local)?;
            let mut done = room.pull(local, &|conflict| settled.of_conflict(conflict))?;
            done.bytes_in += self.load_first(room.remote(), local, &before)?;
            tracing::info!(remote = self.name, pulled = done.pulled, bytes = done.bytes_in, "pulled");
            Ok(done)
        })
    }

    pub(crate) fn push(&self, local: &Local, errand: Errand) -> Result<SyncLine, Report> {
        self.on_record("push", &self.along(local, errand), |room, settled| self.push_in(room, local, settled))
    }

    fn push_in(&self, room: &Room, local: &Local, settled: &Settlements) -> Result<Done, Trouble> {
        let claim = self.claim()?;
        let held = match claim.take(room.remote(), false)? {
            Lease::Ours(held) => held,
            Lease::Theirs(standing) => return Err(self.held(&standing).into()),
        };
        let settled = |conflict: &Conflict| settled.of_conflict(conflict);
        let before = self.absent(local)?;
        let pushed = self.renewing(&claim, held, || room.push(local, &claim, held, &settled));
        if let Err(error) = claim.release(room.remote(), held) {
            tracing::warn!(%error, remote = self.name, "the lease runs out by itself");
        }
        let mut done = pushed?;
        done.bytes_in += self.load_first(room.remote(), local, &before)?;
        tracing::info!(
            remote = self.name,
            pulled = done.pulled,
            pushed = done.pushed,
            bytes = done.bytes_out,
            "pushed"
        );
        Ok(done)
    }

    /// No name: everything that is in conflict.
    pub(crate) fn resolve(&self, local: &Local, name: Option<&str>, take: SyncSide) -> Result<Vec<SyncLine>, Report> {
        let resolved = self.working(&self.along(local, Errand::default()), |room, settled| {
            let mut conflicts = room.look(local, &|_| None)?.conflicts;
            if let Some(name) = name {
                conflicts.retain(|conflict| conflict.key.to_string() == name);
                if conflicts.is_empty() {
                    return Err(Failure::new(&codes::SYNC_NO_CONFLICT, format!("`{name}` is not in conflict"))
                        .why("it is the same on both sides, or only one of them changed it")
                        .help("`nixbox-helper sync conflicts` lists what is")
                        .into());
                }
            }
            settled.settle(&conflicts, take)?;
            Ok(conflicts)
        });
        let conflicts = resolved.map_err(|trouble| self.said(trouble))?;
        if !conflicts.is_empty() {
            self.record(SyncEntry { did: "resolve".into(), ..self.with_conflicts(&conflicts) });
        }
        Ok(conflicts.iter().map(told::conflict).collect())
    }

    /// What the logs of the database and of the copy of the remote hold becomes part of them.
    pub(crate) fn checkpoint(&self, local: &Local) -> Result<SyncSizes, Report> {
        let shrunk = self.working(&self.along(local, Errand::default()), |room, _| {
            let bytes = || local.snapshots.bytes() + room.bytes();
            let before = bytes();
            local.snapshots.shrink().map_err(Error::from)?;
            room.shrink()?;
            Ok(SyncSizes { before, after: bytes() })
        });
        shrunk.map_err(|trouble| self.said(trouble))
    }

    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    fn along(&self, local: &Local, errand: Errand) -> Arc<Along> {
        let shelf = Shelf::of(&self.shelf);
        Arc::new(Along { errand, shelf, database: local.snapshots.clone(), kept: Mutex::default() })
    }

    /// What it comes to is in the log, unless it comes to nothing.
    fn on_record(
        &self,
        did: &str,
        along: &Arc<Along>,
        work: impl FnOnce(&Room, &mut Settlements) -> Result<Done, Trouble>,
    ) -> Result<SyncLine, Report> {
        let began = Instant::now();
        let worked = self.working(along, work);
        let mut entry = match &worked {
            Err(Trouble::Sync(Error::Conflicts(conflicts))) => self.with_conflicts(conflicts),
            _ => SyncEntry::default(),
        };
        let snapshot = along.kept();
        let answer = match worked {
            Ok(done) => {
                (entry.pulled, entry.pushed) = (done.pulled as u64, done.pushed as u64);
                (entry.bytes_in, entry.bytes_out) = (done.bytes_in, done.bytes_out);
                Ok(told::done(done, snapshot.clone()))
            }
            Err(trouble) => {
                let report = self.said(trouble);
                let failure = report.failures.first();
                entry.code = failure.map(|failure| failure.code.id.to_owned());
                entry.message = failure.map(|failure| failure.what.clone());
                Err(report)
            }
        };
        if entry.pulled + entry.pushed > 0 || entry.code.is_some() {
            self.record(SyncEntry { did: did.into(), took: began.elapsed().as_secs_f64(), snapshot, ..entry });
        }
        answer
    }

    fn with_conflicts(&self, conflicts: &[Conflict]) -> SyncEntry {
        let names = conflicts.iter().take(LOGGED).map(|conflict| conflict.key.to_string());
        SyncEntry { conflicts: names.collect(), of_conflicts: conflicts.len() as u64, ..SyncEntry::default() }
    }

    fn record(&self, entry: SyncEntry) {
        let entry = SyncEntry { at: moment::now() as f64 / 1000.0, remote: self.name.clone(), ..entry };
        // The sync itself is what it is.
        if let Err(error) = self.log.add(entry) {
            tracing::warn!(%error, "the log of syncs cannot be written");
        }
    }

    fn said(&self, trouble: Trouble) -> Report {
        match trouble {
            Trouble::Sync(error) => self.failed(error),
            Trouble::Said(report) => report,
        }
    }

    fn working<T>(
        &self,
        along: &Arc<Along>,
        work: impl FnOnce(&Room, &mut Settlements) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let Ok(_at_work) = self.at_work.try_lock() else {
            return Err(Failure::new(&codes::SYNC_BUSY, "another sync of this instance is at work")
                .why("one at a time")
                .help("ask again when it is done")
                .into());
        };
        let room = Room::open(&self.folder, self.remote()?)?.partial(self.partial.is_some()).in_company(along.clone());
        let mut settled = Settlements::of(&self.folder)?;
        work(&room, &mut settled)
    }

    /// A lease that cannot be renewed is found out about by the push itself.
    fn renewing<T>(&self, claim: &Claim, held: Held, work: impl FnOnce() -> T) -> T {
        std::thread::scope(|scope| {
            let (done, is_done) = channel::<()>();
            scope.spawn(move || {
                while let Err(RecvTimeoutError::Timeout) = is_done.recv_timeout(RENEW) {
                    let renewed = self.remote().map(|remote| claim.renew(&remote, held));
                    if let Ok(Err(error)) = renewed {
                        tracing::warn!(%error, remote = self.name, "the lease was not renewed");
                    }
                }
            });
            let answer = work();
            drop(done);
            answer
        })
    }

    fn remote(&self) -> Result<Remote, Report> {
        let address = &self.declared.address;
        let token = match self.token.get() {
            Some(token) => token,
            None => {
                let token = token::read(self.declared.token.as_ref(), &self.name, &self.root)?;
                self.token.get_or_init(|| token)
            }
        };
        let endpoint = Endpoint { base: address.base().to_owned(), loopback: address.is_loopback() };
        let token = token.as_ref().map(|token| token.as_str());
        Remote::new(&endpoint, token, Deadlines::default()).map_err(|error| self.failed(error.into()))
    }

    fn claim(&self) -> Result<Claim, Report> {
        Ok(Claim {
            holder: holder::id(&self.folder)?,
            who: holder::who(&self.instance),
            host: holder::host(),
            length: LEASE,
        })
    }
}
