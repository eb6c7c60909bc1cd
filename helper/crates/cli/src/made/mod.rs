//! Instances that verbs make, and that nobody declares: how one comes to be, and how it goes. To every verb they are like
//! declared ones, because whoever reads the configuration reads their files as well.

mod hold;
mod name;
mod remove;
mod rename;
mod work;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nixbox_config::{Base, Instance, Made, Project, UNDECLARED, made_to_toml};
use nixbox_mounts::mount_at;
use nixbox_report::{Failure, Report, codes};

pub use self::remove::{of_instance, owner_log, remove, tidy};
pub use self::rename::{rename, rewrite};
pub use self::work::Work;

use self::hold::Hold;
use crate::context::{Context, here, io_failure};
use crate::presence::{Presence, now, presence};

/// The first line of the configuration of a folder that declares nothing.
const NOTE: &str =
    "# Made by `nixbox-helper run`, for instances that are not declared. Not needed once there is a nixbox.toml.\n";

/// What somebody wants to have made.
pub struct Wanted {
    /// None: any that is free.
    pub name: Option<String>,
    pub base: PathBuf,
    pub labels: BTreeMap<String, String>,
    pub keep: bool,
    pub command: Vec<String>,
}

/// It is there now.
pub struct Found {
    pub project: Project,
    pub name: String,
    /// It was there before.
    pub is_old: bool,
}

impl Found {
    pub fn instance(&self) -> Result<&Instance, Report> {
        let gone = || Failure::new(&codes::INSTANCE_UNKNOWN, format!("`{}` was removed meanwhile", self.name)).into();
        self.project.instances.get(&self.name).ok_or_else(gone)
    }
}

/// One of that name that was made before is used again.
pub fn find_or_make(wanted: Wanted, context: &Context) -> Result<Found, Report> {
    let (folder, file) = place(context)?;
    let _hold = Hold::of(&folder)?;
    if let Some(file) = file.filter(|file| !file.exists()) {
        write(&file, format!("{NOTE}version = 1\n").as_bytes())?;
    }
    let project = context.project()?;
    find_or_make_in(project.clone(), wanted, context).inspect_err(|_| tidy(&project))
}

fn find_or_make_in(project: Project, wanted: Wanted, context: &Context) -> Result<Found, Report> {
    if let Some(name) = &wanted.name
        && let Some(instance) = project.instances.get(name)
    {
        let name = name.clone();
        usable(instance, &wanted, &project)?;
        return Ok(Found { project, name, is_old: true });
    }
    let is_taken = |name: &str| is_taken(&project, name);
    let name = match &wanted.name {
        Some(name) if is_taken(name) => return Err(taken(name, "a job or a schedule is called so").into()),
        Some(name) => name.clone(),
        None => name::free(is_taken)?,
    };
    let file = project.made_file(&name);
    write(&file, made_to_toml(&make(&name, wanted, &project)?)?.as_bytes())?;
    match context.project() {
        Ok(project) => Ok(Found { project, name, is_old: false }),
        // Such as a name that none can have.
        Err(report) => {
            let _ = fs::remove_file(&file);
            Err(report)
        }
    }
}

/// The folder that whoever makes or removes one holds, and the configuration that may have to be made in it.
fn place(context: &Context) -> Result<(PathBuf, Option<PathBuf>), Report> {
    let is_named =
        context.global.config.is_some() || std::env::var_os("NIXBOX_CONFIG").is_some_and(|it| !it.is_empty());
    match context.project() {
        Ok(project) => Ok((folder_of(&project), is_undeclared(&project).then(|| project.file.clone()))),
        Err(report) if !is_named && report.failures.iter().all(|one| *one.code == codes::CONFIG_MISSING) => {
            let here = here()?;
            let folder = context.global.data_dir.as_ref().map_or_else(|| here.join(UNDECLARED), |dir| here.join(dir));
            let file = folder.join("nixbox.toml");
            Ok((folder, Some(file)))
        }
        Err(report) => Err(report),
    }
}

fn folder_of(project: &Project) -> PathBuf {
    match (is_undeclared(project), project.file.parent()) {
        (true, Some(folder)) => folder.to_owned(),
        _ => project.data_dir.clone(),
    }
}

/// Its configuration was made by us, and lies with its data.
fn is_undeclared(project: &Project) -> bool {
    let folder = project.file.parent();
    let lies_there = folder.is_some_and(|folder| folder.ends_with(UNDECLARED) || folder == project.data_dir);
    lies_there && fs::read_to_string(&project.file).is_ok_and(|text| text.starts_with(NOTE))
}

fn make(name: &str, wanted: Wanted, project: &Project) -> Result<Instance, Report> {
    let base = base(&wanted.base, project)?;
    let made = Made { created: now(), keep: wanted.keep, command: wanted.command };
    let paths = nixbox_config::Paths::of(name, &project.data_dir, &project.runtime_dir);
    let blank = crate::recorded::blank(name.to_owned(), paths);
    let base = Some(Base { path: base, exclude: Vec::new() });
    Ok(Instance { base, labels: wanted.labels, made: Some(made), ..blank })
}

/// The folder that it is to lie over, as the kernel names it.
fn base(asked: &Path, project: &Project) -> Result<PathBuf, Report> {
    let shown = asked.display();
    let base = match asked.canonicalize() {
        Ok(base) if base.is_dir() => base,
        Ok(_) => return Err(no_base(asked, "it is no folder").into()),
        Err(error) => return Err(no_base(asked, error).into()),
    };
    let inside = |folder: &Path| folder.canonicalize().is_ok_and(|folder| base.starts_with(folder));
    if [&project.data_dir, &project.runtime_dir].into_iter().any(|folder| inside(folder)) {
        return Err(Failure::new(&codes::CONFIG_BASE_IN_DATA, format!("{shown} lies in nixbox's own folder"))
            .help("name a folder of the project with --base")
            .into());
    }
    let mounts = project.instances.values().filter_map(|instance| Some((instance, instance.mount.as_ref()?)));
    for (instance, mount) in mounts {
        // One that is dead cannot be entered, and so is no base either.
        if base.starts_with(&mount.path) && mount_at(&mount.path)?.is_some() {
            let what = format!("{shown} lies in the mount of `{}`", instance.name);
            return Err(Failure::new(&codes::CONFIG_BASE_IN_MOUNT, what)
                .help(format!("run it there with `nixbox-helper exec {}`, or name a real folder", instance.name))
                .into());
        }
    }
    Ok(base)
}

fn no_base(base: &Path, why: impl std::fmt::Display) -> Failure {
    Failure::new(&codes::BASE_MISSING, format!("{} cannot be a base", base.display()))
        .why(why)
        .help("name a folder that is there with --base")
}

/// Whether one that is there may be used for something new.
fn usable(instance: &Instance, wanted: &Wanted, project: &Project) -> Result<(), Report> {
    let name = &instance.name;
    if instance.made.is_none() {
        let file = project.file.display();
        return Err(taken(name, &format!("{file} declares it"))
            .help(format!("bring it up with `nixbox-helper up -d {name}`, then `nixbox-helper exec {name} -- …`"))
            .into());
    }
    if !matches!(presence(instance, Duration::from_secs(2))?, Presence::Nobody) {
        return Err(taken(name, "it is running")
            .help(format!("run it there with `nixbox-helper exec {name} -- …`, or under another name"))
            .into());
    }
    let base = base(&wanted.base, project)?;
    match &instance.base {
        Some(old) if old.path != base => Err(taken(name, &format!("it lies over {}", old.path.display()))
            .help(format!("name that with --base, or another instance; `nixbox-helper instance rm {name}` removes it"))
            .into()),
        _ => Ok(()),
    }
}

fn is_taken(project: &Project, name: &str) -> bool {
    let is_other = project.jobs.contains_key(name) || project.schedules.contains_key(name);
    is_other || project.instances.contains_key(name)
}

fn taken(name: &str, why: &str) -> Failure {
    Failure::new(&codes::INSTANCE_EXISTS, format!("`{name}` is there already")).why(why).help("choose another name")
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Report> {
    let done = path.parent().map_or(Ok(()), fs::create_dir_all);
    done.and_then(|()| nixbox_state::write_atomic(path, bytes, 0o600)).map_err(|error| io_failure("write", path, error))
}
