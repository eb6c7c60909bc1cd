//! The end of a made instance: all that it has goes, and last the file that it is known by, so that one that was broken off
//! can be removed again.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use nixbox_config::{Instance, Project};
use nixbox_report::Report;
use nixbox_state::{Holder, Lock, LockError};

use super::hold::Hold;
use super::{folder_of, is_undeclared};
use crate::context::io_failure;
use crate::presence::now;
use crate::stopping;

/// Nobody may serve it. What it holds is gone then: whoever calls this has seen that it may be.
pub fn remove(project: &Project, instance: &Instance) -> Result<(), Report> {
    let _hold = Hold::of(&folder_of(project))?;
    stopping::clear(instance)?;
    let paths = &instance.paths;
    let gone = |done: io::Result<()>, path: &Path| match done {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(io_failure("remove", path, error)),
        _ => Ok(()),
    };
    fs::create_dir_all(&paths.dir).map_err(|error| io_failure("use", &paths.dir, error))?;
    let lock = match Lock::acquire(&paths.lock, &Holder::me(now(), None)?) {
        Ok(lock) => lock,
        Err(LockError::Held(holder)) => return Err(crate::presence::silent(&instance.name, holder.as_ref()).into()),
        Err(LockError::Io { path, source }) => return Err(io_failure("lock", &path, source)),
    };
    for file in of_instance(instance) {
        gone(fs::remove_file(&file), &file)?;
    }
    gone(fs::remove_dir_all(&paths.dir), &paths.dir)?;
    drop(lock);
    let file = project.made_file(&instance.name);
    gone(fs::remove_file(&file), &file)?;
    tidy(project);
    Ok(())
}

/// The files that one has beside its folder: its database with what belongs to that, and what it has of the runtime folder.
pub fn of_instance(instance: &Instance) -> Vec<PathBuf> {
    let paths = &instance.paths;
    let of = |file: &Path, is_own: &dyn Fn(&str) -> bool| -> Vec<PathBuf> {
        let Some((folder, name)) = file.parent().zip(file.file_name()) else { return Vec::new() };
        let name = name.to_string_lossy().into_owned();
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let own = entries.filter(|entry| entry.file_name().to_string_lossy().strip_prefix(&*name).is_some_and(is_own));
        own.map(|entry| entry.path()).collect()
    };
    // `a.db`, `a.db-wal`; `a.log`, `a.log.1`.
    let mut files = of(&paths.db, &|rest| rest.is_empty() || rest.starts_with('-'));
    files.extend(of(&paths.log, &|rest| rest.is_empty() || rest.starts_with('.')));
    files.extend([&paths.socket, &paths.record, &paths.token].into_iter().filter(|path| path.exists()).cloned());
    files.extend(Some(owner_log(instance)).filter(|path| path.exists()));
    files
}

/// What an owner says that serves for one command, whose own words are its log.
pub fn owner_log(instance: &Instance) -> PathBuf {
    instance.paths.log.with_extension("owner.log")
}

/// What was made around instances goes as far as nothing is in it.
pub fn tidy(project: &Project) {
    let empty = |folder: &Path| fs::remove_dir(folder).is_ok();
    empty(&project.data_dir.join("mnt"));
    let none_left = empty(&project.made_dir()) || !project.made_dir().exists();
    empty(&project.runtime_dir);
    // Something is still kept, such as what became of jobs: for that, too, the project has to be found.
    let is_bare = |folder: &Path| {
        fs::read_dir(folder).is_ok_and(|entries| entries.flatten().all(|entry| entry.path() == project.file))
    };
    if none_left && is_undeclared(project) && is_bare(&project.data_dir) && fs::remove_file(&project.file).is_ok() {
        empty(&project.data_dir);
        project.file.parent().map(empty);
    }
}
