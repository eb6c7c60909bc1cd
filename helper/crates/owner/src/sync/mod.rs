//! The instance's place at its remote: one sync at a time, under the remote's lease where it writes there.

mod content;
mod failure;
mod holder;
mod settled;
mod token;
mod told;

use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use nixbox_config::{Partial, Remote as Declared};
use nixbox_control::{SyncLine, SyncSide};
use nixbox_remote::{Claim, Deadlines, Endpoint, Held, Lease, Remote};
use nixbox_report::{Failure, Report, codes};
use nixbox_sync::{Conflict, Local, Room};
use zeroize::Zeroizing;

use crate::desk::Open;
use crate::plan::Plan;
use content::Bell;
pub(crate) use content::LoadsAhead;
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
        }))
    }

    pub(crate) fn look(&self, local: &Local) -> Result<Vec<SyncLine>, Report> {
        self.working(|room, settled| {
            let state =
                room.look(local, &|conflict| settled.of_conflict(conflict)).map_err(|error| self.failed(error))?;
            let holder = holder::id(&self.folder)?;
            let absent = local.absent.count().map_err(crate::failure::working)?;
            Ok(told::state(state, absent, &holder))
        })
    }

    pub(crate) fn pull(&self, local: &Local) -> Result<SyncLine, Report> {
        self.working(|room, settled| {
            let before = self.absent(local)?;
            let mut done =
                room.pull(local, &|conflict| settled.of_conflict(conflict)).map_err(|error| self.failed(error))?;
            done.bytes_in += self.load_first(room.remote(), local, &before)?;
            tracing::info!(remote = self.name, pulled = done.pulled, bytes = done.bytes_in, "pulled");
            Ok(told::done(done))
        })
    }

    pub(crate) fn push(&self, local: &Local) -> Result<SyncLine, Report> {
        self.working(|room, settled| {
            let claim = self.claim()?;
            let held = match claim.take(room.remote(), false).map_err(|error| self.failed(error.into()))? {
                Lease::Ours(held) => held,
                Lease::Theirs(standing) => return Err(self.held(&standing).into()),
            };
            let settled = |conflict: &Conflict| settled.of_conflict(conflict);
            let before = self.absent(local)?;
            let pushed = self.renewing(&claim, held, || room.push(local, &claim, held, &settled));
            if let Err(error) = claim.release(room.remote(), held) {
                tracing::warn!(%error, remote = self.name, "the lease runs out by itself");
            }
            let mut done = pushed.map_err(|error| self.failed(error))?;
            done.bytes_in += self.load_first(room.remote(), local, &before)?;
            tracing::info!(
                remote = self.name,
                pulled = done.pulled,
                pushed = done.pushed,
                bytes = done.bytes_out,
                "pushed"
            );
            Ok(told::done(done))
        })
    }

    pub(crate) fn resolve(&self, local: &Local, name: &str, take: SyncSide) -> Result<(), Report> {
        self.working(|room, settled| {
            let state = room.look(local, &|_| None).map_err(|error| self.failed(error))?;
            let conflict = state.conflicts.into_iter().find(|conflict| conflict.key.to_string() == name);
            let conflict = conflict.ok_or_else(|| {
                Failure::new(&codes::SYNC_NO_CONFLICT, format!("`{name}` is not in conflict"))
                    .why("it is the same on both sides, or only one of them changed it")
                    .help("`nixbox-helper sync conflicts` lists what is")
            })?;
            settled.settle(&conflict, take)
        })
    }

    fn working<T>(&self, work: impl FnOnce(&Room, &mut Settlements) -> Result<T, Report>) -> Result<T, Report> {
        let Ok(_at_work) = self.at_work.try_lock() else {
            return Err(Failure::new(&codes::SYNC_BUSY, "another sync of this instance is at work")
                .why("one at a time")
                .help("ask again when it is done")
                .into());
        };
        let room = Room::open(&self.folder, self.remote()?).map_err(|error| self.failed(error))?;
        let room = room.partial(self.partial.is_some());
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
