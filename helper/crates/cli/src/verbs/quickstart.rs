use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nixbox_config::{Instance, Project, Sources};
use nixbox_control::{FilesRequest, Request};
use nixbox_report::{Failure, Report, codes};
use nixbox_supervisor::{On, Readiness, Restart, Spec, Supervisor, Unit};
use schemars::JsonSchema;
use serde::Serialize;

use super::{DONE, env};
use crate::asking::Asked;
use crate::context::{Context, io_failure};
use crate::doctor::machine::{self, Needs};
use crate::output::Tone;
use crate::readiness::{NotReady, not_ready};
use crate::shell::Shell;
use crate::supervise::{Places, Session, Turn};
use crate::{owner_binary, stopping};

/// See the whole thing once, in a temporary folder that is removed again
///
/// Declares an instance, brings it up, shows its variables, writes a file through the mount, takes it down and
/// reads the file back out of the database. Takes about a second and needs FUSE.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  nixbox-helper quickstart")]
pub struct Args {
    /// Leave the folder, to look around in
    #[arg(long)]
    pub keep: bool,
}

#[derive(Default, Serialize, JsonSchema)]
pub struct Answer {
    pub steps: Vec<Step>,
    pub total_ms: u64,
    /// Null unless it was kept
    pub folder: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub struct Step {
    pub did: String,
    pub took_ms: u64,
}

const NAME: &str = "sandbox";
const CONFIG: &str =
    "version = 1\ndata_dir = \"data\"\nruntime_dir = \"run\"\n\n[instances.sandbox]\nmount.path = \"work\"\n";
const TEXT: &str = "Written through the mount, kept in the database.\n";
const GRACE: Duration = Duration::from_millis(4500);
const PATIENCE: Duration = Duration::from_secs(20);

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let failures: Vec<_> = machine::mounting(Needs { auto: true, ..Needs::default() })
        .iter()
        .filter_map(|finding| finding.failure())
        .collect();
    if !failures.is_empty() {
        return Err(failures.into());
    }
    let owner = owner_binary::find()?;
    // Before any thread exists: it has to be this one that hears Ctrl-C.
    let supervisor = Supervisor::new(&[Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP])?;
    let begun = Instant::now();
    let mut scratch = Scratch::new(args.keep)?;
    let mut story = Story { context, answer: Answer::default(), since: begun };
    let project = scratch.declare()?;
    story.did(&format!("declared an instance in {}", project.file.display()), Some(CONFIG))?;
    let instance = &project.instances[NAME];

    let mut session = Session::new(context, &project, supervisor, &Places::of(&project))?;
    let told = tell(&mut story, &mut session, &owner, &project, instance, begun + PATIENCE);
    // Whatever came in between, nothing stays behind.
    let stopped = session.end(None).and_then(|()| stopping::clear(instance));
    told?;
    stopped?;
    if let Some(signal) = session.interrupted() {
        return Ok(128 + signal as u8);
    }
    story.did("took it down: no process, no mount", None)?;

    let bytes = read_back(&project, instance)?;
    if bytes != TEXT.as_bytes() {
        let said = String::from_utf8_lossy(&bytes).into_owned();
        return Err(Failure::new(&codes::UNEXPECTED, "the database holds something else than was written")
            .why(said)
            .into());
    }
    story.did(&format!("read hello.txt back out of {}", instance.paths.db.display()), Some(TEXT))?;

    let folder = scratch.folder.clone();
    scratch.remove()?;
    let Story { mut answer, .. } = story;
    answer.total_ms = begun.elapsed().as_millis() as u64;
    answer.folder = args.keep.then(|| folder.display().to_string());
    match (context.output.json, args.keep) {
        (true, _) => context.output.json(answer)?,
        (false, true) => {
            context.output.data(format!("\nDone in {} ms. Look around in {}\n", answer.total_ms, folder.display()))?
        }
        (false, false) => context.output.data(format!(
            "\nDone in {} ms, and the folder is gone again. Next: `nixbox-helper new plain`, then `nixbox-helper up`\n",
            answer.total_ms
        ))?,
    }
    Ok(DONE)
}

/// The part with an owner in it.
fn tell(
    story: &mut Story<'_>,
    session: &mut Session<'_>,
    owner: &Path,
    project: &Project,
    instance: &Instance,
    until: Instant,
) -> Result<(), Report> {
    let unit = Unit {
        name: NAME.into(),
        spec: Spec::new(owner).args(["serve", NAME]).args(words(project)).env("NIXBOX_LOG_FORMAT", "human"),
        needs: Vec::new(),
        ready: Readiness::Notified,
        restart: Restart { on: On::Never, ..Restart::default() },
        health: None,
        grace: GRACE,
        log: None,
        apart: false,
        group: None,
        version: String::new(),
    };
    session.mute();
    session.up(vec![unit], &[NAME.into()], true, true)?;
    while !session.is_settled() {
        match session.turn(Some(until))? {
            Turn::Signal(_) => return Ok(()),
            Turn::Deadline => return Err(not_ready(NAME, NotReady::Starting, &instance.paths.log).into()),
            Turn::Went => {}
        }
    }
    if let Some(report) = session.first_failure() {
        return Err(report);
    }
    let Some(mount) = &instance.mount else { return Err(std::io::Error::other("no mount").into()) };
    story.did(&format!("brought it up: ready, mounted at {}", mount.path.display()), None)?;

    let exports = env::exports(project, None)?;
    // What every instance also has under its own name would only make this longer.
    let own = nixbox_config::env::prefix(NAME);
    let lines = Shell::Bash.exports(exports.iter().filter(|(name, _)| !name.starts_with(&own)));
    story.did("asked for its variables, as a shell would: eval \"$(nixbox-helper env)\"", Some(&lines))?;

    let file = mount.path.join("hello.txt");
    std::fs::write(&file, TEXT).map_err(|error| io_failure("write", &file, error))?;
    let read = std::fs::read_to_string(&file).map_err(|error| io_failure("read", &file, error))?;
    story.did(&format!("wrote {}", file.display()), Some(&read))
}

fn words(project: &Project) -> Vec<std::ffi::OsString> {
    // By flags, which beat whatever the caller's environment says of another project.
    let pairs = [("--config", &project.file), ("--root", &project.root), ("--data-dir", &project.data_dir)];
    let mut words: Vec<_> = pairs.into_iter().flat_map(|(flag, path)| [flag.into(), path.clone().into()]).collect();
    words.extend(["--log-level".into(), "warn".into()]);
    words
}

/// This program links no database: an owner for this one request reads the file.
fn read_back(project: &Project, instance: &Instance) -> Result<Vec<u8>, Report> {
    let request = Request::Files(FilesRequest::Read { path: "/hello.txt".into(), layer: None });
    let mut bytes = Vec::new();
    Asked::of(instance, words(project)).ask(&request)?.body(|piece| {
        bytes.extend_from_slice(piece);
        Ok(true)
    })?;
    Ok(bytes)
}

/// Tells what happens, as it happens.
struct Story<'c> {
    context: &'c Context,
    answer: Answer,
    since: Instant,
}

impl Story<'_> {
    fn did(&mut self, did: &str, detail: Option<&str>) -> Result<(), Report> {
        let took = self.since.elapsed();
        self.since = Instant::now();
        self.answer.steps.push(Step { did: did.to_owned(), took_ms: took.as_millis() as u64 });
        if self.context.output.json {
            return Ok(());
        }
        let output = &self.context.output;
        let number = output.paint(Tone::Good, &format!("{}.", self.answer.steps.len()));
        let mut text = format!("{number} {did} {}\n", output.paint(Tone::Dim, &format!("({} ms)", took.as_millis())));
        for line in detail.unwrap_or_default().lines() {
            text += &format!("   {}\n", output.paint(Tone::Dim, &format!("| {line}")));
        }
        output.data(text)
    }
}

/// A folder that goes however this ends.
struct Scratch {
    folder: PathBuf,
    keep: bool,
}

impl Scratch {
    fn new(keep: bool) -> Result<Self, Report> {
        let mut parent = std::env::temp_dir();
        // The control socket's path has to fit into 107 bytes.
        if parent.as_os_str().len() > 50 {
            parent = PathBuf::from("/tmp");
        }
        let folder =
            parent.join(format!("nixbox-quickstart-{}-{:x}", std::process::id(), crate::presence::now() & 0xff_ffff));
        std::fs::DirBuilder::new().create(&folder).map_err(|error| io_failure("create", &folder, error))?;
        let folder = folder.canonicalize().map_err(|error| io_failure("find", &folder, error))?;
        Ok(Self { folder, keep })
    }

    fn declare(&self) -> Result<Project, Report> {
        let file = self.folder.join("nixbox.toml");
        std::fs::write(&file, CONFIG).map_err(|error| io_failure("write", &file, error))?;
        // None of the caller's environment: it may belong to a real project.
        let sources = Sources { config: Some(file), cwd: self.folder.clone(), ..Sources::default() };
        nixbox_config::project(&sources)
    }

    fn remove(&mut self) -> Result<(), Report> {
        if std::mem::replace(&mut self.keep, true) {
            return Ok(());
        }
        std::fs::remove_dir_all(&self.folder).map_err(|error| io_failure("remove", &self.folder, error))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.keep {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}
