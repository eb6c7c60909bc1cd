//! Group commit. Changes are applied at once and become durable together: at the latest [`BATCH`] and one disk
//! sync after the first of them, or when somebody asks. The disk is waited for aside: what the kernel has outlives
//! this process, and a slow disk must not keep later changes from it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{JoinHandle, ThreadId};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::meters::Meters;
use crate::store::{Disk, Fold, Store};

/// Leaves 20 of the promised 50 ms to the disk.
pub(crate) const BATCH: Duration = Duration::from_millis(30);

/// Whoever makes changes without a pause never lets the committer in: after so long it commits what it finds itself.
const OVERDUE: Duration = Duration::from_millis(60);

/// The log is folded into the database at this size. That writes twice what a burst wrote once: so a burst of a few
/// hundred MiB is let through first.
const LOG_LIMIT: u64 = 320 << 20;
/// What of it may be left to fold when everybody has to wait: some hundredths of a second.
const LOG_REST: u64 = 8 << 20;
/// How often to catch up with those who go on writing meanwhile.
const ROUNDS: usize = 6;
/// A smaller one, when nothing has happened for a while; one that is smaller still may stay.
const LOG_IDLE: u64 = 1 << 20;
const IDLE: Duration = Duration::from_secs(1);

/// The one connection, and what its user keeps in memory beside it under the same lock.
pub(crate) struct Journal<M> {
    shared: Arc<Shared<M>>,
    committer: Mutex<Option<JoinHandle<()>>>,
    syncer: Mutex<Option<JoinHandle<()>>>,
}

struct Shared<M> {
    inner: Mutex<Inner<M>>,
    work: Condvar,
    disk: Arc<dyn Disk>,
    meters: Arc<Meters>,
    /// Counts commits; written under `inner`.
    committed: AtomicU64,
    /// The last commit known to be on disk. Held during a sync, so that those who wait share the next one.
    synced: Mutex<u64>,
    /// The last commit that the disk is to have; none after the last.
    to_sync: Mutex<Option<u64>>,
    sync_work: Condvar,
}

struct Inner<M> {
    /// `None` once closed.
    store: Option<Box<dyn Store>>,
    memory: M,
    batch: Option<Batch>,
    lost: Option<Lost>,
    /// The size of the log at which it is folded in.
    fold_at: u64,
    /// The thread that folds it in, or the last one that did.
    folding: Option<JoinHandle<()>>,
    /// One thread makes changes that belong together: the others wait until it is done.
    alone: Option<Alone>,
    /// Somebody copies the database file, which must not change meanwhile: the log stays.
    pins: u32,
    closing: bool,
}

#[derive(Debug, Clone, Copy)]
struct Alone {
    thread: ThreadId,
    /// What was acknowledged in the batch before.
    acknowledged: u64,
}

struct Batch {
    since: Instant,
    acknowledged: u64,
}

#[derive(Clone)]
struct Lost {
    errno: i32,
    reason: String,
}

/// What is kept beside the store, and the work it does in the background: a slice at a time, each slice a change
/// like any other.
pub(crate) trait Companion: Clone + Send + 'static {
    /// A change begins or has ended, whether it happened or not.
    fn changing(&mut self, in_change: bool);
    /// Everything so far is in the log.
    fn committed(&mut self);
    fn pending(&self) -> bool;
    /// Does some milliseconds' worth of the first chore.
    fn slice(&mut self, store: &mut dyn Store) -> Result<()>;
    /// No more changes will come: what was put off is due now.
    fn closing(&mut self);
    /// The first chore cannot be done.
    fn give_up(&mut self, error: &Error);
}

impl<M: Companion> Journal<M> {
    pub(crate) fn new(store: Box<dyn Store>, memory: M) -> Result<Self> {
        let shared = Arc::new(Shared {
            disk: store.disk(),
            meters: Arc::default(),
            inner: Mutex::new(Inner {
                store: Some(store),
                memory,
                batch: None,
                lost: None,
                fold_at: LOG_LIMIT,
                folding: None,
                alone: None,
                pins: 0,
                closing: false,
            }),
            work: Condvar::new(),
            committed: AtomicU64::new(0),
            synced: Mutex::new(0),
            to_sync: Mutex::new(Some(0)),
            sync_work: Condvar::new(),
        });
        let for_thread = shared.clone();
        let committer = std::thread::Builder::new().name("commit".into()).spawn(move || for_thread.run())?;
        let for_thread = shared.clone();
        let syncer = std::thread::Builder::new().name("sync".into()).spawn(move || for_thread.run_syncs())?;
        Ok(Self { shared, committer: Mutex::new(Some(committer)), syncer: Mutex::new(Some(syncer)) })
    }

    pub(crate) fn read<T>(&self, ask: impl FnOnce(&mut dyn Store, &mut M) -> Result<T>) -> Result<T> {
        let mut inner = self.shared.lock();
        let Inner { store, memory, .. } = &mut *inner;
        ask(store.as_deref_mut().ok_or_else(closed)?, memory)
    }

    /// All of `change` happens, or nothing. It must touch the memory only after its last statement.
    pub(crate) fn write<T>(&self, change: impl FnOnce(&mut dyn Store, &mut M) -> Result<T>) -> Result<T> {
        let mut inner = self.shared.lock();
        let began = inner.batch.is_none();
        let answer = inner.change(change);
        if inner.memory.pending() || (began && inner.batch.is_some()) {
            self.shared.work.notify_one();
        }
        if inner.alone.is_none() && inner.batch.as_ref().is_some_and(|batch| batch.since.elapsed() >= OVERDUE) {
            drop(self.shared.settle(inner));
        }
        answer
    }

    /// For what needs no store.
    pub(crate) fn note<T>(&self, note: impl FnOnce(&mut M) -> T) -> T {
        let mut inner = self.shared.lock();
        let answer = note(&mut inner.memory);
        if inner.memory.pending() {
            self.shared.work.notify_one();
        }
        answer
    }

    /// All changes of `work` happen and are committed together, or none does. Everybody else waits meanwhile, so that
    /// nobody sees a part of them, or changes what is undone; `work` must not wait for anybody else. What it flushes is
    /// on disk when this has returned and the next flush has.
    pub(crate) fn together<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let mut inner = self.shared.lock();
        if inner.alone.is_some() {
            // A part of something larger.
            drop(inner);
            return work();
        }
        let before = inner.set_out()?;
        drop(inner);
        let mut together = Together { shared: &self.shared, before: Some(before) };
        let answer = work();
        let ended = together.end(answer.is_ok());
        answer.and_then(|answer| ended.map(|()| answer))
    }

    /// While `copy` runs, the database file holds everything that was acknowledged before and nothing after, and does
    /// not change. Others go on, and what they do waits in the log.
    pub(crate) fn pinned<T>(&self, copy: impl FnOnce() -> Result<T>) -> Result<T> {
        loop {
            // Whoever folds aside may be at it still.
            self.folded();
            let mut inner = self.shared.lock();
            if inner.folding.is_some() {
                continue;
            }
            inner.refuse_if_lost()?;
            self.shared.commit(&mut inner)?;
            if inner.pins > 0 {
                // What the first one copies is older than this one may have.
                return Err(Error::Errno(libc::EBUSY));
            }
            inner.store.as_deref_mut().ok_or_else(closed)?.fold_log()?;
            inner.pins += 1;
            break;
        }
        let answer = copy();
        let mut inner = self.shared.lock();
        inner.pins -= 1;
        inner.fold_at = LOG_LIMIT;
        // Closing folds the log in: it did not hold still after all.
        let answer = if inner.closing { Err(closed()) } else { answer };
        drop(inner);
        self.shared.work.notify_all();
        answer
    }

    pub(crate) fn meters(&self) -> &Arc<Meters> {
        &self.shared.meters
    }

    /// Changes that are acknowledged and not yet committed.
    pub(crate) fn waiting(&self) -> u64 {
        self.shared.lock().batch.as_ref().map_or(0, |batch| batch.acknowledged)
    }

    /// Returns when everything acknowledged so far is on disk.
    pub(crate) fn flush(&self) -> Result<()> {
        let mut inner = self.shared.lock();
        inner.refuse_if_lost()?;
        let target = self.shared.commit(&mut inner)?;
        drop(inner);
        self.shared.sync(target)
    }

    /// Commits and folds the log in, to see how much room there really is.
    pub(crate) fn compact(&self) -> Result<()> {
        if self.shared.lock().alone.is_some() {
            // Nothing can be committed yet, and whoever folds waits for that.
            return Ok(());
        }
        self.folded();
        let mut inner = self.shared.lock();
        self.shared.commit(&mut inner)?;
        self.shared.fold_now(&mut inner);
        Ok(())
    }

    /// Commits, folds the log in and gives its room back. Not while somebody copies the file.
    pub(crate) fn shrink(&self) -> Result<()> {
        self.folded();
        let mut inner = self.shared.lock();
        inner.refuse_if_lost()?;
        self.shared.commit(&mut inner)?;
        if inner.pins > 0 || inner.alone.is_some() {
            return Err(Error::Errno(libc::EBUSY));
        }
        inner.store.as_deref_mut().ok_or_else(closed)?.shrink_log()
    }

    /// Waits for the thread that folds, where one is at it.
    fn folded(&self) {
        let folding = self.shared.lock().folding.take();
        if let Some(folding) = folding {
            let _ = folding.join();
        }
    }

    /// Whether this thread makes changes that belong together.
    pub(crate) fn is_alone_here(&self) -> bool {
        lock(&self.shared.inner).alone.is_some_and(|alone| alone.thread == std::thread::current().id())
    }

    /// Finishes the chores and commits; then asks what is possible outside of a transaction only.
    pub(crate) fn settled<T>(&self, ask: impl FnOnce(&mut dyn Store) -> Result<T>) -> Result<T> {
        let mut inner = self.shared.lock();
        inner.memory.closing();
        while inner.memory.pending() {
            if let Err(error) = inner.change(|store, memory| memory.slice(store)) {
                inner.memory.give_up(&error);
            }
        }
        inner.refuse_if_lost()?;
        self.shared.commit(&mut inner)?;
        ask(inner.store.as_deref_mut().ok_or_else(closed)?)
    }

    /// Finishes the chores, commits, and closes the store. The first call answers; later ones find it done.
    pub(crate) fn close(&self) -> Result<()> {
        {
            let mut inner = self.shared.lock();
            if !std::mem::replace(&mut inner.closing, true) {
                inner.memory.closing();
            }
        }
        self.shared.work.notify_one();
        if let Some(committer) = lock(&self.committer).take() {
            // A panic there was reported by the panic hook; the commit below still is attempted.
            let _ = committer.join();
        }
        self.folded();
        if let Some(syncer) = lock(&self.syncer).take() {
            self.shared.ask_to_sync(None);
            let _ = syncer.join();
        }
        let mut inner = self.shared.lock();
        if inner.store.is_none() {
            return Ok(());
        }
        let committed = inner.refuse_if_lost().and_then(|()| self.shared.commit(&mut inner).map(drop));
        match inner.store.take() {
            Some(store) => committed.and(store.close()),
            None => committed,
        }
    }
}

/// Ends as a failure where the work did not come to its end.
struct Together<'a, M: Companion> {
    shared: &'a Shared<M>,
    before: Option<M>,
}

impl<M: Companion> Together<'_, M> {
    fn end(&mut self, happened: bool) -> Result<()> {
        let Some(before) = self.before.take() else { return Ok(()) };
        let ended = self.shared.lock().come_back(before, happened);
        self.shared.work.notify_all();
        ended
    }
}

impl<M: Companion> Drop for Together<'_, M> {
    fn drop(&mut self) {
        if self.before.is_some()
            && let Err(error) = self.end(false)
        {
            tracing::error!(%error, "what was begun could not be undone");
        }
    }
}

impl<M: Companion> Inner<M> {
    fn log_bytes(&self) -> u64 {
        self.store.as_deref().map_or(0, Store::log_bytes)
    }

    /// Begins what may be undone as a whole. Answers the memory as it is.
    fn set_out(&mut self) -> Result<M> {
        self.begin()?;
        self.store.as_deref_mut().ok_or_else(closed)?.execute("SAVEPOINT together", &[])?;
        let acknowledged = self.batch.as_ref().map_or(0, |batch| batch.acknowledged);
        self.alone = Some(Alone { thread: std::thread::current().id(), acknowledged });
        Ok(self.memory.clone())
    }

    /// Ends it. Where it has not `happened`, the database is as it was, and the memory as it was `before`.
    fn come_back(&mut self, before: M, happened: bool) -> Result<()> {
        let alone = self.alone.take();
        let store = self.store.as_deref_mut().ok_or_else(closed)?;
        // Else the store has given up the transaction, and whoever changed something was told so.
        let mut ended = if self.batch.is_some() && store.in_transaction() { Ok(0) } else { Err(closed()) };
        if ended.is_ok() && !happened {
            ended = store.execute("ROLLBACK TO together", &[]);
        }
        ended = ended.and_then(|_| store.execute("RELEASE together", &[]));
        if happened && ended.is_ok() {
            return Ok(());
        }
        self.memory = before;
        let acknowledged = alone.map_or(0, |alone| alone.acknowledged);
        match (ended, &mut self.batch) {
            (Ok(_), Some(batch)) => batch.acknowledged = acknowledged,
            (Err(error), Some(_)) => {
                // A part of it must not be committed with what comes next.
                if store.in_transaction() {
                    let _ = store.execute("ROLLBACK", &[]);
                }
                self.batch = None;
                if acknowledged > 0 {
                    self.lose(&error);
                }
                return Err(error);
            }
            (ended, None) => return ended.map(drop),
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<()> {
        self.refuse_if_lost()?;
        if self.batch.is_none() {
            // What was done of the whole so far is gone: the rest must not stand alone.
            if self.alone.is_some() {
                return Err(closed());
            }
            self.store.as_deref_mut().ok_or_else(closed)?.execute("BEGIN IMMEDIATE", &[])?;
            self.batch = Some(Batch { since: Instant::now(), acknowledged: 0 });
        }
        Ok(())
    }

    fn refuse_if_lost(&self) -> Result<()> {
        match &self.lost {
            Some(lost) => Err(Error::Lost { errno: lost.errno, reason: lost.reason.clone() }),
            None => Ok(()),
        }
    }

    fn change<T>(&mut self, change: impl FnOnce(&mut dyn Store, &mut M) -> Result<T>) -> Result<T> {
        self.begin()?;
        let Self { store, memory, batch, alone, .. } = self;
        let store = store.as_deref_mut().ok_or_else(closed)?;
        memory.changing(true);
        let answer = store.execute("SAVEPOINT change", &[]).and_then(|_| change(store, memory));
        memory.changing(false);
        let undone = match &answer {
            Ok(_) => store.execute("RELEASE change", &[]).map(drop),
            Err(_) => {
                store.execute("ROLLBACK TO change", &[]).and_then(|_| store.execute("RELEASE change", &[])).map(drop)
            }
        };
        if store.in_transaction() && undone.is_ok() {
            if let (Some(batch), Ok(_)) = (batch, &answer) {
                batch.acknowledged += 1;
            }
            return answer;
        }
        // A full or failing disk makes SQLite give up the whole transaction, with what others were told is done.
        let error = answer.err().or(undone.err()).unwrap_or_else(closed);
        if store.in_transaction() {
            let _ = store.execute("ROLLBACK", &[]);
        }
        // Of what belongs together, nobody was told yet that it is done.
        let acknowledged = alone.map(|alone| alone.acknowledged);
        if self.batch.take().is_some_and(|batch| acknowledged.unwrap_or(batch.acknowledged) > 0) {
            self.lose(&error);
        }
        Err(error)
    }

    fn lose(&mut self, error: &Error) {
        tracing::error!(%error, "acknowledged changes could not be written; the database accepts no more");
        self.lost.get_or_insert_with(|| Lost { errno: error.errno(), reason: error.to_string() });
    }
}

impl<M: Companion> Shared<M> {
    /// When nobody else is making changes that belong together.
    fn lock(&self) -> MutexGuard<'_, Inner<M>> {
        let mut inner = lock(&self.inner);
        while inner.alone.is_some_and(|alone| alone.thread != std::thread::current().id()) {
            inner = wait(&self.work, inner, None).0;
        }
        inner
    }

    /// Ends the batch and answers the number of the last commit.
    fn commit(&self, inner: &mut Inner<M>) -> Result<u64> {
        if inner.alone.is_some() {
            return Ok(self.committed.load(Ordering::Acquire));
        }
        if let Some(batch) = inner.batch.take() {
            let store = inner.store.as_deref_mut().ok_or_else(closed)?;
            let began = Instant::now();
            if let Err(error) = store.execute("COMMIT", &[]) {
                if store.in_transaction() {
                    let _ = store.execute("ROLLBACK", &[]);
                }
                if batch.acknowledged > 0 {
                    inner.lose(&error);
                }
                return Err(error);
            }
            self.meters.commits.took(began.elapsed());
            self.meters.changes.fetch_add(batch.acknowledged, Ordering::Relaxed);
            self.committed.fetch_add(1, Ordering::Release);
            inner.memory.committed();
        }
        Ok(self.committed.load(Ordering::Acquire))
    }

    fn sync(&self, target: u64) -> Result<()> {
        let mut synced = lock(&self.synced);
        if *synced >= target {
            return Ok(());
        }
        let reached = self.committed.load(Ordering::Acquire);
        let began = Instant::now();
        if let Err(error) = self.disk.sync() {
            // The kernel reports a failed write-back once and forgets the pages: asking again would lie.
            let error = Error::Io(error);
            self.lock().lose(&error);
            return Err(error);
        }
        self.meters.syncs.took(began.elapsed());
        *synced = reached;
        Ok(())
    }

    fn ask_to_sync(&self, target: Option<u64>) {
        *lock(&self.to_sync) = target;
        self.sync_work.notify_one();
    }

    /// Failures are remembered in `lost`.
    fn run_syncs(&self) {
        let mut to_sync = lock(&self.to_sync);
        let mut done = 0;
        while let Some(target) = *to_sync {
            if target > done {
                drop(to_sync);
                let _ = self.sync(target);
                done = target;
                to_sync = lock(&self.to_sync);
            } else {
                to_sync = self.sync_work.wait(to_sync).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    fn run(self: &Arc<Self>) {
        let mut inner = self.lock();
        loop {
            if inner.alone.is_some() {
                inner = wait(&self.work, inner, None).0;
                continue;
            }
            let busy = inner.lost.is_none() && inner.memory.pending();
            if busy {
                if let Err(error) = inner.change(|store, memory| memory.slice(store)) {
                    inner.memory.give_up(&error);
                }
            } else if inner.closing {
                return;
            }
            let now = Instant::now();
            let due = inner.batch.as_ref().map(|batch| batch.since + BATCH);
            let log = inner.log_bytes();
            inner = match due {
                Some(due) if due <= now || log >= inner.fold_at => self.settle(inner),
                // Lets those in who wait for the lock: a slice must not follow a slice at once.
                _ if busy => {
                    drop(inner);
                    std::thread::yield_now();
                    self.lock()
                }
                Some(due) => wait(&self.work, inner, Some(due - now)).0,
                None if log >= inner.fold_at => self.settle(inner),
                None if inner.lost.is_none() && inner.fold_at == LOG_LIMIT && log >= LOG_IDLE => {
                    let (mut inner, quiet) = wait(&self.work, inner, Some(IDLE));
                    if quiet && inner.batch.is_none() && !inner.closing {
                        self.fold(&mut inner);
                    }
                    inner
                }
                None => wait(&self.work, inner, None).0,
            };
        }
    }

    /// Commits, and has the disk follow. Failures are remembered in `lost`.
    fn settle<'a>(self: &Arc<Self>, mut inner: MutexGuard<'a, Inner<M>>) -> MutexGuard<'a, Inner<M>> {
        let committed = self.commit(&mut inner);
        if inner.log_bytes() >= inner.fold_at {
            self.fold(&mut inner);
        }
        if let Ok(target) = committed {
            self.ask_to_sync(Some(target));
        }
        inner
    }

    /// Aside, where the store can do that.
    fn fold(self: &Arc<Self>, inner: &mut Inner<M>) {
        if inner.pins > 0 || inner.alone.is_some() {
            return self.fold_now(inner);
        }
        let aside = inner.store.as_deref().and_then(|store| store.folder().ok().flatten());
        let Some(aside) = aside else { return self.fold_now(inner) };
        let shared = self.clone();
        match std::thread::Builder::new().name("fold".into()).spawn(move || shared.fold_aside(aside)) {
            Ok(thread) => (inner.fold_at, inner.folding) = (u64::MAX, Some(thread)),
            Err(_) => self.fold_now(inner),
        }
    }

    /// While everybody goes on, until hardly anything is left: only then can the log be begun anew.
    fn fold_aside(&self, mut aside: Box<dyn Fold>) {
        let mut inner = self.lock();
        for _ in 0..ROUNDS {
            let before = inner.log_bytes();
            drop(inner);
            let folded = aside.fold();
            inner = self.lock();
            if folded.is_err() || inner.log_bytes().saturating_sub(before) <= LOG_REST {
                break;
            }
        }
        drop(aside);
        let committed = self.commit(&mut inner);
        // What has failed aside fails here, too, and is told.
        self.fold_now(&mut inner);
        drop(inner);
        if let Ok(target) = committed {
            let _ = self.sync(target);
        }
    }

    /// A log that cannot be folded in is still a good log: nothing is lost, it only grows.
    fn fold_now(&self, inner: &mut Inner<M>) {
        let Some(store) = inner.store.as_deref_mut() else { return };
        if inner.pins > 0 || inner.alone.is_some() {
            inner.fold_at = store.log_bytes() + LOG_LIMIT;
            return;
        }
        inner.fold_at = match store.fold_log() {
            Ok(()) => LOG_LIMIT,
            Err(error) => {
                tracing::warn!(%error, "the write-ahead log stays for now");
                store.log_bytes() + LOG_LIMIT
            }
        };
    }
}

/// Also says whether the time ran out.
fn wait<'a, T>(work: &Condvar, guard: MutexGuard<'a, T>, timeout: Option<Duration>) -> (MutexGuard<'a, T>, bool) {
    match timeout {
        Some(timeout) => {
            let (guard, result) = work.wait_timeout(guard, timeout).unwrap_or_else(PoisonError::into_inner);
            (guard, result.timed_out())
        }
        None => (work.wait(guard).unwrap_or_else(PoisonError::into_inner), false),
    }
}

/// The owner ends at a panic. Elsewhere the store itself stays sound after one, so a poisoned lock is taken
/// like any other.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn closed() -> Error {
    Error::Io(std::io::Error::from_raw_os_error(libc::EIO))
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
