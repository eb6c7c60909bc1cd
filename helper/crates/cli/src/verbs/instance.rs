use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nixbox_config::{Instance, Project};
use nixbox_report::{Failure, Report, codes};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::DONE;
use crate::context::{Context, here};
use crate::{owner_binary, presence, select};

/// Change what an instance has on record of its surroundings
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  nixbox-helper instance relocate sandbox ../project-now")]
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
    let What::Relocate(args) = args.what;
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
