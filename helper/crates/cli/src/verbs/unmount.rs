use std::path::{Path, PathBuf};

use nixbox_config::Project;
use nixbox_mounts::{Health, MountEntry, mount_at};
use nixbox_report::{Failure, Report, codes};
use nixbox_state::Lock;
use schemars::JsonSchema;
use serde::Serialize;

use super::DONE;
use crate::context::{Context, here};
use crate::mounts;
use crate::{select, stopping};

/// Take away a mount that nobody stands behind any more
///
/// Owners unmount by themselves, and the next start repairs what a killed one left; this is for when neither
/// happens. It touches AgentFS mounts only, and never the one of a living owner: stop that with `stop`. A mount
/// made by upstream's `agentfs mount` is unmounted when its path is given and nothing uses it.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  nixbox-helper unmount sandbox\n  nixbox-helper unmount ./.agentfs/mnt/sandbox\n  nixbox-helper unmount --lazy sandbox     # though a program still has files open in it"
)]
pub struct Args {
    /// An instance, or a path (anything with a slash) [default: the default instance]
    #[arg(value_name = "NAME|PATH")]
    pub what: Option<String>,
    /// Take it out of the tree now and let go when its last user does
    #[arg(short, long)]
    pub lazy: bool,
}

#[derive(Serialize, JsonSchema)]
pub struct Answer {
    pub path: String,
    pub database: String,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let path = match &args.what {
        Some(path) if path.contains('/') => absolute(Path::new(path))?,
        name => mountpoint(&context.project()?, name.as_deref())?,
    };
    let Some(mounted) = mount_at(&path)? else {
        return Err(not_mounted(&path, "nothing is mounted there"));
    };
    let Some(database) = mounted.database() else {
        return Err(not_mounted(
            &path,
            format!("the mount there is {} of {}, not of AgentFS", mounted.source.display(), mounted.kind.display()),
        ));
    };
    refuse_if_served(&mounted, database)?;
    // A dead mount has no owner that a lazy one could be taken from under.
    let dead = mounted.health() == Health::Dead;
    mounts::unmount(&path, args.lazy || dead)?;
    context.output.note(format!("unmounted {}", path.display()));
    if context.output.json {
        let text = |path: &Path| path.display().to_string();
        context.output.json(Answer { path: text(&path), database: text(database) })?;
    }
    Ok(DONE)
}

/// Without asking the path itself: `canonicalize` would go into a dead mount.
fn absolute(path: &Path) -> Result<PathBuf, Report> {
    let whole = here()?.join(path);
    let (Some(folder), Some(name)) = (whole.parent(), whole.file_name()) else { return Ok(whole) };
    Ok(folder.canonicalize().map(|folder| folder.join(name)).unwrap_or(whole))
}

fn mountpoint(project: &Project, name: Option<&str>) -> Result<PathBuf, Report> {
    let instance = select::any(project, name)?;
    match &instance.mount {
        Some(mount) => Ok(mount.path.clone()),
        None => Err(Failure::new(&codes::MOUNT_NOT_MOUNTED, format!("instance `{}` has no mount", instance.name))
            .why("its `mount.backend` is `none`")
            .into()),
    }
}

/// Every owner's lock lies beside its database, so it is found from the mount alone.
fn refuse_if_served(mounted: &MountEntry, database: &Path) -> Result<(), Report> {
    let lock = database.with_extension("d").join(stopping::LOCK_NAME);
    let Some(holder) = Lock::live_holder(&lock) else { return Ok(()) };
    let name = database.file_stem().unwrap_or_default().to_string_lossy();
    Err(Failure::new(&codes::OWNER_HELD, format!("{} is the mount of a living owner", mounted.path.display()))
        .why(format_args!("process {} serves {}", holder.process.pid, database.display()))
        .help(format!(
            "stop it with `nixbox-helper stop {name}` in its project, or `kill {}`: both unmount",
            holder.process.pid
        ))
        .into())
}

fn not_mounted(path: &Path, why: impl std::fmt::Display) -> Report {
    Failure::new(&codes::MOUNT_NOT_MOUNTED, format!("no AgentFS mount is at {}", path.display()))
        .why(why)
        .help("`nixbox-helper ps` shows where instances are mounted")
        .into()
}
