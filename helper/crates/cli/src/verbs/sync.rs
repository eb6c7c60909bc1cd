mod checkpoint;
pub mod fetch;
mod log;
pub mod state;
mod switch;

use nixbox_control::{
    Request, SyncChange, SyncDone, SyncLease, SyncLine, SyncLook, SyncPhase, SyncProgress, SyncRequest, SyncSide,
    SyncState,
};
use nixbox_report::{Failure, Report, codes};
use schemars::JsonSchema;
use serde::Serialize;

pub use self::checkpoint::Checkpointed;
pub use self::log::Log;
pub use self::switch::{Disabled, Enabled};
use super::DONE;
use crate::asking::{Asked, Which};
use crate::context::Context;
use crate::output::{Output, harmless};
use crate::progress::Progress;
use crate::review::shown;
use crate::times;
use fetch::Content;
use state::State;

/// Bring an instance and its remote together
///
/// Files and values go both ways, path by path: what one side changed is done to the other, and what both changed in
/// different ways is told and left alone. One machine writes to a remote at a time; nothing is lost on either side. The
/// remote is a Turso database, in the cloud or self-hosted, and upstream's tools read it. Tool calls stay where they are.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  nixbox-helper sync push                 # what is there comes here, what is here goes there\n  nixbox-helper sync pull\n  nixbox-helper sync status --json | jq .to_push\n  nixbox-helper sync resolve src/main.rs --theirs && nixbox-helper sync push"
)]
pub struct Args {
    #[command(subcommand)]
    pub what: What,
}

#[derive(Debug, clap::Subcommand)]
pub enum What {
    /// Show what there is to do, how it stands here, and who may write to the remote now
    ///
    /// Looks at both sides and changes neither. A means added, M modified, D deleted. Where the remote does not answer, exit 8,
    /// what is known here is told all the same.
    #[command(
        after_help = "Examples:\n  nixbox-helper sync status\n  nixbox-helper sync status -i notes --json\n  nixbox-helper sync status --watch\n  nixbox-helper sync status --watch --json | jq .pending"
    )]
    Status {
        #[command(flatten)]
        which: Which,
        /// Go on with each change of how it stands here, a line of JSON each with `--json`; exit 3 where no owner serves the
        /// instance. The remote is not asked for it
        #[arg(short, long)]
        watch: bool,
    },
    /// Bring what the remote has here
    ///
    /// Works while the instance is mounted. Exit 5 where both sides changed something in different ways; nothing is changed then.
    #[command(after_help = "Examples:\n  nixbox-helper sync pull\n  nixbox-helper sync pull -i notes --json")]
    Pull {
        #[command(flatten)]
        which: Which,
    },
    /// Bring what the remote has here, and then what is here there
    ///
    /// Happens in one step, or not at all. Exit 4 where another machine is at it, 5 where both sides changed something in different ways.
    #[command(
        after_help = "Examples:\n  nixbox-helper sync push\n  nixbox-helper sync push -i notes --json\n  nixbox-helper sync push --again              # the remote was restored from a backup"
    )]
    Push {
        #[command(flatten)]
        which: Which,
        /// Also to a remote that was put back to an older state, which is refused without (exit 5). Nothing counts as agreed on then:
        /// what only one side has stays and goes to the other, and what both have in different ways is a conflict
        #[arg(long)]
        again: bool,
    },
    /// Load content that is not here yet, before it is read
    ///
    /// For an instance with `sync.partial`: what is below these paths, or all of it. Before a journey, or for programs of others that
    /// open the database.
    #[command(
        after_help = "Examples:\n  nixbox-helper sync fetch\n  nixbox-helper sync fetch src docs/guide.md\n  nixbox-helper sync fetch -i notes --json"
    )]
    Fetch {
        #[command(flatten)]
        which: Which,
        /// Files and folders in the instance; all where none is named
        paths: Vec<String>,
    },
    /// Become the one that writes to the remote, until `sync release` or the owner's end
    ///
    /// Takes the remote's lease, then what the remote has. A follower, or an instance that lost its lease, may be written again
    /// from then on. Where something was changed here, it is kept as a snapshot before anything here gives way. A remote
    /// that was put back to an older state is taken as it is. Needs an owner that serves the instance, which keeps the lease. Exit 4 where another machine has it.
    #[command(after_help = "Examples:\n  nixbox-helper sync take\n  nixbox-helper sync take -i notes --force")]
    Take {
        #[command(flatten)]
        which: Which,
        /// Take it away from whoever has it. That machine becomes read-only when it finds out; what it has not pushed stays there,
        /// and is merged, or a conflict, when it syncs again
        #[arg(long)]
        force: bool,
    },
    /// Give the remote's lease back, after pushing what is here
    ///
    /// Another machine can take it at once. An instance whose mode wants the lease is read-only from then on, and follows. What could
    /// not be pushed is kept, and told.
    #[command(
        after_help = "Examples:\n  nixbox-helper sync release\n  nixbox-helper sync release -i notes --json | jq .pending"
    )]
    Release {
        #[command(flatten)]
        which: Which,
    },
    /// List what both sides changed in different ways
    #[command(
        after_help = "Examples:\n  nixbox-helper sync conflicts\n  nixbox-helper sync conflicts --json | jq -r '.conflicts[].name'"
    )]
    Conflicts {
        #[command(flatten)]
        which: Which,
    },
    /// Settle what both sides changed; the next pull or push does it
    ///
    /// Holds for both sides as they are now: if either changes once more, it is a conflict again. With --both ours stays
    /// where it is and theirs lands beside it: `plan.md` and `plan.theirs.md`, `bin` and `bin.theirs`; what one side has
    /// taken away is kept as the other has it. A folder is settled with all that is in it. Before what was changed here
    /// gives way, it is kept as a snapshot.
    #[command(
        after_help = "Examples:\n  nixbox-helper sync resolve src/main.rs --ours\n  nixbox-helper sync resolve kv:plan --theirs\n  nixbox-helper sync resolve --all --both && nixbox-helper sync push"
    )]
    Resolve {
        #[command(flatten)]
        which: Which,
        /// As `sync conflicts` lists it: a path in the instance, or `kv:` and a key
        #[arg(required_unless_present = "all")]
        name: Option<String>,
        /// Everything that is in conflict
        #[arg(long, conflicts_with = "name")]
        all: bool,
        #[command(flatten)]
        take: Take,
    },
    /// Sync an instance that is on this machine alone, from now on
    ///
    /// What it holds stays, is kept as a snapshot, and goes to the remote; then nixbox.toml is changed, by one key. A remote
    /// that holds something already is refused (exit 5): --merge brings both together, and what both have at one path in
    /// different ways is a conflict. Where Nix makes the configuration, the key to add is said. Nobody may serve the
    /// instance meanwhile (exit 4).
    #[command(
        after_help = "Examples:\n  nixbox-helper sync enable notes team\n  nixbox-helper sync enable notes team --merge"
    )]
    Enable {
        /// The instance
        name: String,
        /// One of the configuration's `remotes`
        remote: String,
        /// Also where the remote holds something
        #[arg(long)]
        merge: bool,
    },
    /// Leave an instance on this machine alone, from now on
    ///
    /// What it holds stays, and is kept as a snapshot; what the remote holds stays there. Where not everything is on the remote
    /// it is refused (exit 5) without --force. Then `sync` is taken out of nixbox.toml. Nobody may serve the instance
    /// meanwhile (exit 4).
    #[command(after_help = "Examples:\n  nixbox-helper sync disable notes\n  nixbox-helper sync disable notes --force")]
    Disable {
        /// The instance
        name: String,
        /// Also where not everything is on the remote, or that does not answer
        #[arg(long)]
        force: bool,
    },
    /// Show what was synced, when, and what came of it
    ///
    /// Newest first. What failed the same way several times in a row is one line. The last 500 are kept at least.
    #[command(
        after_help = "Examples:\n  nixbox-helper sync log\n  nixbox-helper sync log --limit 5 --json | jq '.entries[].code'"
    )]
    Log {
        #[command(flatten)]
        which: Which,
        /// So many at most
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: u64,
    },
    /// Give back the room that the database's log and the copy of the remote do not need
    ///
    /// Happens by itself, too, when there is much of it. Works while the instance is mounted, and without the remote.
    #[command(
        after_help = "Examples:\n  nixbox-helper sync checkpoint\n  nixbox-helper sync checkpoint -i notes --json"
    )]
    Checkpoint {
        #[command(flatten)]
        which: Which,
    },
}

#[derive(Debug, Clone, Copy, clap::Args)]
#[group(required = true, multiple = false)]
pub struct Take {
    /// Take what is here
    #[arg(long)]
    ours: bool,
    /// Take what the remote has
    #[arg(long)]
    theirs: bool,
    /// Keep both, theirs beside ours
    #[arg(long)]
    both: bool,
}

#[derive(Serialize, JsonSchema)]
pub struct Standing {
    pub instance: String,
    pub remote: String,
    /// How it stands here
    pub state: Option<State>,
    /// Null where nobody has ever held it, or the remote does not answer
    pub lease: Option<Lease>,
    /// Files whose content is not here yet, and how much of it that is
    pub absent: Content,
    pub to_push: Vec<Change>,
    pub to_pull: Vec<Change>,
    pub conflicts: Vec<Conflict>,
}

#[derive(Serialize, JsonSchema)]
pub struct Lease {
    /// This instance holds it
    pub ours: bool,
    pub held: bool,
    pub who: String,
    pub host: String,
    /// RFC 3339, by the remote's clock
    pub since: String,
    /// Seconds that it is good for; null where it is free
    pub left: Option<f64>,
    /// Grows with every holder
    pub fence: i64,
}

#[derive(Serialize, JsonSchema)]
pub struct Change {
    /// A path in the instance, or `kv:` and a key
    pub name: String,
    pub before: Option<Look>,
    pub after: Option<Look>,
}

#[derive(Serialize, JsonSchema)]
pub struct Conflict {
    /// A path in the instance, or `kv:` and a key
    pub name: String,
    /// Null where it is gone
    pub ours: Option<Look>,
    pub theirs: Option<Look>,
}

#[derive(Serialize, JsonSchema)]
pub struct Look {
    /// `file`, `folder`, `link`, `name` (another one of a file), `value`, `fifo`, `socket` or `device`; over a base `gone`, and
    /// `attributes` of what is the base's otherwise
    pub kind: String,
    /// The lower twelve mode bits
    pub mode: u16,
    pub size: Option<u64>,
    /// RFC 3339; null for folders and values
    pub mtime: Option<String>,
    /// It stands in the place of something of the base
    pub of_base: bool,
}

#[derive(Serialize, JsonSchema)]
pub struct Conflicts {
    pub conflicts: Vec<Conflict>,
}

#[derive(Serialize, JsonSchema)]
pub struct Done {
    /// Files, folders, links and values
    pub pulled: u64,
    pub pushed: u64,
    /// Bytes of content that came
    pub bytes_in: u64,
    /// Bytes that went, as they are sent
    pub bytes_out: u64,
    /// What was here before, where something was changed here and something gave way
    pub snapshot: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub struct Resolved {
    /// Paths in the instance, or `kv:` and a key
    pub names: Vec<String>,
    /// `ours`, `theirs` or `both`
    pub take: String,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let output = &context.output;
    match args.what {
        What::Status { which, watch: true } => state::watch(&Asked::new(&which, context)?, output)?,
        What::Status { which, .. } => status(&Asked::new(&which, context)?, output)?,
        What::Pull { which } => done(&Asked::new(&which, context)?, SyncRequest::Pull, output)?,
        What::Push { which, again } => done(&Asked::new(&which, context)?, SyncRequest::Push { again }, output)?,
        What::Take { which, force } => state::take(&Asked::new(&which, context)?, force, output)?,
        What::Release { which } => state::release(&Asked::new(&which, context)?, output)?,
        What::Conflicts { which } => {
            let looked = look(&Asked::new(&which, context)?);
            looked.failure.map_or(Ok(()), Err)?;
            conflicts(looked.standing.conflicts, output)?;
        }
        What::Fetch { which, paths } => fetch::fetch(&Asked::new(&which, context)?, paths, output)?,
        What::Resolve { which, name, take, .. } => resolve(&Asked::new(&which, context)?, name, take, output)?,
        What::Enable { name, remote, merge } => switch::enable(&name, &remote, merge, context)?,
        What::Disable { name, force } => switch::disable(&name, force, context)?,
        What::Log { which, limit } => log::run(&Asked::new(&which, context)?, limit, output)?,
        What::Checkpoint { which } => checkpoint::run(&Asked::new(&which, context)?, output)?,
    }
    Ok(DONE)
}

/// What was seen, and why that is not all.
struct Looked {
    standing: Standing,
    state: Option<SyncState>,
    failure: Option<Report>,
}

fn look(asked: &Asked) -> Looked {
    let mut standing = Standing {
        instance: asked.name().to_owned(),
        remote: state::remote(asked),
        state: None,
        lease: None,
        absent: Content { files: 0, bytes: 0 },
        to_push: Vec::new(),
        to_pull: Vec::new(),
        conflicts: Vec::new(),
    };
    let mut state = None;
    let failure = lines(asked, SyncRequest::Look, |line| match line {
        SyncLine::State(told) => state = Some(told),
        SyncLine::Lease(lease) => standing.lease = Some(Lease::of(lease)),
        SyncLine::ToPush(change) => standing.to_push.push(Change::of(change)),
        SyncLine::ToPull(change) => standing.to_pull.push(Change::of(change)),
        SyncLine::Conflict(SyncChange { name, before, after }) => {
            standing.conflicts.push(Conflict { name, ours: before.map(Look::of), theirs: after.map(Look::of) });
        }
        SyncLine::Absent(absent) => standing.absent = Content::of(absent),
        _ => {}
    });
    standing.state = state.as_ref().map(State::of);
    Looked { standing, state, failure: failure.err() }
}

fn lines(asked: &Asked, request: SyncRequest, mut each: impl FnMut(SyncLine)) -> Result<(), Report> {
    asked.ask(&Request::Sync(request))?.lines(|line: SyncLine| {
        each(line);
        Ok(true)
    })
}

fn status(asked: &Asked, output: &Output) -> Result<(), Report> {
    let Looked { standing, state, failure } = look(asked);
    // Nothing to tell of a manual one that is as it always is.
    let told = state.filter(|state| state.mode != "manual" || !state.writable || state.fence.is_some());
    if let (Some(state), true) = (&told, output.is_chatty()) {
        output.note(state::text(asked, state).trim_end());
    }
    if let Some(report) = failure {
        if output.json && standing.state.is_some() {
            output.json(standing)?;
        }
        return Err(report);
    }
    if output.json {
        return output.json(standing);
    }
    let mut text = String::new();
    for (title, changes) in [("To push", &standing.to_push), ("To pull", &standing.to_pull)] {
        if !changes.is_empty() {
            text.push_str(&format!("{title}:\n"));
        }
        for change in changes {
            text.push_str(&format!("  {} {}\n", change.letter(), harmless(&change.name)));
        }
    }
    if !standing.conflicts.is_empty() {
        text.push_str("In conflict:\n");
    }
    for conflict in &standing.conflicts {
        text.push_str(&format!("  ! {}\n", harmless(&conflict.name)));
    }
    if standing.absent.files > 0 {
        text.push_str(&format!("Not loaded yet:\n  {}\n", standing.absent.text()));
    }
    output.data(text)?;
    let lease = match &standing.lease {
        Some(lease) if lease.held => format!("{} on {} writes there since {}", lease.who, lease.host, lease.since),
        _ => "nobody writes there now".to_owned(),
    };
    let todo = match (standing.to_push.len(), standing.to_pull.len(), standing.conflicts.len()) {
        (0, 0, 0) => "Both sides are the same".to_owned(),
        (push, pull, conflicts) => format!("{push} to push, {pull} to pull, {conflicts} in conflict"),
    };
    output.note(format!("{todo}; {} and {}: {lease}", standing.instance, standing.remote));
    Ok(())
}

fn done(asked: &Asked, request: SyncRequest, output: &Output) -> Result<(), Report> {
    let pushes = matches!(request, SyncRequest::Push { .. });
    let mut said = None;
    let mut progress = Progress::new("connecting", output);
    lines(asked, request, |line| match line {
        SyncLine::Done(done) => said = Some(done),
        SyncLine::Progress(far) => reach(&mut progress, far),
        _ => {}
    })?;
    drop(progress);
    let done = Done::of(said.ok_or_else(unsaid)?);
    if output.json {
        return output.json(done);
    }
    told(&done, pushes, asked.name(), output);
    Ok(())
}

impl Done {
    fn of(done: SyncDone) -> Self {
        let SyncDone { pulled, pushed, bytes_in, bytes_out, snapshot } = done;
        Self { pulled, pushed, bytes_in, bytes_out, snapshot }
    }
}

fn told(done: &Done, pushes: bool, name: &str, output: &Output) {
    let part = |count: u64, what: &str, bytes: u64| match (count, bytes) {
        (0, _) => format!("nothing to {what}"),
        (count, 0) => format!("{count} {what}ed"),
        (count, bytes) => format!("{count} {what}ed ({})", shown::size(bytes)),
    };
    let (pull, push) = (part(done.pulled, "pull", done.bytes_in), part(done.pushed, "push", done.bytes_out));
    output.note(if pushes { format!("{pull}, {push}") } else { pull });
    kept(done.snapshot.as_deref(), name, output);
}

/// The snapshot that was made first, if one was.
fn kept(snapshot: Option<&str>, name: &str, output: &Output) {
    if let Some(id) = snapshot {
        output.note(format!(
            "What was here before is snapshot {id}; `nixbox-helper snapshot restore {id} -i {name}` goes back to it"
        ));
    }
}

fn reach(progress: &mut Progress, far: SyncProgress) {
    let doing = match far.phase {
        SyncPhase::Fetching => "fetching",
        SyncPhase::Comparing => "comparing",
        SyncPhase::Applying => "applying",
        SyncPhase::Packing => "packing",
        SyncPhase::Sending => "sending",
    };
    progress.reach(doing, (far.things, far.of_things), (far.bytes, far.of_bytes));
}

fn unsaid() -> Report {
    Failure::new(&codes::UNEXPECTED, "the owner did not say what it has done").into()
}

fn conflicts(conflicts: Vec<Conflict>, output: &Output) -> Result<(), Report> {
    if output.json {
        return output.json(Conflicts { conflicts });
    }
    let side = |look: &Option<Look>| match look {
        None => "gone".to_owned(),
        Some(look) => {
            let size = look.size.map(|size| format!(", {}", shown::size(size))).unwrap_or_default();
            let time = look.mtime.as_ref().map(|time| format!(", {time}")).unwrap_or_default();
            format!("{}{size}{time}", look.kind)
        }
    };
    let rows = conflicts.iter().map(|conflict| {
        vec![harmless(&conflict.name).into(), side(&conflict.ours).into(), side(&conflict.theirs).into()]
    });
    output.table(&["NAME", "OURS", "THEIRS"], rows.collect())
}

fn resolve(asked: &Asked, name: Option<String>, take: Take, output: &Output) -> Result<(), Report> {
    let name = name.map(|name| match name.strip_prefix("kv:") {
        Some(_) => name,
        None => format!("/{}", name.trim_start_matches("./").trim_start_matches('/')),
    });
    let (side, take) = match take {
        Take { ours: true, .. } => (SyncSide::Ours, "ours"),
        Take { theirs: true, .. } => (SyncSide::Theirs, "theirs"),
        Take { .. } => (SyncSide::Both, "both"),
    };
    let mut names = Vec::new();
    lines(asked, SyncRequest::Resolve { name, take: side }, |line| {
        if let SyncLine::Conflict(conflict) = line {
            names.push(conflict.name);
        }
    })?;
    if output.json {
        return output.json(Resolved { names, take: take.into() });
    }
    output.note(match names.as_slice() {
        [] => "Nothing is in conflict".to_owned(),
        [only] => format!("The next pull or push takes {take} for {}", harmless(only)),
        all => format!("The next pull or push takes {take} for {} things", all.len()),
    });
    Ok(())
}

impl Lease {
    fn of(lease: SyncLease) -> Self {
        let SyncLease { ours, who, host, since, left, fence } = lease;
        Self { ours, held: left.is_some(), who, host, since: times::rfc3339(since), left, fence }
    }
}

impl Change {
    fn of(change: SyncChange) -> Self {
        let SyncChange { name, before, after } = change;
        Self { name, before: before.map(Look::of), after: after.map(Look::of) }
    }

    /// Of what stands in the place of something of the base, the base's is what there was before.
    fn letter(&self) -> char {
        let of_base = |look: &Look| look.of_base;
        match (&self.before, &self.after) {
            (_, Some(after)) if after.kind == "gone" => 'D',
            (None, Some(after)) if !of_base(after) => 'A',
            (Some(before), None) if !of_base(before) => 'D',
            _ => 'M',
        }
    }
}

impl Look {
    fn of(look: SyncLook) -> Self {
        let SyncLook { kind, mode, size, mtime, of_base } = look;
        Self { kind, mode, size, of_base, mtime: mtime.map(|seconds| times::rfc3339(seconds as f64)) }
    }
}
