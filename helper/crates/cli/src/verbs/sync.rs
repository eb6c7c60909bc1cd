pub mod fetch;

use nixbox_control::{Request, SyncChange, SyncDone, SyncLease, SyncLine, SyncLook, SyncRequest, SyncSide};
use nixbox_report::{Failure, Report, codes};
use schemars::JsonSchema;
use serde::Serialize;

use super::DONE;
use crate::asking::{Asked, Which};
use crate::context::Context;
use crate::output::{Output, harmless};
use crate::review::shown;
use crate::times;
use fetch::Content;

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
    /// Show what there is to do, and who may write to the remote now
    ///
    /// Looks at both sides and changes neither. A means added, M modified, D deleted.
    #[command(after_help = "Examples:\n  nixbox-helper sync status\n  nixbox-helper sync status -i notes --json")]
    Status {
        #[command(flatten)]
        which: Which,
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
    #[command(after_help = "Examples:\n  nixbox-helper sync push\n  nixbox-helper sync push -i notes --json")]
    Push {
        #[command(flatten)]
        which: Which,
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
    /// Holds for both sides as they are now: if either changes once more, it is a conflict again.
    #[command(
        after_help = "Examples:\n  nixbox-helper sync resolve src/main.rs --ours\n  nixbox-helper sync resolve kv:plan --theirs"
    )]
    Resolve {
        #[command(flatten)]
        which: Which,
        /// As `sync conflicts` lists it: a path in the instance, or `kv:` and a key
        name: String,
        /// Take what is here
        #[arg(long, conflicts_with = "theirs", required_unless_present = "theirs")]
        ours: bool,
        /// Take what the remote has
        #[arg(long)]
        theirs: bool,
    },
}

#[derive(Serialize, JsonSchema)]
pub struct Standing {
    pub instance: String,
    pub remote: String,
    /// Null where nobody has ever held it
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
    /// `file`, `folder`, `link`, `name` (another one of a file), `value`, `fifo`, `socket` or `device`
    pub kind: String,
    /// The lower twelve mode bits
    pub mode: u16,
    pub size: Option<u64>,
    /// RFC 3339; null for folders and values
    pub mtime: Option<String>,
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
}

#[derive(Serialize, JsonSchema)]
pub struct Resolved {
    pub name: String,
    /// `ours` or `theirs`
    pub take: String,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let output = &context.output;
    match args.what {
        What::Status { which } => status(&Asked::new(&which, context)?, output)?,
        What::Pull { which } => done(&Asked::new(&which, context)?, SyncRequest::Pull, output)?,
        What::Push { which } => done(&Asked::new(&which, context)?, SyncRequest::Push, output)?,
        What::Fetch { which, paths } => fetch::fetch(&Asked::new(&which, context)?, paths, output)?,
        What::Conflicts { which } => conflicts(look(&Asked::new(&which, context)?)?.conflicts, output)?,
        What::Resolve { which, name, ours, .. } => {
            let take = if ours { SyncSide::Ours } else { SyncSide::Theirs };
            resolve(&Asked::new(&which, context)?, &name, take, output)?;
        }
    }
    Ok(DONE)
}

fn look(asked: &Asked) -> Result<Standing, Report> {
    let mut standing = Standing {
        instance: asked.name().to_owned(),
        remote: asked.instance().sync.clone().unwrap_or_default(),
        lease: None,
        absent: Content { files: 0, bytes: 0 },
        to_push: Vec::new(),
        to_pull: Vec::new(),
        conflicts: Vec::new(),
    };
    lines(asked, SyncRequest::Look, |line| match line {
        SyncLine::Lease(lease) => standing.lease = Some(Lease::of(lease)),
        SyncLine::ToPush(change) => standing.to_push.push(Change::of(change)),
        SyncLine::ToPull(change) => standing.to_pull.push(Change::of(change)),
        SyncLine::Conflict(SyncChange { name, before, after }) => {
            standing.conflicts.push(Conflict { name, ours: before.map(Look::of), theirs: after.map(Look::of) });
        }
        SyncLine::Absent(absent) => standing.absent = Content::of(absent),
        SyncLine::Done(_) | SyncLine::Loaded(_) => {}
    })?;
    Ok(standing)
}

fn lines(asked: &Asked, request: SyncRequest, mut each: impl FnMut(SyncLine)) -> Result<(), Report> {
    asked.ask(&Request::Sync(request))?.lines(|line: SyncLine| {
        each(line);
        Ok(true)
    })
}

fn status(asked: &Asked, output: &Output) -> Result<(), Report> {
    let standing = look(asked)?;
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
    let pushes = request == SyncRequest::Push;
    let mut said = None;
    lines(asked, request, |line| {
        if let SyncLine::Done(done) = line {
            said = Some(done);
        }
    })?;
    let Some(SyncDone { pulled, pushed, bytes_in, bytes_out }) = said else {
        return Err(Failure::new(&codes::UNEXPECTED, "the owner did not say what it has done").into());
    };
    if output.json {
        return output.json(Done { pulled, pushed, bytes_in, bytes_out });
    }
    let part = |count: u64, what: &str, bytes: u64| match (count, bytes) {
        (0, _) => format!("nothing to {what}"),
        (count, 0) => format!("{count} {what}ed"),
        (count, bytes) => format!("{count} {what}ed ({})", shown::size(bytes)),
    };
    let (pull, push) = (part(pulled, "pull", bytes_in), part(pushed, "push", bytes_out));
    output.note(if pushes { format!("{pull}, {push}") } else { pull });
    Ok(())
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

fn resolve(asked: &Asked, name: &str, take: SyncSide, output: &Output) -> Result<(), Report> {
    let named = match name.strip_prefix("kv:") {
        Some(_) => name.to_owned(),
        None => format!("/{}", name.trim_start_matches("./").trim_start_matches('/')),
    };
    asked.tell(&Request::Sync(SyncRequest::Resolve { name: named.clone(), take }))?;
    let take = if take == SyncSide::Ours { "ours" } else { "theirs" };
    if output.json {
        return output.json(Resolved { name: named, take: take.into() });
    }
    output.note(format!("The next pull or push takes {take} for {}", harmless(&named)));
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

    fn letter(&self) -> char {
        match (&self.before, &self.after) {
            (None, _) => 'A',
            (_, None) => 'D',
            _ => 'M',
        }
    }
}

impl Look {
    fn of(look: SyncLook) -> Self {
        let SyncLook { kind, mode, size, mtime } = look;
        Self { kind, mode, size, mtime: mtime.map(|seconds| times::rfc3339(seconds as f64)) }
    }
}
