//! The folder a mount goes over: found without touching what may be dead, freed of stale mounts, made where asked for.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nixbox_mounts::mount_at;

use crate::error::{Error, Result};
use crate::stale;

/// As many links as the kernel follows.
const MAX_LINKS: usize = 40;

/// A folder that is ready to be mounted over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mountpoint {
    /// Without symbolic links, as mountinfo will show it.
    pub path: PathBuf,
    /// The folders that had to be made, outermost first.
    pub created: Vec<PathBuf>,
}

impl Mountpoint {
    /// The caller must hold the database: a mount of it that is found here is then known to be dead.
    pub fn prepare(path: &Path, create: bool, database: &Path) -> Result<Self> {
        let path = resolve(path)?;
        stale::clear(&path, database)?;
        let mut point = Self { path, created: Vec::new() };
        match point.check() {
            Err(Error::Missing { .. }) if create => point.make().inspect_err(|_| point.remove_created())?,
            other => other?,
        }
        Ok(point)
    }

    /// Takes away again the folders that were made, as far as they are empty.
    pub fn remove_created(&self) {
        for folder in self.created.iter().rev() {
            if fs::remove_dir(folder).is_err() {
                break;
            }
        }
    }

    fn check(&self) -> Result<()> {
        let path = self.path.clone();
        match fs::metadata(&path) {
            Ok(meta) if !meta.is_dir() => Err(Error::NotAFolder { path }),
            Ok(_) => match fs::read_dir(&path).map_err(Error::at(&self.path))?.next() {
                Some(_) => Err(Error::NotEmpty { path }),
                None => Ok(()),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Error::Missing { path }),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => Err(Error::NotAFolder { path }),
            Err(source) => Err(Error::Mountpoint { path, source }),
        }
    }

    fn make(&mut self) -> Result<()> {
        let missing: Vec<_> = self.path.ancestors().take_while(|dir| fs::symlink_metadata(dir).is_err()).collect();
        for dir in missing.into_iter().rev() {
            match fs::create_dir(dir) {
                Ok(()) => self.created.push(dir.to_owned()),
                // Another instance makes a folder that both lie in.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(Error::Mountpoint { path: dir.to_owned(), source }),
            }
        }
        self.check()
    }
}

/// The path without symbolic links. The last part is looked up in mountinfo before it is touched: a stat of the
/// root of a dead mount fails, and one of a mount that hangs never comes back.
fn resolve(path: &Path) -> Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(path) };
        let full = canonical(parent)?.join(name);
        if mount_at(&full).map_err(Error::at(&full))?.is_some() {
            return Ok(full);
        }
        match fs::read_link(&full) {
            // A relative target counts from the link's folder, an absolute one replaces it.
            Ok(target) => path = full.parent().unwrap_or(Path::new("/")).join(target),
            Err(_) => return Ok(full),
        }
    }
    Err(Error::Mountpoint { path, source: nix::errno::Errno::ELOOP.into() })
}

/// Of a folder that may not exist yet.
fn canonical(dir: &Path) -> Result<PathBuf> {
    match fs::canonicalize(dir) {
        Ok(path) => Ok(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match (dir.parent(), dir.file_name()) {
            (Some(parent), Some(name)) => Ok(canonical(parent)?.join(name)),
            _ => Err(Error::at(dir)(error)),
        },
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Err(Error::NotAFolder { path: dir.to_owned() }),
        Err(error) => Err(Error::at(dir)(error)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn prepare(path: &Path, create: bool) -> Result<Mountpoint> {
        Mountpoint::prepare(path, create, Path::new("/no/such.db"))
    }

    #[test]
    fn makes_what_is_missing_and_takes_only_that_away() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let point = prepare(&root.join("a/b"), true).unwrap();
        assert_eq!(point.created, [root.join("a"), root.join("a/b")]);
        point.remove_created();
        assert!(root.exists() && !root.join("a").exists());
    }

    #[test]
    fn a_folder_that_got_a_neighbour_stays() {
        let dir = tempfile::tempdir().unwrap();
        let point = prepare(&dir.path().join("a/b"), true).unwrap();
        fs::write(dir.path().join("a/other"), "").unwrap();
        point.remove_created();
        assert!(!dir.path().join("a/b").exists() && dir.path().join("a/other").exists());
    }

    #[test]
    fn each_unfit_place_has_its_own_error() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::write(root.join("file"), "").unwrap();
        assert!(matches!(prepare(root, true), Err(Error::NotEmpty { .. })));
        assert!(matches!(prepare(&root.join("file"), true), Err(Error::NotAFolder { .. })));
        assert!(matches!(prepare(&root.join("file/below"), true), Err(Error::NotAFolder { .. })));
        assert!(matches!(prepare(&root.join("none"), false), Err(Error::Missing { .. })));
        assert!(matches!(prepare(Path::new("/proc"), false), Err(Error::Busy { .. })));
        assert!(!root.join("none").exists());
    }

    #[test]
    fn a_link_leads_to_the_folder_behind_it() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::create_dir(root.join("real")).unwrap();
        std::os::unix::fs::symlink("real", root.join("link")).unwrap();
        assert_eq!(prepare(&root.join("link"), false).unwrap().path, root.join("real"));
        std::os::unix::fs::symlink("loop", root.join("loop")).unwrap();
        assert!(matches!(prepare(&root.join("loop"), false), Err(Error::Mountpoint { .. })));
    }
}
