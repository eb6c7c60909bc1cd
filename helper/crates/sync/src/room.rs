//! Where an instance meets its remote.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nixbox_engine::{
    Absent, Agreed, Backing, Database, Delta, FileSystem, Kv, Options, ROOT, Snapshots, Taken, Witness,
};
use nixbox_remote::{Claim, Held, Remote, Spool, Standing, Step, guard};

use crate::apply::{Layer, Target};
use crate::company::{Company, Phase, Progress, Together, go_on};
use crate::content;
use crate::error::{Error, Result};
use crate::history::{History, Push};
use crate::layer;
use crate::look::{Entry, Key, Look, What};
use crate::merge::{Conflict, Merged, Settled, merge};
use crate::mirror::{Found, Mirror, SUM, remote_sum};
use crate::order::Order;
use crate::rows;
use crate::scan::{AllMissing, Hashes, Known, Looks, Scan, scan};
use crate::source::Source;

/// How often to begin anew where somebody goes on changing either side.
const TRIES: usize = 5;

/// The instance, open and perhaps at work.
#[derive(Clone)]
pub struct Local {
    pub tree: Arc<dyn FileSystem>,
    pub kv: Kv,
    pub absent: Absent,
    pub agreed: Agreed,
    pub snapshots: Snapshots,
    /// Who shows it.
    pub witness: Arc<dyn Witness>,
}

/// What was done, in things: files, folders, links and values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Done {
    pub pulled: usize,
    pub pushed: usize,
    /// What is here now and not there. None where nothing was looked at, because the remote is what it was.
    pub left: Option<usize>,
    /// Of content that came, and of all that went.
    pub bytes_in: u64,
    pub bytes_out: u64,
}

/// What becomes of a remote that was put back to an older state than was seen here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Older {
    /// Nothing is changed.
    #[default]
    Refuse,
    /// What it lacks goes here, too. What is here is kept before.
    Take,
}

/// What there is to do.
#[derive(Debug, Default)]
pub struct State {
    /// What is here and not there.
    pub to_push: Vec<Difference>,
    /// What is there and not here.
    pub to_pull: Vec<Difference>,
    pub conflicts: Vec<Conflict>,
    pub lease: Option<Standing>,
    /// [`Error::Older`], where a sync would end with that.
    pub older: Option<Error>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub key: Key,
    pub before: Option<Look>,
    pub after: Option<Look>,
}

pub struct Room {
    /// For what belongs to this remote and this instance; may be removed when nobody is at it.
    folder: PathBuf,
    remote: Remote,
    partial: bool,
    older: Older,
    company: Together,
}

/// Both sides and what they had in common, at one moment.
struct Scene {
    /// As it is kept, by name.
    kept: BTreeMap<String, String>,
    agreed: Looks,
    known: Known,
    /// By what path, by number here.
    agreed_at: HashMap<u64, String>,
    here: Taken,
    local: Scan,
    /// None where the remote is empty.
    there: Option<Taken>,
    theirs: Scan,
    /// Of what is there, what is only known by its hash.
    absent: AllMissing,
}

struct Pulled {
    done: Done,
    scene: Scene,
    wanted: BTreeMap<Key, Look>,
    /// The last push to the remote.
    last: Option<Push>,
    /// Something has come under another name, and is not there yet.
    has_more: bool,
}

/// How the remote was when something was last agreed on: another in a database that was put back.
pub fn turn(agreed: &Agreed) -> Result<Option<String>> {
    Ok(agreed.one(SUM_THEN)?)
}

impl Room {
    pub fn open(folder: &Path, remote: Remote) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        for name in [HERE, CANDIDATE] {
            Mirror::at(folder.join(name), false).throw_away()?;
        }
        Ok(Self { folder: folder.to_owned(), remote, partial: false, older: Older::Refuse, company: Arc::new(()) })
    }

    /// Of content that comes, only what it is.
    pub fn partial(self, partial: bool) -> Self {
        Self { partial, ..self }
    }

    pub fn older(self, older: Older) -> Self {
        Self { older, ..self }
    }

    /// Whether the remote was put back to an older state than was seen here.
    pub fn is_older(&self, local: &Local) -> Result<bool> {
        Ok(self.history(local, remote_sum(&self.remote)?.is_some())?.older.is_some())
    }

    fn history(&self, local: &Local, there: bool) -> Result<History> {
        let seen = local.agreed.one(SEEN)?;
        History::of(&self.remote, there, seen.as_deref().and_then(Push::of_kept).as_ref())
    }

    pub fn in_company(self, company: Arc<dyn Company>) -> Self {
        Self { company, ..self }
    }

    pub fn remote(&self) -> &Remote {
        &self.remote
    }

    /// What the copy of the remote takes on the disk.
    pub fn bytes(&self) -> u64 {
        self.mirror_at_rest().bytes()
    }

    /// Gives back what the copy of the remote does not need.
    pub fn shrink(&self) -> Result<()> {
        self.mirror_at_rest().shrink()
    }

    /// Of whatever it is.
    fn mirror_at_rest(&self) -> Mirror {
        Mirror::at(self.folder.join(MIRROR), false)
    }

    fn mirror(&self, local: &Local) -> Mirror {
        Mirror::at(self.folder.join(MIRROR), local.is_layer())
    }

    /// Whether the remote holds something else than when it was last read. One question.
    pub fn has_changed(&self) -> Result<bool> {
        let mirror = self.mirror_at_rest();
        let known = mirror.path().exists().then(|| mirror.sum()).transpose()?;
        Ok(remote_sum(&self.remote)? != known)
    }

    /// Reads both and changes neither.
    pub fn look(&self, local: &Local, settled: &dyn Fn(&Conflict) -> Option<Settled>) -> Result<State> {
        let lease = Standing::of(&self.remote)?;
        let sum = remote_sum(&self.remote)?;
        let older = self.history(local, sum.is_some())?.older;
        self.mirror(local).pull(&self.remote, sum, self.partial, &*self.company)?;
        let scene = self.scene(local)?;
        let merged = scene.merged(settled);
        let wanted = looks(&merged);
        let mut state = State { lease, older, ..State::default() };
        let conflicting = |key: &Key| merged.conflicts.iter().any(|conflict| conflict.key == *key);
        for (differences, now) in [(&mut state.to_pull, &scene.local), (&mut state.to_push, &scene.theirs)] {
            let keys = now.looks.keys().chain(wanted.keys()).collect::<std::collections::BTreeSet<_>>();
            for key in keys.into_iter().filter(|key| !conflicting(key)) {
                let (before, after) = (now.looks.get(key).cloned(), wanted.get(key).cloned());
                // A folder that comes or goes only for what is in it is not told.
                let leads = |look: &Option<Look>| look.as_ref().is_none_or(Look::only_leads);
                if before != after && !(before.is_none() != after.is_none() && leads(&before) && leads(&after)) {
                    differences.push(Difference { key: key.clone(), before, after });
                }
            }
        }
        let beside = merged.beside.into_iter().map(|it| Difference { key: it.to, before: None, after: Some(it.look) });
        state.to_pull.extend(beside);
        state.conflicts = merged.conflicts;
        Ok(state)
    }

    /// What the remote has comes here.
    pub fn pull(&self, local: &Local, settled: &dyn Fn(&Conflict) -> Option<Settled>) -> Result<Done> {
        self.again_while_moved(|| {
            let sum = remote_sum(&self.remote)?;
            // All of it has been brought here before, and with its content where that is wanted.
            let is_whole = self.partial || !local.absent.is_any();
            if is_whole && sum.is_some() && sum == local.agreed.one(SUM_THEN)? {
                return Ok(Done::default());
            }
            self.pull_once(local, sum, settled).map(|pulled| pulled.done)
        })
    }

    /// The same, and then what is here goes there. `held`: our lease, good at this moment.
    pub fn push(
        &self,
        local: &Local,
        claim: &Claim,
        held: Held,
        settled: &dyn Fn(&Conflict) -> Option<Settled>,
    ) -> Result<Done> {
        self.again_while_moved(|| {
            let mut pulled = self.pull_once(local, remote_sum(&self.remote)?, settled)?;
            if pulled.has_more {
                let before = pulled.done;
                pulled = self.pull_once(local, remote_sum(&self.remote)?, settled)?;
                pulled.done.pulled += before.pulled;
                pulled.done.bytes_in += before.bytes_in;
            }
            self.push_once(local, claim, held, pulled)
        })
    }

    fn again_while_moved(&self, work: impl Fn() -> Result<Done>) -> Result<Done> {
        let mut tries = TRIES;
        loop {
            tries -= 1;
            match work() {
                Err(error @ (Error::Moved | Error::Overtaken)) if tries > 0 => tracing::debug!(%error, "once more"),
                done => return done,
            }
        }
    }

    fn pull_once(
        &self,
        local: &Local,
        sum: Option<String>,
        settled: &dyn Fn(&Conflict) -> Option<Settled>,
    ) -> Result<Pulled> {
        let History { last, older } = self.history(local, sum.is_some())?;
        let is_older = older.is_some();
        if let Some(error) = older.filter(|_| self.older == Older::Refuse) {
            return Err(error);
        }
        let mirror = self.mirror(local);
        let found = mirror.pull(&self.remote, sum, self.partial, &*self.company)?;
        let scene = self.scene(local)?;
        let merged = scene.merged(settled);
        if !merged.conflicts.is_empty() {
            return Err(Error::Conflicts(merged.conflicts));
        }
        let wanted = looks(&merged);
        let order = Order::of(&scene.local, &wanted).with(&merged.beside);
        let moved_apart = is_older || scene.is_changed_here();
        if (merged.gives_up_ours && !order.is_empty()) || (moved_apart && order.replaces(&scene.local)) {
            self.company.keep()?;
        }
        let left = Order::of(&scene.theirs, &wanted).with(&merged.beside).len();
        let mut done = Done { pulled: order.len(), left: Some(left), ..Done::default() };
        if let Found::Changed { bytes } = found {
            done.bytes_in = bytes;
        }
        let delta = local.snapshots.delta();
        let mut layer = None;
        if let Some(delta) = &delta {
            layer::refuse_hidden(delta, &order)?;
            layer = Some(Layer { delta, beneath: layer::recognised(delta, &order)? });
        }
        let Local { tree, kv, absent, .. } = local;
        let target = Target::new((tree, kv, absent), false, layer);
        if let Some(there) = scene.there.as_ref().filter(|_| !order.is_empty()) {
            let (tree, kv) = (there.tree(), there.kv());
            let (beside, company) = (merged.beside.as_slice(), &*self.company);
            let source = Source::new((&tree, &kv, &scene.absent), &scene.theirs, beside, company);
            let mut applied = Ok(());
            let together = local.tree.together(&mut || {
                applied = target.apply_files(&order, &scene.local, &source);
                // All of it is taken back then.
                if applied.is_ok() { Ok(()) } else { Err(nixbox_engine::Error::Errno(libc::ECANCELED)) }
            });
            applied?;
            together?;
            // Nothing is held any more: a kernel that is told may ask first.
            target.tell(&*local.witness);
            target.apply_values(&order, &source)?;
        }
        let sum = scene.there.is_some().then(|| mirror.sum()).transpose()?;
        self.agree(local, &scene.kept, &scene.agreed, (&scene.theirs, &scene.local), Then { sum, push: last.clone() })?;
        Ok(Pulled { done, scene, wanted, last, has_more: !merged.beside.is_empty() })
    }

    fn push_once(&self, local: &Local, claim: &Claim, held: Held, pulled: Pulled) -> Result<Done> {
        let Pulled { mut done, scene, wanted, last, .. } = pulled;
        let order = Order::of(&scene.theirs, &wanted);
        let is_layer = local.is_layer();
        let (mirror, candidate) = (self.mirror(local), Mirror::at(self.folder.join(CANDIDATE), is_layer));
        // What other programs have written, nobody has said of yet what it is.
        if order.is_empty() && (scene.there.is_none() || scene.theirs.is_said_by(&mirror.open()?)?) {
            return Ok(done);
        }
        let was = |key: &Key| scene.agreed_at.get(&scene.local.marks.get(key)?.ino).map(String::as_str);
        let order = order.with_moves(&scene.theirs, was);
        candidate.throw_away()?;
        let before = scene.there.is_some().then(|| mirror.sum()).transpose()?;
        if before.is_some() {
            std::fs::copy(mirror.path(), candidate.path())?;
        } else {
            candidate.begin()?;
        }
        self.change_candidate(candidate.path(), &order, &scene, is_layer)?;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let name = format!("{}-{}", held.fence, now.as_nanos());
        if is_layer {
            candidate.mark(&name)?;
        }
        let theirs = {
            let there = Taken::foreign(candidate.path(), &Backing::Sqlite)?;
            let read = read_for([&scene.local, &scene.theirs]);
            self.side(&there, is_layer, &[&scene.known, &read], &BTreeMap::new(), None)?
        };
        content::write(&mut candidate.open()?, &theirs)?;
        let after = candidate.sum()?;
        let mut steps = Spool::new(self.nameless()?)?;
        let [is_held, clean] = guard(claim, held);
        [is_held, clean.clone(), is_still(before.as_deref()), clean].into_iter().for_each(|step| steps.push(step));
        let push = Push::after(last.as_ref(), name);
        push.steps().into_iter().for_each(|step| steps.push(step));
        rows::difference(before.is_some().then(|| mirror.path()), candidate.path(), is_layer, &mut steps)?;
        let mut steps = steps.end()?;
        done.bytes_out = steps.bytes();
        let sending = Progress { of_bytes: done.bytes_out, ..Progress::at(Phase::Sending) };
        go_on(&*self.company, sending)?;
        let mut sent = |bytes| self.company.tell(Progress { bytes, ..sending });
        match self.remote.change_spooled(&mut steps, &mut sent) {
            Ok(_) => {}
            Err(nixbox_remote::Error::Refused { step: 0, .. }) => {
                return Err(nixbox_remote::Error::Lost(Standing::of(&self.remote)?.map(Box::new)).into());
            }
            Err(nixbox_remote::Error::Refused { step: 2, .. }) => return Err(Error::Overtaken),
            Err(error) if error.may_have_happened() => match remote_sum(&self.remote) {
                Ok(now) if now.as_ref() == Some(&after) => {}
                Ok(now) if now == before => return Err(error.into()),
                _ => return Err(Error::Unknown(error)),
            },
            Err(error) => return Err(error.into()),
        }
        (done.pushed, done.left) = (order.len(), Some(0));
        // What was sent is what the remote has now; where it is not, it is read anew the next time.
        mirror.throw_away()?;
        std::fs::rename(candidate.path(), mirror.path())?;
        if self.partial {
            mirror.let_content_go()?;
        }
        let then = Then { sum: Some(after), push: Some(push) };
        self.agree(local, &local.agreed.all()?, &scene.theirs.looks, (&theirs, &scene.local), then)?;
        Ok(done)
    }

    /// A file that is gone with who has it.
    fn nameless(&self) -> Result<File> {
        let path = self.folder.join(BATCH);
        let file = File::options().read(true).write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        std::fs::remove_file(&path)?;
        Ok(file)
    }

    fn change_candidate(&self, candidate: &Path, order: &Order, scene: &Scene, is_layer: bool) -> Result<()> {
        let database = Database::open_or_create(candidate, &Options::default())?;
        let (tree, kv, absent, delta) = (database.tree(), database.kv(), database.absent(), database.delta());
        let layer = match is_layer {
            true => Some(Layer { delta: &delta, beneath: layer::recognised(&delta, order)? }),
            false => None,
        };
        let target = Target::new((&tree, &kv, &absent), true, layer);
        let (from, values) = (tree_of(&scene.here, is_layer), scene.here.kv());
        let missing = scene.here.absent().all()?;
        let source = Source::new((&from, &values, &missing), &scene.local, &[], &*self.company);
        // As one change: it is either whole or thrown away.
        let mut changed = Ok(());
        let together = tree.together(&mut || {
            changed = target.apply_files(order, &scene.theirs, &source);
            Ok(())
        });
        let changed = changed.and(together.map_err(Error::from));
        let changed = changed.and_then(|()| target.apply_values(order, &source));
        drop(target);
        drop((tree, delta));
        let closed = database.close();
        changed?;
        Ok(closed?)
    }

    /// From here on what the remote has is what both had last. `known`: as it is kept till now; `ours`: as it was before it
    /// was changed; `then`: of the remote.
    fn agree(
        &self,
        local: &Local,
        known: &BTreeMap<String, String>,
        before: &Looks,
        (theirs, ours): (&Scan, &Scan),
        then: Then,
    ) -> Result<()> {
        let mut changes = Vec::new();
        for (key, look) in &theirs.looks {
            let mark = ours.marks.get(key).filter(|_| ours.looks.get(key) == Some(look)).copied();
            let entry = Entry { look: look.clone(), local: mark, remote: theirs.marks.get(key).copied() };
            let kept = serde_json::to_string(&entry).map_err(std::io::Error::from)?;
            let name = key.kept();
            if known.get(&name) != Some(&kept) {
                changes.push((name, Some(kept)));
            }
        }
        let gone = before.keys().filter(|key| !theirs.looks.contains_key(key));
        changes.extend(gone.map(|key| (key.kept(), None)));
        for (name, then) in [(SUM_THEN, then.sum), (SEEN, then.push.map(|push| push.kept()))] {
            if known.get(name) != then.as_ref() {
                changes.push((name.into(), then));
            }
        }
        local.agreed.change(&changes)?;
        Ok(local.tree.fsync(ROOT)?)
    }

    fn scene(&self, local: &Local) -> Result<Scene> {
        let kept = local.agreed.all()?;
        let (mut agreed, mut agreed_at, mut known) = (Looks::new(), HashMap::new(), Known::new());
        for (name, entry) in &kept {
            // What a newer version has written is not known here, and so not agreed on.
            let (Some(key), Ok(entry)) = (Key::of_kept(name), serde_json::from_str::<Entry>(entry)) else { continue };
            if let (Key::File(path), Some(mark)) = (&key, entry.local) {
                agreed_at.insert(mark.ino, path.clone());
            }
            if let What::File { hash, .. } = &entry.look.what {
                known.extend([entry.local, entry.remote].into_iter().flatten().map(|mark| (mark, hash.clone())));
            }
            agreed.insert(key, entry.look);
        }
        local.witness.settle(None);
        let here = local.snapshots.take(&self.folder.join(HERE))?;
        let live = local.snapshots.delta();
        let is_layer = live.is_some();
        let ours = self.side(&here, is_layer, &[&known], &BTreeMap::new(), live.as_ref())?;
        let mirror = self.mirror(local);
        let there = mirror.path().exists().then(|| Taken::foreign(mirror.path(), &Backing::Sqlite)).transpose()?;
        let absent = there.as_ref().map(|there| there.absent().all()).transpose()?.unwrap_or_default();
        let theirs = match &there {
            Some(there) => {
                let said = content::known(&mirror.open()?)?;
                self.side(there, is_layer, &[&known], &said, None)?
            }
            None => Scan::default(),
        };
        Ok(Scene { kept, agreed, known, agreed_at, here, local: ours, there, theirs, absent })
    }

    /// `live`: the layer of which `taken` is a copy.
    fn side(
        &self,
        taken: &Taken,
        is_layer: bool,
        known: &[&Known],
        said: &BTreeMap<i64, String>,
        live: Option<&Delta>,
    ) -> Result<Scan> {
        let (tree, absent) = (tree_of(taken, is_layer), taken.absent().all()?);
        let hashes = Hashes { absent: &absent, known, said };
        let mut scan = scan(&tree, &taken.kv(), hashes, &*self.company)?;
        if is_layer {
            layer::annotate(&mut scan, &taken.delta(), live)?;
        }
        Ok(scan)
    }
}

/// Where a database is read from: a layer by itself, not the view of which it is a part.
fn tree_of(taken: &Taken, is_layer: bool) -> Arc<dyn FileSystem> {
    if is_layer { taken.delta().tree() } else { taken.tree() }
}

impl Local {
    /// Lies over a base, and what is synced is what differs from that.
    fn is_layer(&self) -> bool {
        self.snapshots.delta().is_some()
    }
}

/// The name of the remote's sum in what was agreed on: as long as the remote has it, there is nothing to pull.
const SUM_THEN: &str = "s";
/// That of the last push of which something came here.
const SEEN: &str = "h";
const MIRROR: &str = "mirror.db";
const HERE: &str = "here.db";
const CANDIDATE: &str = "candidate.db";
const BATCH: &str = "batch.json";

/// The remote, when both had the same.
struct Then {
    sum: Option<String>,
    push: Option<Push>,
}

impl Scene {
    /// Something here is not as it was when both had the same.
    fn is_changed_here(&self) -> bool {
        self.local.looks != self.agreed
    }

    fn merged(&self, settled: &dyn Fn(&Conflict) -> Option<Settled>) -> Merged {
        merge(&self.agreed, &self.local.looks, &self.theirs.looks, settled)
    }
}

fn looks(merged: &Merged) -> BTreeMap<Key, Look> {
    merged.wanted.iter().map(|(key, (look, _))| (key.clone(), look.clone())).collect()
}

/// What was read to look at these need not be read again.
fn read_for<'a>(scans: impl IntoIterator<Item = &'a Scan>) -> Known {
    let mut known = Known::new();
    for scan in scans {
        for (key, mark) in &scan.marks {
            if let Some(What::File { hash, .. }) = scan.looks.get(key).map(|look| &look.what) {
                known.insert(*mark, hash.clone());
            }
        }
    }
    known
}

/// Refuses the batch where the remote is not what was read.
fn is_still(sum: Option<&str>) -> Step {
    match sum {
        Some(sum) => {
            let sql = format!("INSERT INTO nixbox_guard (held) VALUES ((SELECT 1 WHERE ({SUM}) = ?))");
            Step::with(sql, [sum.into()])
        }
        None => Step::new(
            "INSERT INTO nixbox_guard (held) VALUES \
             ((SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'fs_inode')))",
        ),
    }
}
