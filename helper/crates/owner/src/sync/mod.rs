//! The instance's place at its remote: one sync at a time, under the remote's lease where it writes there.
//!
//! [`place`] says how it stands, and so whether the [`gate`] is open through which everybody changes it; [`come_up`] brings
//! it there, [`keeper`] does what its mode wants, and [`hold`] keeps the lease. Every sync goes through
//! [`Syncing::pull_in`] or [`Syncing::push_in`], and is [on record](Syncing::on_record), whoever wants it.

mod along;
mod come_up;
mod content;
mod failure;
mod gate;
mod go_down;
mod hold;
mod holder;
mod keeper;
mod lease;
mod log;
mod noticed;
mod place;
mod record;
mod settled;
mod switch;
mod take;
pub(crate) mod token;
mod told;
mod turn;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use nixbox_config::{HookEvent, Offline, Partial, Remote as Declared, Sync as Settings, SyncMode};
use nixbox_control::{SyncEntry, SyncLine, SyncSide, SyncSizes};
use nixbox_engine::{FileSystem, Kv, Leave, Witness};
use nixbox_remote::{Deadlines, Endpoint, Remote};
use nixbox_report::{Failure, Report, codes};
use nixbox_supervisor::Hooks;
use nixbox_sync::{Conflict, Done, Error, Local, Older, Room};
use tokio::sync::{Notify, watch};
use zeroize::Zeroizing;

use crate::desk::Open;
use crate::moment;
use crate::observed::Observed;
use crate::plan::Plan;
use crate::shelf::Shelf;
use along::Along;
pub(crate) use along::Errand;
use content::Bell;
pub(crate) use content::LoadsAhead;
use gate::Gate;
pub(crate) use log::Log;
use place::{Place, Why};
use record::Record;
use settled::Settlements;
use turn::Turns;

/// How long a verb waits for the sync that is at work.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Syncing {
    me: Weak<Self>,
    instance: String,
    name: String,
    declared: Declared,
    settings: Settings,
    partial: Option<Partial>,
    /// Who loads content ahead.
    ahead: Arc<Bell>,
    root: PathBuf,
    /// For what belongs to this remote.
    folder: PathBuf,
    /// Had once: a variable is wiped when it was read.
    token: OnceLock<Option<Zeroizing<String>>>,
    gate: Arc<Gate>,
    /// It is declared read-only: no place opens the gate.
    sealed: bool,
    /// Who shows it.
    witness: OnceLock<Arc<dyn Witness>>,
    turns: Turns,
    place: Mutex<Place>,
    so_far: Mutex<Record>,
    follows: AtomicBool,
    stopping: AtomicBool,
    /// Wakes the keeper.
    bell: Arc<Notify>,
    told: watch::Sender<()>,
    shelf: PathBuf,
    log: Arc<Log>,
    hooks: Hooks,
}

/// What an instance does by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Duty {
    Write,
    Follow,
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
    pub(crate) fn of(plan: &Plan, hooks: &Hooks) -> Option<Arc<Self>> {
        let (settings, declared) = (plan.instance.sync.clone()?, plan.remote.clone()?);
        let log = Arc::new(Log::of(&plan.instance.paths.dir));
        let bell = Arc::new(Notify::new());
        let follows = settings.mode == SyncMode::Follow;
        Some(Arc::new_cyclic(|me| Self {
            me: me.clone(),
            instance: plan.instance.name.clone(),
            folder: plan.instance.paths.dir.join("sync").join(&settings.remote),
            name: settings.remote.clone(),
            declared,
            settings,
            partial: plan.instance.partial.clone(),
            ahead: Arc::default(),
            root: plan.root.clone(),
            token: OnceLock::new(),
            gate: Arc::new(Gate::new(bell.clone())),
            sealed: plan.instance.is_read_only(),
            witness: OnceLock::new(),
            turns: Turns::default(),
            place: Mutex::new(Place::Reader(Why::Starting)),
            so_far: Mutex::default(),
            follows: follows.into(),
            stopping: false.into(),
            bell,
            told: watch::Sender::new(()),
            log,
            shelf: plan.instance.paths.dir.clone(),
            hooks: hooks.clone(),
        }))
    }

    /// The tree for everybody but the sync itself.
    pub(crate) fn gated(&self, tree: Arc<dyn FileSystem>) -> Arc<dyn FileSystem> {
        Observed::by(self.gate.clone(), tree)
    }

    pub(crate) fn gated_values(&self, kv: Kv) -> Kv {
        kv.by_leave_of(self.gate.clone() as Arc<dyn Leave>)
    }

    /// Rings at every change of [`Self::state`].
    pub(crate) fn watch(&self) -> watch::Receiver<()> {
        self.told.subscribe()
    }

    pub(crate) fn look(&self, local: &Local) -> Result<Vec<SyncLine>, Report> {
        let looked = self.working(&self.along(local, Errand::default()), |room, settled| {
            let mut state = room.look(local, &|conflict| settled.of_conflict(conflict))?;
            if let Some(error) = state.older.take() {
                return Err(error.into());
            }
            let absent = local.absent.count().map_err(crate::failure::working)?;
            Ok(told::state(state, absent, &holder::id(&self.folder)?))
        });
        looked.map_err(|trouble| self.said(trouble))
    }

    pub(crate) fn pull(&self, local: &Local, errand: Errand) -> Result<SyncLine, Report> {
        self.on_record("pull", &self.along(local, errand), |room, settled| self.pull_in(room, local, settled))
    }

    /// `again`: of a remote that was put back, nothing counts as agreed on. So nothing goes on either side, and what differs
    /// is asked about.
    pub(crate) fn push(&self, local: &Local, errand: Errand, again: bool) -> Result<SyncLine, Report> {
        self.on_record("push", &self.along(local, errand), |room, settled| {
            if again && room.is_older(local)? {
                tracing::warn!(remote = self.name, "it was put back: what is here goes there again");
                local.agreed.forget().map_err(Error::from)?;
            }
            self.push_in(room, local, settled)
        })
    }

    /// What the remote has comes here.
    fn pull_in(&self, room: &Room, local: &Local, settled: &Settlements) -> Result<Done, Trouble> {
        self.begins();
        let before = self.absent(local)?;
        let mut done = room.pull(local, &|conflict| settled.of_conflict(conflict))?;
        self.has_pulled();
        done.bytes_in += self.load_first(room.remote(), local, &before)?;
        if done.pulled > 0 {
            tracing::info!(remote = self.name, pulled = done.pulled, bytes = done.bytes_in, "pulled");
        }
        Ok(done)
    }

    /// The same, and then what is here goes there.
    fn push_in(&self, room: &Room, local: &Local, settled: &Settlements) -> Result<Done, Trouble> {
        self.may_push(room)?;
        let before = self.absent(local)?;
        // What is changed from here on is not in it.
        self.begins();
        let waiting = self.gate.take_up();
        let pushed = self.under_the_lease(room, |claim, held| {
            room.push(local, claim, held, &|conflict| settled.of_conflict(conflict))
        });
        let mut done = pushed.inspect_err(|_| self.gate.put_back(waiting))?;
        self.has_pulled();
        done.bytes_in += self.load_first(room.remote(), local, &before)?;
        if done.pulled + done.pushed > 0 {
            let (pulled, pushed, bytes) = (done.pulled, done.pushed, done.bytes_out);
            tracing::info!(remote = self.name, pulled, pushed, bytes, "pushed");
        }
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
        self.is_due_now();
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
        self.along_with(local, errand, Older::Refuse)
    }

    fn along_with(&self, local: &Local, errand: Errand, older: Older) -> Arc<Along> {
        let shelf = Shelf::of(&self.shelf);
        Arc::new(Along {
            errand,
            older,
            shelf,
            hooks: self.hooks.clone(),
            database: local.snapshots.clone(),
            agreed: local.agreed.clone(),
            kept: Mutex::default(),
        })
    }

    /// What it comes to is in the log, unless it comes to nothing.
    fn on_record(
        &self,
        did: &str,
        along: &Arc<Along>,
        work: impl FnOnce(&Room, &mut Settlements) -> Result<Done, Trouble>,
    ) -> Result<SyncLine, Report> {
        self.on_record_within(did, along, PATIENCE, Deadlines::default(), work)
    }

    fn on_record_within(
        &self,
        did: &str,
        along: &Arc<Along>,
        patience: Duration,
        deadlines: Deadlines,
        work: impl FnOnce(&Room, &mut Settlements) -> Result<Done, Trouble>,
    ) -> Result<SyncLine, Report> {
        let began = Instant::now();
        if self.is_another(along)? {
            let what = "the database is another one than was last synced here: it was restored, or replaced";
            tracing::warn!(remote = self.name, "{what}");
            self.record(SyncEntry { did: "noticed".into(), message: Some(what.into()), ..SyncEntry::default() });
        }
        let worked = self.working_within(along, patience, deadlines, work);
        if let Err(report) = self.remember(along) {
            let why = report.failures.first().map_or("", |failure| failure.what.as_str());
            tracing::warn!(why, "what was agreed on is not remembered");
        }
        let (mut entry, mut names) = (SyncEntry::default(), Vec::new());
        if let Err(Trouble::Sync(Error::Conflicts(conflicts))) = &worked {
            entry = self.with_conflicts(conflicts);
            names = conflicts.iter().map(|conflict| conflict.key.to_string()).collect();
        }
        let snapshot = along.kept();
        let mut is_news = true;
        let answer = match worked {
            Ok(done) => {
                (entry.pulled, entry.pushed) = (done.pulled as u64, done.pushed as u64);
                (entry.bytes_in, entry.bytes_out) = (done.bytes_in, done.bytes_out);
                self.has_succeeded(&done);
                Ok(told::done(done, snapshot.clone()))
            }
            Err(trouble) => {
                let mut report = self.said(trouble);
                if let (Some(id), Some(failure)) = (&snapshot, report.failures.first_mut()) {
                    let help = failure.help.take().map(|help| format!("{help}; ")).unwrap_or_default();
                    failure.help = Some(format!("{help}what was here before is snapshot {id}"));
                }
                let failure = report.failures.first();
                entry.code = failure.map(|failure| failure.code.id.to_owned());
                entry.message = failure.map(|failure| failure.what.clone());
                is_news = self.has_failed(&report, names);
                Err(report)
            }
        };
        // What goes on failing by itself is there once.
        let is_asked_for = along.errand.is_watched();
        if entry.pulled + entry.pushed > 0 || entry.code.is_some() && (is_news || is_asked_for) {
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
        let told = serde_json::to_value(&entry).unwrap_or_default();
        let event = match (&entry.code, entry.of_conflicts) {
            (None, 0) if entry.pulled + entry.pushed > 0 => Some(HookEvent::Sync),
            (Some(_), 1..) => Some(HookEvent::Conflict),
            _ => None,
        };
        match self.log.add(entry) {
            // What is found in conflict again and again was told.
            Ok(is_new) => drop(event.filter(|_| is_new).map(|event| self.hooks.fire(event.as_str(), told))),
            // The sync itself is what it is.
            Err(error) => tracing::warn!(%error, "the log of syncs cannot be written"),
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
        self.working_within(along, PATIENCE, Deadlines::default(), work)
    }

    /// `patience`: with the sync that is at work.
    fn working_within<T>(
        &self,
        along: &Arc<Along>,
        patience: Duration,
        deadlines: Deadlines,
        work: impl FnOnce(&Room, &mut Settlements) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let Some(_turn) = self.turns.take(patience) else {
            return Err(Failure::new(&codes::SYNC_BUSY, "another sync of this instance is at work")
                .why("one at a time")
                .help("ask again when it is done")
                .into());
        };
        let room = Room::open(&self.folder, self.remote_within(deadlines)?)?;
        let room = room.partial(self.partial.is_some()).older(along.older).in_company(along.clone());
        let mut settled = Settlements::of(&self.folder)?;
        work(&room, &mut settled)
    }

    fn remote(&self) -> Result<Remote, Report> {
        self.remote_within(Deadlines::default())
    }

    fn remote_within(&self, deadlines: Deadlines) -> Result<Remote, Report> {
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
        Remote::new(&endpoint, token, deadlines).map_err(|error| self.failed(error.into()))
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn so_far(&self) -> MutexGuard<'_, Record> {
        self.so_far.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn duty(&self) -> Duty {
        if self.follows.load(Ordering::SeqCst) { Duty::Follow } else { Duty::Write }
    }

    fn set_duty(&self, duty: Duty) {
        self.follows.store(duty == Duty::Follow, Ordering::SeqCst);
    }

    fn may_be_offline(&self) -> bool {
        self.settings.offline == Offline::Allow
    }
}
