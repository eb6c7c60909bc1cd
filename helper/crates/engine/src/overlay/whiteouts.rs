//! The names of the base that are gone. A name below one that is gone is never listed: upstream's mount asks for
//! each folder on the way, too.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::filesystem::Time;
use crate::store::Store;

#[derive(Debug, Default, Clone)]
pub(super) struct Whiteouts {
    /// By folder, relative to the base.
    gone: HashMap<PathBuf, HashSet<String>>,
}

/// What a change does to them, first in the database and then, when it has happened, here.
#[derive(Debug, Default)]
pub(super) struct Whitening {
    add: Vec<PathBuf>,
    /// With everything below.
    remove: Vec<PathBuf>,
}

impl Whiteouts {
    pub fn insert(&mut self, path: &Path) {
        if let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) {
            self.gone.entry(folder.to_owned()).or_default().insert(name.to_owned());
        }
    }

    pub fn contains(&self, path: &Path) -> bool {
        match (path.parent(), path.file_name().and_then(|name| name.to_str())) {
            (Some(folder), Some(name)) => self.gone.get(folder).is_some_and(|names| names.contains(name)),
            _ => false,
        }
    }

    pub fn any_below(&self, path: &Path) -> bool {
        self.gone.keys().any(|folder| folder.starts_with(path))
    }

    /// The change has happened.
    pub fn apply(&mut self, whitening: Whitening) {
        for path in &whitening.remove {
            self.gone.retain(|folder, _| !folder.starts_with(path));
            if let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str()))
                && let Some(names) = self.gone.get_mut(folder)
            {
                names.remove(name);
                if names.is_empty() {
                    self.gone.remove(folder);
                }
            }
        }
        for path in &whitening.add {
            self.insert(path);
        }
    }
}

impl Whitening {
    /// `path` is gone, and needs no word about what was gone below it.
    pub fn add(&mut self, store: &mut dyn Store, whiteouts: &Whiteouts, path: &Path) -> Result<()> {
        self.remove(store, whiteouts, path)?;
        let key = key(path)?;
        let parent = match key.rsplit_once('/') {
            Some(("", _)) | None => "/",
            Some((parent, _)) => parent,
        };
        store.execute(
            "INSERT OR REPLACE INTO fs_whiteout (path, parent_path, created_at) VALUES (?, ?, ?)",
            &[key.as_str().into(), parent.into(), Time::now().sec.into()],
        )?;
        self.add.push(path.to_owned());
        Ok(())
    }

    pub fn remove(&mut self, store: &mut dyn Store, whiteouts: &Whiteouts, path: &Path) -> Result<()> {
        if whiteouts.contains(path) || whiteouts.any_below(path) {
            let key = key(path)?;
            // Every path below begins with the slash, and `0` is the character that follows it.
            store.execute(
                "DELETE FROM fs_whiteout WHERE path = ?1 OR (path > ?1 || '/' AND path < ?1 || '0')",
                &[key.as_str().into()],
            )?;
            self.remove.push(path.to_owned());
        }
        Ok(())
    }
}

/// As the tables name it: from the top, with a slash.
pub(super) fn key(path: &Path) -> Result<String> {
    let path = path.to_str().ok_or(Error::Errno(libc::EILSEQ))?;
    Ok(format!("/{path}"))
}
