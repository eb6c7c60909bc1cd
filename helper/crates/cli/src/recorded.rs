//! Owners as their own records tell of them: those whose lock was deleted from under them, and those whose instance the
//! configuration no longer declares.

use std::fs;
use std::path::{Path, PathBuf};

use nixbox_config::{Backend, Instance, Mount, Paths, Project};
use nixbox_control::Status;
use nixbox_state::{Lock, Process, read_json};

/// The living owner of this very database that has published a record. The lock says so as well, unless somebody has
/// cleaned the data folder out.
pub fn owner(instance: &Instance) -> Option<Process> {
    living(&instance.paths.record).filter(|status| serves(status, &instance.paths.db)).map(|status| process(&status))
}

/// Whether a living owner has published that record, of whatever project.
pub fn is_of_the_living(record: &Path) -> bool {
    living(record).is_some()
}

/// Whether that is said by the owner of this instance: the one of its database, also after the project was moved, and
/// not one of another project that shares the runtime folder.
pub fn speaks_for(status: &Status, instance: &Instance) -> bool {
    serves(status, &instance.paths.db)
        || Lock::live_holder(&instance.paths.lock).is_some_and(|holder| holder.process == process(status))
}

/// Makes what still runs from this data folder part of the project, as disabled, so that it can be seen and stopped
/// after it was renamed or taken out of the file. Returns the names.
pub fn adopt_undeclared(project: &mut Project) -> Vec<String> {
    let records = fs::read_dir(&project.runtime_dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let records = records.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let mut names = Vec::new();
    for status in records.filter_map(|path| living(&path)).collect::<Vec<_>>() {
        let paths = Paths::of(&status.instance, &project.data_dir, &project.runtime_dir);
        if project.instances.contains_key(&status.instance) || !serves(&status, &paths.db) {
            continue;
        }
        names.push(status.instance.clone());
        project.instances.insert(status.instance.clone(), undeclared(status, paths));
    }
    names.sort();
    names
}

fn undeclared(status: Status, paths: Paths) -> Instance {
    let mount = status.mount.map(|mount| Mount {
        path: mount.path,
        backend: Backend::Fuse,
        read_only: mount.read_only,
        allow_root: false,
        allow_other: false,
        uid: None,
        gid: None,
        create: false,
    });
    let description = "runs and is not declared".into();
    Instance { enable: false, description, mount, ..blank(status.instance, paths) }
}

/// One of which nothing is said.
pub fn blank(name: String, paths: Paths) -> Instance {
    Instance {
        name,
        enable: true,
        description: String::new(),
        engine: Default::default(),
        base: None,
        mode: Default::default(),
        limits: Default::default(),
        labels: Default::default(),
        env: Default::default(),
        mount: None,
        http: None,
        nfs: None,
        encryption: None,
        sync: None,
        partial: None,
        hooks: Default::default(),
        mcp_tools: Vec::new(),
        depends_on: Default::default(),
        restart: Default::default(),
        health: None,
        made: None,
        paths,
    }
}

fn living(record: &Path) -> Option<Status> {
    read_json::<Status>(record).ok().flatten().filter(|status| process(status).is_alive())
}

fn process(status: &Status) -> Process {
    Process { pid: status.pid, start_time: status.start_time }
}

/// Another project may share the runtime folder and have an instance of the same name.
fn serves(status: &Status, database: &Path) -> bool {
    same(&status.database, database)
}

/// One place, by whatever links it is reached, and whether or not it exists still.
pub fn same(a: &Path, b: &Path) -> bool {
    a == b || real(a) == real(b)
}

fn real(path: &Path) -> PathBuf {
    match (fs::canonicalize(path), path.parent(), path.file_name()) {
        (Ok(real), _, _) => real,
        (Err(_), Some(parent), Some(name)) => real(parent).join(name),
        (Err(_), _, _) => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_place_is_the_same_by_a_link_and_after_it_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("a")).unwrap();
        std::os::unix::fs::symlink("a", dir.path().join("link")).unwrap();
        assert!(same(&dir.path().join("a/data/x.db"), &dir.path().join("link/data/x.db")));
        assert!(!same(&dir.path().join("a/data/x.db"), &dir.path().join("data/x.db")));
    }
}
