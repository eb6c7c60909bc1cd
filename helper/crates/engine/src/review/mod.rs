//! What the work in an instance comes to: the truth of now against the folder below, not a record of what was done. A
//! file that was changed and changed back is no change. Where there is no folder below, all that there is was added.

mod change;
mod difference;
mod hunks;
mod moves;
mod patch;
mod walk;

use std::path::Path;
use std::sync::Arc;

pub use self::change::{Change, ChangeKind, Side};
pub use self::difference::{Compared, Difference};
use self::moves::Moves;
use self::walk::{Pair, Walk};
use crate::error::{Error, Result};
use crate::files::Files;
use crate::overlay::Overlay;

/// The two layers of an open database, to be compared.
#[derive(Clone)]
pub struct Review {
    files: Arc<Files>,
    overlay: Option<Arc<Overlay>>,
}

/// The changes one after another, in the order of their paths, a folder before what is in it.
pub struct Changes {
    review: Review,
    walk: Walk,
    moves: Moves,
}

impl Review {
    pub(crate) fn new(files: Arc<Files>, overlay: Option<Arc<Overlay>>) -> Self {
        Self { files, overlay }
    }

    /// The folder below, without symbolic links.
    pub fn base(&self) -> Option<&Path> {
        self.overlay.as_deref().map(Overlay::base)
    }

    /// What was moved has to be known before the first change is told, so this looks through all of them once.
    pub fn changes(&self) -> Result<Changes> {
        Ok(Changes { walk: Walk::new(self)?, moves: Moves::find(self)?, review: self.clone() })
    }

    /// Every change, and none of them a rename.
    pub(crate) fn unpaired(&self) -> Result<Vec<Change>> {
        let mut changes = Changes { walk: Walk::new(self)?, moves: Moves::default(), review: self.clone() };
        changes.next(usize::MAX, |_| true)
    }

    /// Nothing where they are alike.
    fn change(&self, pair: &Pair, moves: &Moves) -> Result<Option<Change>> {
        let (before, after) = (pair.before.map(|stat| Side::of(&stat.attr)), pair.after.as_ref().map(Side::of));
        let ino = pair.after.as_ref().filter(|_| !pair.touched).map(|attr| attr.ino);
        let (path, kind) = (pair.path.clone(), ChangeKind::Added);
        let mut change = Change { path, kind, from: None, before, after, diverged: false, ino };
        if let (true, Some(stat), Some(overlay)) = (pair.touched, &pair.before, &self.overlay) {
            change.kind = ChangeKind::Modified { content: false, mode: true };
            change.diverged = overlay.changed_below(&pair.path, stat);
            return Ok(Some(change));
        }
        change.kind = match (&pair.before, &pair.after, before, after) {
            (Some(_), None, ..) => {
                if moves.took(&pair.path) {
                    return Ok(None);
                }
                ChangeKind::Deleted
            }
            (Some(stat), Some(attr), Some(before), Some(after)) if before.kind == after.kind => {
                let mode = !before.same_mode(&after);
                let content = self.differs(attr, &pair.path, stat)?;
                if !mode && !content {
                    return Ok(None);
                }
                ChangeKind::Modified { content, mode }
            }
            (Some(_), Some(_), ..) => ChangeKind::TypeChanged,
            (None, ..) => match (moves.source(&pair.path), after) {
                (Some((from, side)), Some(after)) => {
                    change.from = Some(from.to_owned());
                    change.before = Some(*side);
                    ChangeKind::Renamed { mode: !side.same_mode(&after) }
                }
                _ => ChangeKind::Added,
            },
        };
        if let (Some(attr), Some(overlay), None) = (&pair.after, &self.overlay, &change.from) {
            change.diverged = overlay.diverged(attr.ino, &pair.path, pair.before.as_ref())?;
        }
        Ok(Some(change))
    }

    fn differs(&self, attr: &crate::Attr, path: &Path, stat: &crate::overlay::Stat) -> Result<bool> {
        match &self.overlay {
            Some(overlay) => Ok(!overlay.same_content(attr, path, stat)?),
            None => Ok(false),
        }
    }
}

impl Changes {
    /// Up to `most` of what is next; none at the end. `within`: whether anything at a path or below it is wanted.
    pub fn next(&mut self, most: usize, within: impl Fn(&Path) -> bool) -> Result<Vec<Change>> {
        let mut changes = Vec::new();
        while changes.len() < most {
            // What has moved may be wanted for the path that it had.
            let Some(pair) = self.walk.next(&self.review, |path| within(path) || !self.moves.is_empty())? else {
                break;
            };
            if !within(&pair.path) && !self.moves.source(&pair.path).is_some_and(|(from, _)| within(from)) {
                continue;
            }
            match self.review.change(&pair, &self.moves) {
                Ok(Some(change)) => changes.push(change),
                Ok(None) => {}
                // Gone while it was looked at: the next look finds it so.
                Err(Error::Errno(libc::ENOENT | libc::ESTALE)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(changes)
    }
}
