//! The names of the base that are gone. A name below one that is gone is never listed: upstream's mount asks for
//! each folder on the way, too.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::ops::Bound;
use std::path::{Path, PathBuf};

use super::below;
use crate::error::{Error, Result};
use crate::filesystem::Time;
use crate::store::Store;

#[derive(Debug, Default, Clone)]
pub(super) struct Whiteouts {
    /// By folder, relative to the base. In order, so that a folder stands before all that lie in it.
    gone: BTreeMap<PathBuf, BTreeSet<String>>,
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
        self.folders_from(Bound::Included(path)).next().is_some_and(|folder| folder.starts_with(path))
    }

    /// The names that are gone from a folder, and those of the folders in it that more is gone from, in order.
    pub fn names_in(&self, folder: &Path) -> BTreeSet<OsString> {
        let mut names: BTreeSet<OsString> = self.gone.get(folder).into_iter().flatten().map(Into::into).collect();
        names.extend(below::names_in(folder, |from| self.folders_from(from).next()));
        names
    }

    pub fn is_empty(&self) -> bool {
        self.gone.is_empty()
    }

    fn folders_from<'a>(&'a self, from: Bound<&Path>) -> impl Iterator<Item = &'a PathBuf> + use<'a> {
        self.gone.range::<Path, _>((from, Bound::Unbounded)).map(|(folder, _)| folder)
    }

    /// The change has happened.
    pub fn apply(&mut self, whitening: Whitening) {
        for path in &whitening.remove {
            let below = self.folders_from(Bound::Included(path)).take_while(|folder| folder.starts_with(path));
            for folder in below.cloned().collect::<Vec<_>>() {
                self.gone.remove(&folder);
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_knows_what_is_gone_from_it_and_below() {
        let mut gone = Whiteouts::default();
        for path in ["a/x", "a/b/y", "a/b/c/z", "a.d/e/f", "a!/g", "top"] {
            gone.insert(Path::new(path));
        }
        let names = |folder: &str| gone.names_in(Path::new(folder)).into_iter().collect::<Vec<_>>();
        assert_eq!(names(""), ["a", "a!", "a.d", "top"]);
        assert_eq!(names("a"), ["b", "x"]);
        assert_eq!(names("a/b"), ["c", "y"]);
        assert_eq!(names("a.d"), ["e"]);
        assert!(names("b").is_empty() && gone.any_below(Path::new("a.d")) && !gone.any_below(Path::new("a.")));
        gone.apply(Whitening { add: Vec::new(), remove: vec!["a".into()] });
        let names = |folder: &str| gone.names_in(Path::new(folder)).into_iter().collect::<Vec<_>>();
        assert_eq!(names(""), ["a!", "a.d", "top"]);
        assert!(names("a/b").is_empty());
    }
}
