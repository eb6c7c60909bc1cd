use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nixbox_config::{Instance, Project};
use nixbox_report::{Failure, Report, codes};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::DONE;
use crate::asking::Asked;
use crate::context::{Context, here};
use crate::made::{self, Work};
use crate::presence::Presence;
use crate::{owner_binary, presence, select};

/// Change what is on record of an instance, or remove one
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  nixbox-helper instance relocate sandbox ../project-now\n  nixbox-helper instance rm run-4f7k2m"
)]
pub struct Args {
    #[command(subcommand)]
    pub what: What,
}

#[derive(Debug, clap::Subcommand)]
pub enum What {
    /// Say where the folder is that an instance lies over, after that was moved
    ///
    /// What the instance holds stays as it is. It says how much of what was copied out of the base the new folder does
    /// not have as it was. No owner may serve the instance meanwhile.
    #[command(
        after_help = "Examples:\n  nixbox-helper instance relocate sandbox .\n  nixbox-helper instance relocate sandbox /srv/project --force"
    )]
    Relocate(Relocate),
    /// Remove instances that `run` has made
    ///
    /// With all that they hold: files, values, tool calls and snapshots. One that holds changes is refused, and one that
    /// runs. What the configuration declares is not removed here.
    #[command(
        after_help = "Examples:\n  nixbox-helper instance rm try\n  nixbox-helper instance rm try run-4f7k2m --force"
    )]
    Rm(Rm),
}

#[derive(Debug, clap::Args)]
pub struct Rm {
    /// The instances
    #[arg(required = true)]
    pub names: Vec<String>,
    /// Drop what they hold
    #[arg(long)]
    pub force: bool,
}

#[derive(Serialize, JsonSchema)]
pub struct Removed {
    pub removed: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub struct Relocate {
    /// The instance
    pub name: String,
    /// The folder that it lies over from now on
    pub dir: PathBuf,
    /// Also where the folder has nothing of what was copied out of the old one
    #[arg(long)]
    pub force: bool,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Relocated {
    pub from: String,
    pub to: String,
    /// Entries that were copied out of the base
    pub origins: u64,
    /// Of those, how many the folder does not have as they were
    pub differing: u64,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    match args.what {
        What::Relocate(args) => relocate(args, context),
        What::Rm(args) => remove(args, context),
    }
}

fn remove(args: Rm, context: &Context) -> Result<u8, Report> {
    let project = context.project()?;
    let instances = select::any_of(&project, &args.names)?;
    let (mut answer, mut failures) = (Removed { removed: Vec::new() }, Vec::new());
    for instance in instances {
        match remove_one(instance, &project, args.force, context) {
            Ok(()) => {
                context.output.note(format!("{}: removed", instance.name));
                answer.removed.push(instance.name.clone());
            }
            Err(report) => failures.extend(report.failures),
        }
    }
    if !failures.is_empty() {
        return Err(failures.into());
    }
    if context.output.json {
        context.output.json(answer)?;
    }
    Ok(DONE)
}

fn remove_one(instance: &Instance, project: &Project, force: bool, context: &Context) -> Result<(), Report> {
    let name = &instance.name;
    if instance.made.is_none() {
        return Err(Failure::new(&codes::INSTANCE_DECLARED, format!("`{name}` is declared"))
            .why(format_args!("{} has a table for it", project.file.display()))
            .help("take that out first; its database is yours to delete then")
            .into());
    }
    match presence::presence(instance, Duration::from_secs(2))? {
        Presence::Nobody => {}
        Presence::Silent(holder) => return Err(presence::silent(name, holder.as_ref()).into()),
        Presence::Here(status) => {
            return Err(Failure::new(&codes::OWNER_HELD, format!("`{name}` is running"))
                .why(format_args!("process {} serves it", status.pid))
                .help(format!("stop it first: `nixbox-helper stop {name}`"))
                .into());
        }
    }
    if !force {
        let work = Work::of(&Asked::of(instance, context.forwarded(project)?))?;
        if !work.is_nothing() {
            return Err(work.in_the_way(instance).into());
        }
    }
    made::remove(project, instance)
}

fn relocate(args: Relocate, context: &Context) -> Result<u8, Report> {
    let project = context.project()?;
    let instance = select::one(&project, Some(args.name.as_str()))?;
    let dir = here()?.join(&args.dir);
    let mut words = vec![dir.into_os_string()];
    words.extend(args.force.then(|| "--force".into()));
    let said = owner(context, &project, instance, words)?;
    let done: Relocated = serde_json::from_str(&said).map_err(std::io::Error::other)?;
    if done.differing > 0 {
        context.output.warn(format!(
            "{} of {} entries that were copied out of the base are not in {} as they were",
            done.differing, done.origins, done.to
        ));
    }
    if !declares(instance, &done.to) {
        let file = project.file.display();
        context.output.warn(format!("{file} names another `base`: set base = {:?}", done.to));
    }
    match context.output.json {
        true => context.output.json(done)?,
        false => {
            context.output.note(format!("{}: lies over {} now, and no longer over {}", args.name, done.to, done.from))
        }
    }
    Ok(DONE)
}

/// The base that the database has on record, where it has one and nobody serves it.
pub fn recorded_base(context: &Context, project: &Project, instance: &Instance) -> Option<PathBuf> {
    #[derive(Deserialize)]
    struct Recorded {
        recorded: PathBuf,
    }
    let said = owner(context, project, instance, Vec::new()).ok()?;
    serde_json::from_str::<Recorded>(&said).ok().map(|one| one.recorded)
}

fn owner(
    context: &Context,
    project: &Project,
    instance: &Instance,
    words: Vec<std::ffi::OsString>,
) -> Result<String, Report> {
    let program = owner_binary::find()?;
    let mut command = Command::new(&program);
    command.arg("relocate").arg(&instance.name).args(words).args(context.forwarded(project)?).stdin(Stdio::null());
    let ended = command.output().map_err(|error| {
        Failure::new(&codes::OWNER_MISSING, format!("{} cannot be run", program.display())).why(error)
    })?;
    match ended.status.code() {
        Some(0) => Ok(String::from_utf8_lossy(&ended.stdout).into_owned()),
        code => Err(presence::owner_failed(&instance.name, code, &String::from_utf8_lossy(&ended.stderr))),
    }
}

fn declares(instance: &Instance, to: &str) -> bool {
    let base = instance.base.as_ref().and_then(|base| base.path.canonicalize().ok());
    base.as_deref() == Some(Path::new(to))
}
