//! Content that is at the remote and not here yet: from where it comes when somebody reads it, what of it comes with the
//! names, and what is loaded ahead.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsStr;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nixbox_config::Partial;
use nixbox_control::{SyncContent, SyncLine};
use nixbox_engine::{Absent, ByPath, Database, Error, Ino, Kind, Links, Missing};
use nixbox_remote::{Backoff, Error as RemoteError, Remote, Step, Value};
use nixbox_report::{Failure, Report, codes};
use nixbox_sync::{Company as _, Local, Phase, Progress, RemoteContent};

use super::{Errand, Syncing};
use crate::failure;

const PAGE: usize = 512;
/// A link that always works is not all ours.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
const FIRST_RETRY: Duration = Duration::from_secs(2);
const LAST_RETRY: Duration = Duration::from_secs(120);

impl Syncing {
    /// From here on what is absent comes from the remote. Also where `partial` is not declared any more: what was left then
    /// is absent still.
    pub(crate) fn supply(self: &Arc<Self>, database: &Database) {
        let syncing = self.clone();
        let remote = move || {
            syncing.remote().map_err(|report| {
                report.failures.first().map_or_else(|| "it cannot be asked".into(), |failure| failure.what.clone())
            })
        };
        let origin = RemoteContent::new(self.name.clone(), remote);
        database.absent().comes_from(Arc::new(origin), self.partial().map_or(DEFAULT_SEGMENT, |it| it.segment_size.0));
    }

    pub(super) fn partial(&self) -> Option<&Partial> {
        self.partial.as_ref()
    }

    pub(super) fn absent(&self, local: &Local) -> Result<BTreeSet<Ino>, Report> {
        Ok(local.absent.all().map_err(failure::working)?.into_keys().collect())
    }

    /// What is to be here at once, of what came with a sync: what was not absent `before`. Where names are here, and
    /// content does not come, that is no reason to call the sync off.
    pub(super) fn load_first(&self, remote: &Remote, local: &Local, before: &BTreeSet<Ino>) -> Result<u64, Report> {
        let now = local.absent.all().map_err(failure::working)?;
        if now.is_empty() {
            return Ok(0);
        }
        let wanted: Vec<Ino> = match self.partial() {
            None => now.into_keys().collect(),
            Some(partial) => {
                let came: BTreeMap<_, _> = now.into_iter().filter(|(ino, _)| !before.contains(ino)).collect();
                self.wanted_at_once(partial, remote, local, &came)?
            }
        };
        let loaded = local.absent.load(&wanted, &mut |_| true);
        self.ahead.look_again();
        match loaded {
            Ok(bytes) => Ok(bytes),
            Err(error @ Error::NotLoaded { .. }) => {
                tracing::warn!(%error, remote = self.name, "not all content came that was to come at once");
                Ok(0)
            }
            Err(error) => Err(failure::working(error)),
        }
    }

    fn wanted_at_once(
        &self,
        partial: &Partial,
        remote: &Remote,
        local: &Local,
        came: &BTreeMap<Ino, Missing>,
    ) -> Result<Vec<Ino>, Report> {
        let mut wanted = Vec::new();
        if let Some(query) = partial.bootstrap_query.as_ref().filter(|_| !came.is_empty()) {
            let rows = remote.ask(&Step::new(query.as_str())).map_err(|error| self.not_answered(error))?;
            let there: HashMap<Ino, Ino> = came.iter().map(|(ino, missing)| (missing.place, *ino)).collect();
            let files = ByPath::new(local.tree.clone(), Arc::new(()), nixbox_engine::Caller { uid: 0, gid: 0 });
            for row in rows.rows {
                let ino = match row.first() {
                    Some(Value::Integer { value }) => there.get(&(*value as Ino)).copied(),
                    Some(Value::Text { value }) => {
                        files.stat(OsStr::new(value), Links::Keep).ok().map(|found| found.attr.ino)
                    }
                    _ => None,
                };
                wanted.extend(ino.filter(|ino| came.contains_key(ino)));
            }
        }
        let mut left = partial.bootstrap_length.map_or(0, |size| size.0);
        let mut sizes: Vec<(u64, Ino)> = Vec::new();
        if left > 0 {
            for ino in came.keys().filter(|ino| !wanted.contains(ino)) {
                sizes.push((local.tree.getattr(*ino).map_err(failure::working)?.size, *ino));
            }
        }
        // The smallest first: most files for the bytes, and what is read when a project is looked at.
        sizes.sort_unstable();
        for (size, ino) in sizes {
            let Some(rest) = left.checked_sub(size) else { break };
            left = rest;
            wanted.push(ino);
        }
        Ok(wanted)
    }

    fn not_answered(&self, error: RemoteError) -> Report {
        match error {
            RemoteError::Refused { message, .. } => Failure::new(
                &codes::SYNC_REFUSED,
                format!("the remote `{}` does not answer `bootstrap_query`", self.name),
            )
            .why(message)
            .help("write a SELECT over its tables, such as `fs_inode` and `fs_dentry`; names and metadata are here")
            .into(),
            error => self.failed(error.into()),
        }
    }

    /// What is below these paths, or everything.
    pub(crate) fn fetch(
        &self,
        local: &Local,
        files: &ByPath,
        paths: &[String],
        errand: Errand,
    ) -> Result<SyncLine, Report> {
        let absent = local.absent.all().map_err(failure::working)?;
        let mut wanted: Vec<Ino> = Vec::new();
        for path in paths {
            let failed = |error| failure::file(path.as_ref(), error);
            let found = files.stat(OsStr::new(path), Links::Follow).map_err(failed)?;
            if found.attr.kind != Kind::Directory {
                wanted.push(found.attr.ino);
                continue;
            }
            let mut walk = files.list(OsStr::new(path), true).map_err(failed)?;
            loop {
                let page = walk.next(PAGE, |_| true).map_err(failed)?;
                if page.is_empty() {
                    break;
                }
                wanted.extend(page.into_iter().map(|found| found.attr.ino));
            }
        }
        if paths.is_empty() {
            wanted = absent.keys().copied().collect();
        }
        let mut seen = BTreeSet::new();
        wanted.retain(|ino| absent.contains_key(ino) && seen.insert(*ino));
        let (mut bytes, mut of_bytes) = (0, 0);
        for ino in &wanted {
            of_bytes += local.tree.getattr(*ino).map_or(0, |attr| attr.size);
        }
        let along = self.along(local, errand);
        let mut go_on = |step| {
            bytes += step;
            along.tell(Progress { phase: Phase::Fetching, things: 0, of_things: 0, bytes, of_bytes });
            !along.is_called_off()
        };
        local.absent.load(&wanted, &mut go_on).map_err(failure::working)?;
        if along.is_called_off() {
            return Err(self.failed(nixbox_sync::Error::CalledOff));
        }
        Ok(SyncLine::Loaded(SyncContent { files: wanted.len() as u64, bytes }))
    }

    /// Loads the rest behind everybody's back, for as long as what this gives is kept.
    pub(crate) fn load_ahead(self: &Arc<Self>, absent: Absent) -> Result<Option<LoadsAhead>, Report> {
        if !self.partial().is_some_and(|partial| partial.prefetch) {
            return Ok(None);
        }
        let (bell, name) = (self.ahead.clone(), self.name.clone());
        let begun = thread::Builder::new().name("prefetch".into()).spawn(move || run(&absent, &bell, &name));
        match begun {
            Ok(_) => Ok(Some(LoadsAhead(self.ahead.clone()))),
            Err(error) => Err(Failure::new(&codes::UNEXPECTED, "content cannot be loaded ahead").why(error).into()),
        }
    }
}

/// As much as a kernel asks for at a time.
const DEFAULT_SEGMENT: u64 = 128 << 10;

/// Dropped, it ends. What is under way is not waited for: half of a file is taken up again another time.
pub(crate) struct LoadsAhead(Arc<Bell>);

impl Drop for LoadsAhead {
    fn drop(&mut self) {
        self.0.ring(|state| state.over = true);
    }
}

/// Who loads ahead sleeps until there is something, or it is over.
#[derive(Default)]
pub(super) struct Bell {
    state: Mutex<Rung>,
    rung: Condvar,
}

#[derive(Default)]
struct Rung {
    over: bool,
    again: bool,
}

impl Bell {
    fn ring(&self, change: impl FnOnce(&mut Rung)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.rung.notify_all();
    }

    fn is_over(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).over
    }

    fn look_again(&self) {
        self.ring(|state| state.again = true);
    }

    /// Says whether it goes on. `more` is also what ends the sleep, where there is no `timeout`.
    fn sleep(&self, timeout: Option<Duration>) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let until = timeout.map(|timeout| Instant::now() + timeout);
        while !(state.over || state.again && until.is_none()) {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            state = match left {
                Some(left) if left.is_zero() => break,
                Some(left) => self.rung.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
                None => self.rung.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
        state.again &= until.is_some();
        !state.over
    }
}

fn run(absent: &Absent, bell: &Bell, name: &str) {
    let mut backoff = Backoff::new(FIRST_RETRY, LAST_RETRY);
    loop {
        let loaded = round(absent, bell);
        let goes_on = match loaded {
            Ok(bytes) => {
                if bytes > 0 {
                    tracing::info!(remote = name, bytes, "all content is here now");
                }
                backoff = Backoff::new(FIRST_RETRY, LAST_RETRY);
                bell.sleep(None)
            }
            Err(error) => {
                let pause = backoff.pause();
                tracing::debug!(%error, remote = name, ?pause, "loading ahead goes on later");
                bell.sleep(Some(pause))
            }
        };
        if !goes_on {
            return;
        }
    }
}

/// All that there is. What fails keeps nothing else from coming, unless nothing else comes either.
fn round(absent: &Absent, bell: &Bell) -> Result<u64, Error> {
    const IN_A_ROW: usize = 3;
    let wanted: Vec<Ino> = absent.all()?.into_keys().collect();
    let (mut bytes, mut failed, mut in_a_row) = (0, None, 0);
    for some in wanted.chunks(100) {
        if bell.is_over() {
            break;
        }
        if politely(absent, bell, some, &mut bytes).is_ok() {
            continue;
        }
        for ino in some.iter().filter(|_| !bell.is_over()) {
            match politely(absent, bell, &[*ino], &mut bytes) {
                Ok(()) => in_a_row = 0,
                Err(error) => {
                    in_a_row += 1;
                    if in_a_row >= IN_A_ROW {
                        return Err(error);
                    }
                    failed = Some(error);
                }
            }
        }
    }
    failed.map_or(Ok(bytes), Err)
}

/// After each step as long a pause as that took.
fn politely(absent: &Absent, bell: &Bell, wanted: &[Ino], bytes: &mut u64) -> Result<(), Error> {
    let mut began = Instant::now();
    *bytes += absent.load(wanted, &mut |_| {
        let goes_on = bell.sleep(Some(began.elapsed().min(LONGEST_PAUSE)));
        began = Instant::now();
        goes_on
    })?;
    Ok(())
}
