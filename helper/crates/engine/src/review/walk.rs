//! Through both layers at once, in the order of paths, a folder before what is in it. What is kept of it is the way
//! from the root to where it is.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::Review;
use crate::error::Result;
use crate::filesystem::{Attr, Entry, Kind, ROOT};
use crate::overlay::{Differs, Shares, Stat};

/// An entry that differs, or may.
#[derive(Debug, Clone)]
pub(super) struct Pair {
    pub path: PathBuf,
    pub before: Option<Stat>,
    /// With the database's own number.
    pub after: Option<Attr>,
    /// Its content is the base's, and only its mode or owner is another.
    pub touched: bool,
}

pub(super) struct Walk {
    /// The folders we are in, innermost last.
    inside: Vec<Folder>,
}

struct Folder {
    path: PathBuf,
    shares: Shares,
    entries: std::vec::IntoIter<(OsString, Differs)>,
}

/// The base has nothing there, or nothing that still shows.
const NOTHING_BELOW: Shares = Shares { delta: None, base: false, shows: false };

impl Walk {
    pub fn new(review: &Review) -> Result<Self> {
        let mut walk = Self { inside: Vec::new() };
        let base = review.overlay.is_some();
        walk.enter(review, PathBuf::new(), Shares { delta: Some(ROOT), base, shows: base })?;
        Ok(walk)
    }

    fn enter(&mut self, review: &Review, path: PathBuf, shares: Shares) -> Result<()> {
        let entries = review.differing(&path, shares)?.into_iter();
        self.inside.push(Folder { path, shares, entries });
        Ok(())
    }

    /// `enters`: whether anything below a folder is wanted.
    pub fn next(&mut self, review: &Review, enters: impl Fn(&Path) -> bool) -> Result<Option<Pair>> {
        while let Some(folder) = self.inside.last_mut() {
            let Some((name, entry)) = folder.entries.next() else {
                self.inside.pop();
                continue;
            };
            let (path, above) = (folder.path.join(name), folder.shares);
            let is_folder = |stat: &Stat| stat.id.kind == Kind::Directory;
            let (pair, below) = match entry {
                Differs::Within => (None, Some(Shares { delta: None, base: true, shows: true })),
                Differs::Gone(stat) => {
                    let below = is_folder(&stat).then_some(Shares { base: true, ..NOTHING_BELOW });
                    (Some(Pair { path: path.clone(), before: Some(stat), after: None, touched: false }), below)
                }
                Differs::Touched { attr, below: stat } => {
                    let below = is_folder(&stat).then_some(Shares { delta: None, base: true, shows: true });
                    (Some(Pair { path: path.clone(), before: Some(stat), after: Some(attr), touched: true }), below)
                }
                Differs::Here { attr, below: stat } => {
                    let was_folder = stat.as_ref().is_some_and(is_folder);
                    let below = if attr.kind == Kind::Directory {
                        let shows = above.shows && was_folder && !review.is_opaque(attr.ino);
                        Some(Shares { delta: Some(attr.ino), base: was_folder, shows })
                    } else {
                        was_folder.then_some(Shares { base: true, ..NOTHING_BELOW })
                    };
                    (Some(Pair { path: path.clone(), before: stat, after: Some(attr), touched: false }), below)
                }
            };
            if let Some(shares) = below
                && enters(&path)
            {
                self.enter(review, path, shares)?;
            }
            if pair.is_some() {
                return Ok(pair);
            }
        }
        Ok(None)
    }
}

impl Review {
    fn is_opaque(&self, folder: u64) -> bool {
        self.overlay.as_ref().is_some_and(|overlay| overlay.is_opaque(folder))
    }

    fn differing(&self, path: &Path, shares: Shares) -> Result<Vec<(OsString, Differs)>> {
        if let Some(overlay) = &self.overlay {
            return overlay.differing(path, shares);
        }
        let Some(folder) = shares.delta else { return Ok(Vec::new()) };
        let entries = self.files.read_tree(|tree| tree.entries(folder))?;
        let mut found: Vec<_> =
            entries.into_iter().map(|Entry { name, attr }| (name, Differs::Here { attr, below: None })).collect();
        found.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        Ok(found)
    }
}
