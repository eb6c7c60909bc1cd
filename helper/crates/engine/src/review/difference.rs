//! What is in a changed file: both contents, as far as they are to be held in memory.

use std::os::unix::fs::FileExt;
use std::path::Path;

use super::hunks::{Lines, is_binary};
use super::{Change, ChangeKind, Review, Side, patch};
use crate::error::{Error, Result};
use crate::filesystem::{FileSystem, Ino, Kind};

/// A file that is larger is not compared by lines.
const MAX_TEXT: u64 = 4 << 20;

/// A change, looked into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub change: Change,
    pub content: Compared,
    /// As `git apply` takes it. Empty where it was not asked for, and for folders.
    pub patch: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compared {
    /// Of text: how many lines came and went.
    Lines {
        added: u64,
        removed: u64,
    },
    /// There is none, or it is the same.
    Nothing,
    Binary,
    TooLarge,
}

/// Both contents of one change.
pub(super) struct Contents {
    pub old: Vec<u8>,
    pub new: Vec<u8>,
}

impl Review {
    /// What came of it, and, where `wants_patch`, the patch that does it.
    pub fn difference(&self, change: Change, wants_patch: bool) -> Result<Difference> {
        let mut patch = Vec::new();
        let content = match change.kind {
            // Two things in one place: the one goes, then the other comes.
            ChangeKind::TypeChanged => {
                let one = |before, after| Change { before, after, ..change.clone() };
                let gone = self.look(&one(change.before, None), wants_patch, &mut patch)?;
                let come = self.look(&one(None, change.after), wants_patch, &mut patch)?;
                gone.and(come)
            }
            _ => self.look(&change, wants_patch, &mut patch)?,
        };
        Ok(Difference { change, content, patch })
    }

    fn look(&self, change: &Change, wants_patch: bool, patch: &mut Vec<u8>) -> Result<Compared> {
        let has_text = |side: Option<Side>| side.is_some_and(|side| matches!(side.kind, Kind::File | Kind::Symlink));
        let same = matches!(change.kind, ChangeKind::Renamed { .. } | ChangeKind::Modified { content: false, .. });
        let (compared, contents) = if same || !(has_text(change.before) || has_text(change.after)) {
            (Compared::Nothing, None)
        } else if [change.before, change.after].iter().flatten().any(|side| side.size > MAX_TEXT) {
            (Compared::TooLarge, None)
        } else {
            let contents = self.contents(change)?;
            match is_binary(&contents.old) || is_binary(&contents.new) {
                true => (Compared::Binary, None),
                false => (Compared::Nothing, Some(contents)),
            }
        };
        let lines = contents.as_ref().map(|contents| Lines::compare(&contents.old, &contents.new));
        let compared = lines.as_ref().map(Lines::counts).map_or(compared, |(added, removed)| {
            if (added, removed) == (0, 0) { compared } else { Compared::Lines { added, removed } }
        });
        if wants_patch {
            patch::write(change, compared, lines, patch);
        }
        Ok(compared)
    }

    /// No more than may be compared, should a file have grown meanwhile.
    fn contents(&self, change: &Change) -> Result<Contents> {
        let old = match change.before {
            Some(side) => self.before(&change.path, side.kind)?,
            None => Vec::new(),
        };
        let new = match (change.after, change.ino) {
            (Some(side), Some(ino)) => self.after(ino, side.kind)?,
            _ => Vec::new(),
        };
        Ok(Contents { old, new })
    }

    fn before(&self, path: &Path, kind: Kind) -> Result<Vec<u8>> {
        let overlay = self.overlay.as_ref().ok_or(Error::Errno(libc::ENOENT))?;
        match kind {
            Kind::Symlink => Ok(overlay.base_link(path)?.into_encoded_bytes()),
            Kind::File => {
                let file = overlay.base_file(path)?;
                let mut content = vec![0; file.metadata()?.len().min(MAX_TEXT) as usize];
                let mut filled = 0;
                while filled < content.len() {
                    match file.read_at(&mut content[filled..], filled as u64)? {
                        0 => break,
                        read => filled += read,
                    }
                }
                content.truncate(filled);
                Ok(content)
            }
            _ => Ok(Vec::new()),
        }
    }

    fn after(&self, ino: Ino, kind: Kind) -> Result<Vec<u8>> {
        match kind {
            Kind::Symlink => Ok(self.files.readlink(ino)?.into_encoded_bytes()),
            Kind::File => self.files.read(ino, 0, MAX_TEXT as u32),
            _ => Ok(Vec::new()),
        }
    }
}

impl Compared {
    /// Of two that happen in one place.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, one) | (one, Self::Nothing) => one,
            (Self::Lines { added: a, removed: r }, Self::Lines { added, removed }) => {
                Self::Lines { added: a + added, removed: r + removed }
            }
            (Self::TooLarge, _) | (_, Self::TooLarge) => Self::TooLarge,
            _ => Self::Binary,
        }
    }
}
