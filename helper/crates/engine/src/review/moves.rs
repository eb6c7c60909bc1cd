//! What was moved: the same content gone from one path and come to another. Empty files are all alike, so one of
//! those has moved only together with its folder.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::Review;
use super::change::Side;
use super::walk::{Pair, Walk};
use crate::error::{Error, Result};
use crate::filesystem::{FileSystem, Ino, Kind};

#[derive(Debug, Default)]
pub(super) struct Moves {
    /// By where it is: where it was, and what.
    sources: HashMap<PathBuf, (PathBuf, Side)>,
    taken: HashSet<PathBuf>,
}

type Gone = BTreeMap<PathBuf, Side>;
type Come = BTreeMap<PathBuf, (Side, Ino)>;

const PIECE: u32 = 256 * 1024;

impl Moves {
    pub fn find(review: &Review) -> Result<Self> {
        let mut moves = Self::default();
        if !review.overlay.as_ref().is_some_and(|overlay| overlay.hides_any_of_base()) {
            return Ok(moves);
        }
        let (mut gone, mut come) = (Gone::new(), Come::new());
        let mut walk = Walk::new(review)?;
        while let Some(Pair { path, before, after, .. }) = walk.next(review, |_| true)? {
            match (before, after) {
                (Some(stat), None) => drop(gone.insert(path, Side::of(&stat.attr))),
                (None, Some(attr)) => drop(come.insert(path, (Side::of(&attr), attr.ino))),
                _ => {}
            }
        }
        moves.files(review, &gone, &come)?;
        moves.folders(&gone, &come);
        Ok(moves)
    }

    pub fn is_empty(&self) -> bool {
        self.taken.is_empty()
    }

    pub fn source(&self, path: &Path) -> Option<&(PathBuf, Side)> {
        self.sources.get(path)
    }

    /// Whether what was at this path is to be found at another.
    pub fn took(&self, path: &Path) -> bool {
        self.taken.contains(path)
    }

    fn pair(&mut self, from: &Path, side: Side, to: &Path) {
        self.sources.insert(to.to_owned(), (from.to_owned(), side));
        self.taken.insert(from.to_owned());
    }

    /// Only what has a possible partner is read.
    fn files(&mut self, review: &Review, gone: &Gone, come: &Come) -> Result<()> {
        let shape = |side: &Side| match side.kind {
            Kind::File | Kind::Symlink if side.size > 0 => Some((side.kind, side.size)),
            _ => None,
        };
        let sizes: HashSet<_> = gone.values().filter_map(shape).collect();
        let mut come_by_shape: HashMap<_, Vec<(&PathBuf, Ino)>> = HashMap::new();
        for (path, (side, ino)) in come {
            if let Some(shape) = shape(side).filter(|shape| sizes.contains(shape)) {
                come_by_shape.entry(shape).or_default().push((path, *ino));
            }
        }
        let mut from = Vec::new();
        for (path, side) in gone {
            if shape(side).is_some_and(|shape| come_by_shape.contains_key(&shape))
                && let Some(hash) = settled(review.hash_before(path, side.kind))?
            {
                from.push((path, *side, hash));
            }
        }
        let mut to: BTreeMap<&PathBuf, blake3::Hash> = BTreeMap::new();
        for ((kind, _), paths) in &come_by_shape {
            for (path, ino) in paths {
                if let Some(hash) = settled(review.hash_after(*ino, *kind))? {
                    to.insert(path, hash);
                }
            }
        }
        // Of several that are alike, those of one name belong together, then each in its turn.
        for same_name in [true, false] {
            let key = |path: &PathBuf, hash| (hash, path.file_name().filter(|_| same_name).map(OsStr::to_owned));
            let mut waiting: HashMap<_, VecDeque<_>> = HashMap::new();
            for (path, side, hash) in from.iter().filter(|(path, ..)| !self.taken.contains(*path)) {
                waiting.entry(key(path, *hash)).or_default().push_back((*path, *side));
            }
            for (path, hash) in &to {
                if !self.sources.contains_key(*path)
                    && let Some((from, side)) = waiting.get_mut(&key(path, *hash)).and_then(VecDeque::pop_front)
                {
                    self.pair(from, side, path);
                }
            }
        }
        Ok(())
    }

    /// A folder was moved where all that was in it was, to the same names. Innermost first: those above need to know.
    fn folders(&mut self, gone: &Gone, come: &Come) {
        let in_gone = by_folder(gone.iter().map(|(path, side)| (path, *side)));
        let in_come = by_folder(come.iter().map(|(path, (side, _))| (path, *side)));
        for (to, _) in come.iter().rev().filter(|(_, (side, _))| side.kind == Kind::Directory) {
            let Some(now) = in_come.get(to.as_path()) else { continue };
            let Some(from) = self.origin_of(to, now) else { continue };
            let was = in_gone.get(from.as_path());
            let all = was.is_some_and(|was| {
                was.len() == now.len()
                    && now.iter().all(|(name, side)| {
                        let came_from = self.sources.get(&to.join(name)).map(|(from, _)| from);
                        let empty = |side: &Side| side.kind == Kind::File && side.size == 0;
                        was.get(name).is_some_and(|old| {
                            old.kind == side.kind
                                && (came_from == Some(&from.join(name)) || (empty(old) && empty(side)))
                        })
                    })
            });
            if let (true, Some(old), Some(was)) = (all, gone.get(&from), was) {
                for (name, old) in was.iter().filter(|(_, old)| old.kind == Kind::File && old.size == 0) {
                    self.pair(&from.join(name), *old, &to.join(name));
                }
                self.pair(&from, *old, to);
            }
        }
    }

    /// The folder that the first entry of `to` that is known to have moved was in, if it has that no more.
    fn origin_of(&self, to: &Path, entries: &BTreeMap<OsString, Side>) -> Option<PathBuf> {
        let (from, _) = entries.keys().find_map(|name| self.sources.get(&to.join(name)))?;
        let from = from.parent()?;
        (!from.as_os_str().is_empty() && !self.taken.contains(from)).then(|| from.to_owned())
    }
}

fn by_folder<'a>(entries: impl Iterator<Item = (&'a PathBuf, Side)>) -> HashMap<&'a Path, BTreeMap<OsString, Side>> {
    let mut folders: HashMap<&Path, BTreeMap<OsString, Side>> = HashMap::new();
    for (path, side) in entries {
        if let (Some(folder), Some(name)) = (path.parent(), path.file_name()) {
            folders.entry(folder).or_default().insert(name.to_owned(), side);
        }
    }
    folders
}

/// What is gone meanwhile has no partner.
fn settled<T>(answer: Result<T>) -> Result<Option<T>> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(Error::Errno(libc::ENOENT | libc::ESTALE | libc::EACCES)) => Ok(None),
        Err(error) => Err(error),
    }
}

impl Review {
    fn hash_before(&self, path: &Path, kind: Kind) -> Result<blake3::Hash> {
        let overlay = self.overlay.as_ref().ok_or(Error::Errno(libc::ENOENT))?;
        match kind {
            Kind::Symlink => Ok(blake3::hash(overlay.base_link(path)?.as_encoded_bytes())),
            _ => overlay.hash_of_base(path),
        }
    }

    fn hash_after(&self, ino: Ino, kind: Kind) -> Result<blake3::Hash> {
        if kind == Kind::Symlink {
            return Ok(blake3::hash(self.files.readlink(ino)?.as_encoded_bytes()));
        }
        let (mut hasher, mut offset) = (blake3::Hasher::new(), 0);
        loop {
            let piece = self.files.read(ino, offset, PIECE)?;
            if piece.is_empty() {
                return Ok(hasher.finalize());
            }
            hasher.update(&piece);
            offset += piece.len() as u64;
        }
    }
}
