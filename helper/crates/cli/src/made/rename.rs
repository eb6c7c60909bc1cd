//! Changes to what is known of a made instance: its labels, and its name with all that goes by it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nixbox_config::{Instance, Paths, Project, made_to_toml};
use nixbox_report::{Failure, Report, codes};
use nixbox_state::{Holder, Lock, LockError};

use super::hold::Hold;
use super::{folder_of, is_taken, of_instance, taken, write};
use crate::context::{Context, io_failure};
use crate::presence::{self, Presence, now, presence};
use crate::stopping;

/// Something else is known of it from now on. What cannot be read back is not kept.
pub fn rewrite(instance: &Instance, project: &Project, context: &Context) -> Result<(), Report> {
    let _hold = Hold::of(&folder_of(project))?;
    let file = project.made_file(&instance.name);
    let before = fs::read(&file).map_err(|error| io_failure("read", &file, error))?;
    write(&file, made_to_toml(instance)?.as_bytes())?;
    context.project().map(drop).or_else(|report| write(&file, &before).and(Err(report)))
}

/// Broken off in the middle, it can be done again: the file by which the instance is known goes last.
pub fn rename(instance: &Instance, name: &str, project: &Project, context: &Context) -> Result<(), Report> {
    let _hold = Hold::of(&folder_of(project))?;
    if is_taken(project, name) {
        return Err(taken(name, "an instance, a job or a schedule is called so").into());
    }
    if !matches!(presence(instance, Duration::from_secs(2))?, Presence::Nobody) {
        return Err(Failure::new(&codes::OWNER_HELD, format!("`{}` is running", instance.name))
            .help(format!("stop it first: `nixbox-helper stop {}`", instance.name))
            .into());
    }
    stopping::clear(instance)?;
    let new = Paths::of(name, &project.data_dir, &project.runtime_dir);
    let moves = moves(instance, &new);
    if let Some((_, to)) = moves.iter().find(|(_, to)| to.symlink_metadata().is_ok()) {
        return Err(taken(name, &format!("{} is there", to.display())).into());
    }
    let file = project.made_file(name);
    write(&file, made_to_toml(&Instance { name: name.to_owned(), ..instance.clone() })?.as_bytes())?;
    // Such as a name that none can have; nothing was moved then.
    if let Err(report) = context.project() {
        let _ = fs::remove_file(&file);
        return Err(report);
    }
    let lock = hold_back(instance)?;
    for (from, to) in &moves {
        fs::rename(from, to).map_err(|error| io_failure("rename", from, error))?;
    }
    drop(lock);
    // It went along with its folder.
    let _ = fs::remove_file(&new.lock);
    let old = project.made_file(&instance.name);
    fs::remove_file(&old).map_err(|error| io_failure("remove", &old, error))
}

/// No owner comes up in the middle.
fn hold_back(instance: &Instance) -> Result<Option<Lock>, Report> {
    if !instance.paths.dir.is_dir() {
        return Ok(None);
    }
    match Lock::acquire(&instance.paths.lock, &Holder::me(now(), None)?) {
        Ok(lock) => Ok(Some(lock)),
        Err(LockError::Held(holder)) => Err(presence::silent(&instance.name, holder.as_ref()).into()),
        Err(LockError::Io { path, source }) => Err(io_failure("lock", &path, source)),
    }
}

fn moves(instance: &Instance, new: &Paths) -> Vec<(PathBuf, PathBuf)> {
    let renamed = |file: &Path, old: &Path, new: &Path| {
        let (name, own) = (file.file_name()?.to_string_lossy(), old.file_name()?.to_string_lossy());
        let rest = name.strip_prefix(&*own)?;
        Some(new.with_file_name(format!("{}{rest}", new.file_name()?.to_string_lossy())))
    };
    let files = of_instance(instance);
    let mut moves: Vec<_> = files
        .into_iter()
        .filter_map(|file| {
            let to =
                renamed(&file, &instance.paths.db, &new.db).or_else(|| renamed(&file, &instance.paths.log, &new.log));
            Some((file, to?))
        })
        .collect();
    if instance.paths.dir.is_dir() {
        moves.push((instance.paths.dir.clone(), new.dir.clone()));
    }
    moves
}
