//! `serve NAME`: everything up in order, ready told to whoever waits, and everything down again in reverse.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::{getegid, geteuid};
use nixbox_config::{Engine, Instance};
use nixbox_control::{HttpStatus, NfsStatus, Phase, Status};
use nixbox_engine::{ByPath, Caller, Database, FileSystem, Options, Witness};
use nixbox_mount::nfs::Served;
use nixbox_report::{Failure, Report, codes};
use nixbox_state::{Lock, Process};
use nixbox_supervisor::Hooks;
use nixbox_sync::Local;
use sd_notify::NotifyState;
use tokio::time::{sleep, timeout};

use crate::budget::Budget;
use crate::desk::{Desk, Open};
use crate::failure;
use crate::folders;
use crate::held;
use crate::hooks;
use crate::key;
use crate::mcp::Agent;
use crate::metrics::Metrics;
use crate::moment;
use crate::plan::Plan;
use crate::signals;
use crate::status::Board;
use crate::stop::{self, Reason, Stop};
use crate::surfaces::mount::{By, Folder, Wanted};
use crate::surfaces::{control, http, nfs};
use crate::sync::{LoadsAhead, Syncing};
use crate::token::Token;
use crate::upstream::{Order, Upstream};

/// What closing the database may need after the mount is gone.
const FOR_THE_DATABASE: Duration = Duration::from_millis(900);
/// A step of the start that still runs when the stop comes may finish so far.
const STEP_MAY_FINISH: Duration = Duration::from_millis(1500);
/// Requests that are at work when the stop comes may finish so far.
const REQUESTS_MAY_FINISH: Duration = Duration::from_millis(500);
/// Commands that were started because of something that happened.
const HOOKS_MAY_FINISH: Duration = Duration::from_millis(300);

pub(crate) fn run(plan: Plan, keep: bool) -> Result<(), Report> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // Threads aside are needed at the start and at the end, years apart.
        .thread_keep_alive(Duration::from_millis(100))
        .build()
        .map_err(|error| Failure::new(&codes::UNEXPECTED, "the owner cannot start").why(error))?;
    let end = runtime.block_on(serve(plan, keep));
    // Closes the control connections: for who waits on one, this owner is gone now, and it has left nothing.
    runtime.shutdown_background();
    end
}

async fn serve(plan: Plan, keep: bool) -> Result<(), Report> {
    let stop = match plan.is_ephemeral() {
        true => Stop::of_ephemeral(plan.instance.paths.db.clone()),
        false => Stop::new(),
    };
    if keep {
        stop.keep()?;
    }
    signals::listen(&stop)?;
    let mut owner = Owner::hold(plan, &stop)?;
    let started = owner.start(&stop).await;
    if started.is_ok() {
        stop.requested().await;
        log_reason(&stop);
    }
    let kept = owner.release(&stop).await;
    started?;
    kept?;
    stop.with_reason(|reason| match reason {
        Some(Reason::MountEnded(Err(error))) => {
            Err(Failure::new(&codes::MOUNT_FAILED, "the mount ended by itself").why(error).into())
        }
        Some(Reason::UpstreamEnded(end)) if !end.success() => Err(failure::upstream_ended(end).into()),
        _ => Ok(()),
    })
}

/// An owner with no surface but the control socket, for as long as `session` lasts.
pub(crate) async fn during<F>(mut plan: Plan, stop: &Stop, session: impl FnOnce(Agent) -> F) -> Result<(), Report>
where
    F: Future<Output = ()>,
{
    plan.surfaces = false;
    let mut owner = Owner::hold(plan, stop)?;
    let started = owner.start(stop).await;
    if started.is_ok() {
        session(Agent::new(owner.instance.clone(), owner.desk.clone(), stop.clone())).await;
    }
    let released = owner.release(stop).await;
    started.and(released)
}

/// All that is held, in the order in which it was taken.
struct Owner {
    instance: Arc<Instance>,
    root: PathBuf,
    options: Options,
    agentfs_program: Option<PathBuf>,
    metrics: Arc<Metrics>,
    lock: Option<Lock>,
    board: Board,
    desk: Desk,
    token: Option<PathBuf>,
    database: Option<Database>,
    folder: Option<Folder>,
    nfs: Option<Served>,
    upstream: Option<Upstream>,
    syncing: Option<Arc<Syncing>>,
    hooks: Hooks,
    loads_ahead: Option<LoadsAhead>,
}

impl Owner {
    /// The lock, and with it the right to socket and record. From here on the owner can be asked how far it is.
    fn hold(plan: Plan, stop: &Stop) -> Result<Self, Report> {
        folders::make(&plan)?;
        let since = moment::now();
        let options = plan.database_options();
        let hooks = hooks::of(&plan);
        let syncing = Syncing::of(&plan, &hooks);
        let agentfs_program = plan.agentfs_program;
        let root = plan.root;
        let mut instance = plan.instance;
        if !plan.surfaces {
            instance.mount = None;
            instance.http = None;
            instance.nfs = None;
            // Which has no surface but its mount.
            instance.engine = Engine::default();
        }
        let instance = Arc::new(instance);
        let paths = &instance.paths;
        let lock = held::take(&instance, since, Some(&paths.socket))?;
        let listener = control::bind(&paths.socket).map_err(|error| failure::socket(&instance, &error))?;
        let board = match first_status(&instance, since).and_then(|status| Board::put_up(status, paths.record.clone()))
        {
            Ok(board) => board,
            Err(error) => {
                let _ = std::fs::remove_file(&paths.socket);
                return Err(failure::io(&paths.record, &error).into());
            }
        };
        let metrics = Metrics::new(&instance.name);
        let desk = Desk::new(metrics.clone());
        let owner = Self {
            lock: Some(lock),
            board,
            desk,
            token: None,
            database: None,
            folder: None,
            nfs: None,
            upstream: None,
            syncing,
            hooks,
            loads_ahead: None,
            instance,
            root,
            options,
            agentfs_program,
            metrics,
        };
        let instance = owner.instance.clone();
        match control::offer(listener, instance, owner.board.clone(), owner.desk.clone(), stop.clone()) {
            Ok(()) => Ok(owner),
            Err(error) => {
                owner.leave();
                Err(failure::io(&owner.instance.paths.socket, &error).into())
            }
        }
    }

    /// Everything up to ready, or as far as it got when it was told to stop.
    async fn start(&mut self, stop: &Stop) -> Result<(), Report> {
        if self.instance.engine == Engine::Agentfs {
            return self.start_upstream(stop).await;
        }
        let wanted = Wanted::of(&self.instance);
        let by = wanted.as_ref().map(Wanted::preflight).transpose()?;
        if stop.is_requested() {
            return Ok(());
        }
        let (instance, root, options) = (self.instance.clone(), self.root.clone(), self.options.clone());
        let hooks = self.hooks.clone();
        let opened = step(stop, move || {
            let db = instance.paths.db.clone();
            let is_new = !db.exists();
            let options = Options { backing: key::backing(&instance, &root)?, ..options };
            let opened = Database::open_or_create(&db, &options).map_err(|error| failure::database(&db, error))?;
            if is_new {
                hooks::created(&hooks, &db);
            }
            Ok(opened)
        });
        self.database = match opened.await? {
            Some(database) => Some(database),
            None => return Ok(()),
        };
        let Some(database) = &self.database else { return Ok(()) };
        if let Some(syncing) = &self.syncing {
            // Before anybody reads.
            syncing.supply(database);
        }
        self.metrics.measure(database.gauges());
        let below = self.metrics.counting(database.tree());
        let tree = match &self.syncing {
            Some(syncing) => self.metrics.counting(syncing.gated(database.tree())),
            None => below.clone(),
        };
        if let Some(syncing) = self.syncing.clone() {
            self.metrics.measure_sync(syncing.clone());
            // Before anybody can write.
            let local = local(database, below.clone(), Arc::new(()));
            if step(stop, move || syncing.come_up(&local)).await?.is_none() {
                return Ok(());
            }
        }
        if let Some(wanted) = wanted
            && !stop.is_requested()
        {
            if by == Some(By::Nfs) {
                self.nfs = nfs::wanted(&self.instance, Some(wanted.mount()))
                    .map(|nfs| nfs::offer(&nfs, database, tree.clone(), Arc::new(())))
                    .transpose()?;
            }
            let (path, files, on_end) = (database.path().to_owned(), tree.clone(), stop.clone());
            let served = self.nfs.as_ref().map(Served::address);
            self.folder = step(stop, move || wanted.mount_at(path, files, served, on_end)).await?;
        }
        if stop.is_requested() {
            return Ok(());
        }
        let address = self.offer_http(stop).await?;
        if let Some(database) = &self.database {
            let witness: Arc<dyn Witness> = match self.folder.as_ref().and_then(Folder::notices) {
                Some(notices) => Arc::new(notices),
                None => Arc::new(()),
            };
            if let (None, Some(nfs)) = (&self.nfs, nfs::wanted(&self.instance, None)) {
                self.nfs = Some(nfs::offer(&nfs, database, tree.clone(), witness.clone())?);
            }
            let local = local(database, below, witness);
            if let Some(syncing) = &self.syncing {
                syncing.keep(local.clone());
            }
            let (folder, hooks) = (&self.instance.paths.dir, self.hooks.clone());
            self.desk.open(open(database, tree, folder, local, self.syncing.clone(), hooks));
            if let Some(syncing) = &self.syncing {
                self.loads_ahead = syncing.load_ahead(database.absent())?;
            }
        }
        self.tell_ready(address);
        Ok(())
    }

    /// The same where upstream's program does the work: nothing can be asked of a database that it has.
    async fn start_upstream(&mut self, stop: &Stop) -> Result<(), Report> {
        let order = Order {
            instance: (*self.instance).clone(),
            program: self.agentfs_program.clone(),
            options: self.options.clone(),
        };
        let (on_end, is_new) = (stop.clone(), !self.instance.paths.db.exists());
        self.upstream = step(stop, move || Upstream::start(order, &on_end)).await?;
        if let Some(upstream) = self.upstream.as_ref().filter(|_| is_new) {
            hooks::created(&self.hooks, upstream.database());
        }
        if stop.is_requested() {
            return Ok(());
        }
        let address = self.offer_http(stop).await?;
        self.desk.refuse(failure::upstream_alone(&self.instance.name));
        self.tell_ready(address);
        Ok(())
    }

    async fn offer_http(&mut self, stop: &Stop) -> Result<Option<SocketAddr>, Report> {
        let Some(http) = &self.instance.http else { return Ok(None) };
        let path = &self.instance.paths.token;
        let token = Token::make().map_err(|error| failure::io(path, &error))?;
        token.write(path).map_err(|error| failure::io(path, &error))?;
        self.token = Some(path.clone());
        let surface = http::Surface {
            instance: self.instance.clone(),
            board: self.board.clone(),
            desk: self.desk.clone(),
            metrics: self.metrics.clone(),
            stop: stop.clone(),
        };
        let bound = http::offer(http, token, surface).await;
        let wanted = SocketAddr::new(http.bind, http.port);
        Ok(Some(bound.map_err(|error| failure::http(wanted, &error))?))
    }

    fn tell_ready(&self, address: Option<SocketAddr>) {
        let folder = self.folder.as_ref().map(Folder::path).or(self.upstream.as_ref().and_then(Upstream::mount));
        let database = self.database.as_ref().map(Database::path).or(self.upstream.as_ref().map(Upstream::database));
        let nfs = self.nfs.as_ref().map(Served::address).or(self.upstream.as_ref().and_then(Upstream::nfs));
        self.board.change(|status| {
            // As the kernel names them: without symbolic links.
            if let (Some(mount), Some(folder)) = (&mut status.mount, folder) {
                mount.path = folder.to_owned();
            }
            if let Some(database) = database {
                status.database = database.to_owned();
            }
            status.http = address.map(|address| HttpStatus { address });
            status.nfs = nfs.map(|address| NfsStatus { address });
            status.phase = Phase::Ready { at: moment::now() };
        });
        notify(&[NotifyState::Ready]);
        hooks::ready(&self.hooks, &self.board.watch().borrow());
        let mount = folder.map(|folder| folder.display().to_string());
        tracing::info!(
            instance = self.instance.name,
            mount = mount.as_deref().unwrap_or("none"),
            http = said(address),
            nfs = said(nfs),
            "ready"
        );
    }

    /// In reverse, each within what time is left: the mount, the database, then all that tells of this owner.
    async fn release(mut self, stop: &Stop) -> Result<(), Report> {
        let budget = Budget::starts_now(stop.is_hurried());
        let was_ready = matches!(self.board.watch().borrow().phase, Phase::Ready { .. });
        self.board.change(|status| status.phase = Phase::Stopping);
        notify(&[NotifyState::Stopping]);
        drop(self.loads_ahead.take());
        self.desk.close(REQUESTS_MAY_FINISH).await;
        if let Some(folder) = self.folder.take() {
            let stop = stop.clone();
            let unmount = tokio::task::spawn_blocking(move || folder.unmount(&stop));
            if timeout(budget.left_but(FOR_THE_DATABASE), unmount).await.is_err() {
                tracing::error!("the mount did not go away in time");
            }
        }
        // After the mount, which may be one of it. Waits for its clients, no longer than half a second.
        drop(self.nfs.take());
        if let Some(upstream) = self.upstream.take() {
            let stop = stop.clone();
            let end = tokio::task::spawn_blocking(move || upstream.stop(&stop));
            if timeout(budget.left_but(Duration::ZERO), end).await.is_err() {
                tracing::error!("`agentfs` did not go away in time");
            }
        }
        // Nothing changes any more, and what was written through a mapping is there.
        if let (Some(syncing), Some(database)) = (&self.syncing, &self.database) {
            let left = budget.left_but(FOR_THE_DATABASE);
            let (syncing, local) = (syncing.clone(), local(database, database.tree(), Arc::new(())));
            let end = tokio::task::spawn_blocking(move || syncing.go_down(&local, left));
            if timeout(left, end).await.is_err() {
                tracing::warn!(
                    "there was no time for the sync: what is here is kept, and the lease runs out by itself"
                );
            }
        }
        self.finish_hooks(HOOKS_MAY_FINISH, budget.left_but(FOR_THE_DATABASE)).await;
        let mut kept = Ok(());
        if let Some(database) = self.database.take() {
            let database = match stop.is_to_keep() {
                true => {
                    // For as long as it takes: after this it is gone.
                    let keep = tokio::task::spawn_blocking(move || (keep(&database), database));
                    let (saved, database) = keep.await.map_err(|error| {
                        Failure::new(&codes::UNEXPECTED, "saving the instance broke off").why(error)
                    })?;
                    kept = saved;
                    database
                }
                false => database,
            };
            let close = tokio::task::spawn_blocking(move || database.close());
            match timeout(budget.left_but(Duration::ZERO), close).await {
                Ok(Ok(Ok(()))) => {}
                Ok(Ok(Err(error))) => tracing::error!(%error, "closing the database failed"),
                // What was acknowledged is in its log and is taken up at the next start.
                Ok(Err(_)) | Err(_) => tracing::error!("the database was not closed in time"),
            }
        }
        self.leave();
        self.lock.take();
        tracing::info!(instance = self.instance.name, "stopped");
        if was_ready {
            // With the lock free: they may ask for what is in it.
            stop.with_reason(|reason| hooks::stopped(&self.hooks, &self.instance.paths.db, reason));
            let left = budget.left_but(Duration::ZERO);
            self.finish_hooks(left, left + HOOKS_MAY_FINISH).await;
        }
        kept
    }

    /// `most`: with killing those that take longer than `patience`.
    async fn finish_hooks(&self, patience: Duration, most: Duration) {
        let hooks = self.hooks.clone();
        let _ = timeout(most, tokio::task::spawn_blocking(move || hooks.finish(patience))).await;
    }

    /// The files that tell of this owner; still under the lock, so that a successor's are not taken for them.
    fn leave(&self) {
        self.board.take_down();
        if let Some(token) = &self.token {
            let _ = std::fs::remove_file(token);
        }
        let _ = std::fs::remove_file(&self.instance.paths.socket);
    }
}

fn keep(database: &Database) -> Result<(), Report> {
    let path = database.path();
    database.keep().map_err(|error| match error.errno() {
        libc::EEXIST => stop::occupied(path),
        _ => failure::database(path, error),
    })?;
    tracing::info!(database = %path.display(), "kept");
    Ok(())
}

/// The instance as a sync sees it. `tree`: beneath the gate. `witness`: the mount that shows it, if there is one.
pub(crate) fn local(database: &Database, tree: Arc<dyn FileSystem>, witness: Arc<dyn Witness>) -> Local {
    let (kv, absent, agreed) = (database.kv(), database.absent(), database.agreed());
    Local { tree, kv, absent, agreed, snapshots: database.snapshots(), witness }
}

/// What requests may ask of a database. `tree`: as everybody sees it.
pub(crate) fn open(
    database: &Database,
    tree: Arc<dyn FileSystem>,
    folder: &Path,
    local: Local,
    sync: Option<Arc<Syncing>>,
    hooks: Hooks,
) -> Open {
    let caller = Caller { uid: geteuid().as_raw(), gid: getegid().as_raw() };
    let files = ByPath::new(tree, local.witness.clone(), caller);
    let (snapshots, folder) = (database.snapshots(), folder.to_owned());
    let (review, layers, in_place) = (database.review(), database.layers(), database.direct().is_some());
    let kv = match &sync {
        Some(sync) => sync.gated_values(database.kv()),
        None => database.kv(),
    };
    let calls = database.tool_calls();
    Open { files, kv, calls, review, layers, in_place, snapshots, sync, local, hooks, folder, caller }
}

fn first_status(instance: &Instance, since: u64) -> std::io::Result<Status> {
    let process = Process::current()?;
    Ok(Status {
        schema: Status::SCHEMA,
        instance: instance.name.clone(),
        version: env!("CARGO_PKG_VERSION").into(),
        pid: process.pid,
        start_time: process.start_time,
        since,
        phase: Phase::Starting,
        database: instance.paths.db.clone(),
        socket: instance.paths.socket.clone(),
        mount: Wanted::of(instance).map(|wanted| wanted.status()),
        http: None,
        nfs: None,
    })
}

/// A step of the start that blocks, on a thread aside so that the control socket answers meanwhile. `None` when the
/// stop came and the step would not end.
async fn step<T: Send + 'static>(
    stop: &Stop,
    work: impl FnOnce() -> Result<T, Report> + Send + 'static,
) -> Result<Option<T>, Report> {
    let work = tokio::task::spawn_blocking(work);
    let too_long = async {
        stop.requested().await;
        tokio::select! { () = sleep(STEP_MAY_FINISH) => {}, () = stop.hurried() => {} }
    };
    tokio::select! {
        done = work => match done {
            Ok(result) => result.map(Some),
            Err(error) => Err(Failure::new(&codes::UNEXPECTED, "a step of the start broke off").why(error).into()),
        },
        () = too_long => Ok(None),
    }
}

fn log_reason(stop: &Stop) {
    stop.with_reason(|reason| match reason {
        Some(Reason::Signal(name)) => tracing::info!(signal = name, "stopping"),
        Some(Reason::Asked) => tracing::info!("stopping, as asked"),
        Some(Reason::MountEnded(Ok(()))) => tracing::info!("stopping: somebody else has unmounted it"),
        Some(Reason::UpstreamEnded(end)) if end.success() => {
            tracing::info!("stopping: `agentfs` has ended, as it does when somebody else unmounts it");
        }
        Some(Reason::UpstreamEnded(end)) => tracing::error!(end = end.describe(), "stopping: `agentfs` has ended"),
        Some(Reason::MountEnded(Err(error))) => tracing::error!(%error, "stopping: the mount has ended"),
        None => {}
    });
}

fn said(address: Option<SocketAddr>) -> String {
    address.map_or_else(|| "none".into(), |address| address.to_string())
}

/// To the process manager, where there is one that wants to know.
pub(crate) fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "NOTIFY_SOCKET");
    }
}
