//! Folders, and all below them that matters, watched through the kernel. What does not matter is not watched either:
//! the number of watches is the user's, for all programs.
//!
//! Not by `notify`, as elsewhere: that has the kernel tell of every file that is opened, and whoever follows a source
//! tree would be woken by everybody who reads in it.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use nixbox_config::Patterns;

/// A folder, what matters in it, and what of that does not.
#[derive(Debug, Clone)]
pub struct Place {
    pub root: PathBuf,
    /// Files and folders, relative to it; the empty path is all of it.
    pub paths: Vec<PathBuf>,
    pub ignore: Patterns,
    /// Folders that are not looked into, such as mounts, which may be dead.
    pub hidden: Vec<PathBuf>,
}

impl Place {
    pub fn matters(&self, path: &Path) -> bool {
        self.paths.iter().any(|wanted| path.starts_with(wanted)) && !self.is_ignored(path)
    }

    /// Something that matters lies in it, or may come to lie in it.
    fn leads_on(&self, folder: &Path) -> bool {
        let leads = |wanted: &PathBuf| wanted.starts_with(folder) || folder.starts_with(wanted);
        self.paths.iter().any(leads) && !self.is_ignored(folder)
    }

    fn is_ignored(&self, path: &Path) -> bool {
        self.ignore.mean(path) || self.hidden.iter().any(|hidden| self.root.join(path).starts_with(hidden))
    }
}

#[derive(Debug)]
pub struct Tree {
    inotify: Inotify,
    places: Vec<Place>,
    /// Which folder of which place.
    folders: HashMap<WatchDescriptor, (usize, PathBuf)>,
}

const EVENTS: AddWatchFlags = AddWatchFlags::IN_CREATE
    .union(AddWatchFlags::IN_MODIFY)
    .union(AddWatchFlags::IN_ATTRIB)
    .union(AddWatchFlags::IN_DELETE)
    .union(AddWatchFlags::IN_MOVED_FROM)
    .union(AddWatchFlags::IN_MOVED_TO)
    .union(AddWatchFlags::IN_ONLYDIR)
    .union(AddWatchFlags::IN_DONT_FOLLOW);

impl Tree {
    /// Also answers why it does not see everything, where it does not.
    pub fn watch(places: Vec<Place>) -> io::Result<(Self, Option<Errno>)> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        let mut tree = Self { inotify, places, folders: HashMap::new() };
        let full = (0..tree.places.len()).filter_map(|at| tree.add(at, Path::new(""), &mut Vec::new()).err()).next();
        Ok((tree, full))
    }

    /// A folder and what leads on in it. `found`: what is there and matters.
    fn add(&mut self, at: usize, folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), Errno> {
        let mut next = vec![folder.to_owned()];
        while let Some(folder) = next.pop() {
            let place = &self.places[at];
            let path = place.root.join(&folder);
            // Before it is looked into: what comes later is told of.
            match self.inotify.add_watch(&path, EVENTS) {
                Ok(watch) => drop(self.folders.insert(watch, (at, folder.clone()))),
                Err(full @ (Errno::ENOSPC | Errno::ENOMEM)) => return Err(full),
                // Gone again, or nothing that this user may look into.
                Err(_) => continue,
            }
            for entry in fs::read_dir(&path).into_iter().flatten().flatten() {
                let inside = folder.join(entry.file_name());
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) && place.leads_on(&inside) {
                    next.push(inside.clone());
                }
                if place.matters(&inside) {
                    found.push(inside);
                }
            }
        }
        Ok(())
    }

    /// What has changed since it was asked last, and matters.
    pub fn changed(&mut self) -> io::Result<(Vec<PathBuf>, Option<Errno>)> {
        let (mut changed, mut full) = (Vec::new(), None);
        loop {
            let events = match self.inotify.read_events() {
                Ok(events) => events,
                Err(Errno::EAGAIN) => return Ok((changed, full)),
                Err(Errno::EINTR) => continue,
                Err(errno) => return Err(errno.into()),
            };
            for event in events {
                if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
                    for at in 0..self.places.len() {
                        full = full.or(self.add(at, Path::new(""), &mut changed).err());
                    }
                    continue;
                }
                if event.mask.contains(AddWatchFlags::IN_IGNORED) {
                    self.folders.remove(&event.wd);
                    continue;
                }
                let (Some((at, folder)), Some(name)) = (self.folders.get(&event.wd), event.name) else { continue };
                let (at, path) = (*at, folder.join(name));
                if event.mask.contains(AddWatchFlags::IN_ISDIR) {
                    if event.mask.contains(AddWatchFlags::IN_MOVED_FROM) {
                        self.forget(at, &path);
                    }
                    let came = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO;
                    if event.mask.intersects(came) && self.places[at].leads_on(&path) {
                        full = full.or(self.add(at, &path, &mut changed).err());
                    }
                }
                if self.places[at].matters(&path) {
                    changed.push(path);
                }
            }
        }
    }

    /// In any of its places.
    pub fn has(&self, path: &Path) -> bool {
        self.places.iter().any(|place| place.root.join(path).symlink_metadata().is_ok())
    }

    /// It has another name now, or lies elsewhere.
    fn forget(&mut self, at: usize, folder: &Path) {
        let gone = self.folders.iter().filter(|(_, (of, path))| *of == at && path.starts_with(folder));
        for watch in gone.map(|(watch, _)| *watch).collect::<Vec<_>>() {
            self.folders.remove(&watch);
            let _ = self.inotify.rm_watch(watch);
        }
    }
}

impl AsFd for Tree {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn place(root: &Path, paths: &[&str], ignore: &[&str]) -> Place {
        let ignore: Vec<_> = ignore.iter().map(|&one| one.to_owned()).collect();
        let paths = paths.iter().map(PathBuf::from).collect();
        Place { root: root.to_owned(), paths, ignore: Patterns::new(&ignore), hidden: vec![root.join("hidden")] }
    }

    fn changed(tree: &mut Tree) -> Vec<String> {
        let mut names: Vec<_> = tree.changed().unwrap().0.iter().map(|path| path.display().to_string()).collect();
        names.sort();
        names.dedup();
        names
    }

    #[test]
    fn what_matters_is_seen_wherever_it_comes_to_be() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for folder in ["src/deep", "target", "hidden"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        let (mut tree, full) = Tree::watch(vec![place(root, &[""], &["target/", "*.log"])]).unwrap();
        assert_eq!((full, changed(&mut tree)), (None, vec![]));
        for file in ["src/deep/a", "target/b", "hidden/c", "x.log", "top"] {
            fs::write(root.join(file), "1").unwrap();
        }
        assert_eq!(changed(&mut tree), ["src/deep/a", "top"]);
        // Read, it has not changed.
        fs::read(root.join("top")).unwrap();
        assert_eq!(changed(&mut tree), [""; 0]);
        // Also what was in it before it could be watched, and what comes later.
        fs::create_dir_all(root.join("new/er")).unwrap();
        fs::write(root.join("new/er/a"), "1").unwrap();
        assert!(changed(&mut tree).contains(&"new/er/a".to_owned()));
        fs::rename(root.join("new"), root.join("other")).unwrap();
        changed(&mut tree);
        fs::write(root.join("other/er/b"), "1").unwrap();
        assert_eq!(changed(&mut tree), ["other/er/b"]);
        fs::write(root.join("src/.new"), "1").unwrap();
        fs::rename(root.join("src/.new"), root.join("src/deep/a")).unwrap();
        assert_eq!(changed(&mut tree), ["src/.new", "src/deep/a"]);
    }

    #[test]
    fn one_file_is_watched_where_it_is_to_be() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let (mut tree, _) = Tree::watch(vec![place(root, &["conf/app.toml"], &[])]).unwrap();
        fs::create_dir(root.join("conf")).unwrap();
        assert_eq!(changed(&mut tree), [""; 0]);
        fs::write(root.join("conf/other"), "1").unwrap();
        assert_eq!(changed(&mut tree), [""; 0]);
        fs::write(root.join("conf/app.toml"), "1").unwrap();
        assert_eq!(changed(&mut tree), ["conf/app.toml"]);
    }
}
