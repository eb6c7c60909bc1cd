//! Looking at what an instance comes to against its base, for whoever asks: verbs and tools get the same.

mod paths;
mod told;

use std::path::{Path, PathBuf};

use nixbox_control::{Change, Difference, Name};
use nixbox_engine::{Changes, Review};
use nixbox_report::Report;

use self::paths::Paths;
use crate::desk::Open;
use crate::failure;

/// The changes one after another, in the order of their paths.
pub(crate) struct Looking {
    review: Review,
    changes: Changes,
    paths: Paths,
    /// Where an earlier look ended.
    behind: Option<PathBuf>,
}

impl Looking {
    /// `paths`: files, folders and patterns; none means all. Looks for what was moved, so it may take a while.
    pub(crate) fn begin(open: &Open, paths: &[Name]) -> Result<Self, Report> {
        let paths = Paths::new(paths)?;
        open.files.settle();
        let changes = open.review.changes().map_err(failure::working)?;
        Ok(Self { review: open.review.clone(), changes, paths, behind: None })
    }

    /// Only what comes after `path`.
    pub(crate) fn behind(self, path: &str) -> Self {
        Self { behind: Some(Path::new("/").join(path)), ..self }
    }

    /// Up to `most`, and at least one unless this is the end.
    pub(crate) fn changes(&mut self, most: usize) -> Result<Vec<Change>, Report> {
        Ok(self.wanted(most)?.into_iter().map(told::change).collect())
    }

    /// The next one, looked into; none at the end. `patch`: with what is in it.
    pub(crate) fn difference(&mut self, patch: bool) -> Result<Option<Difference>, Report> {
        let Some(change) = self.wanted(1)?.pop() else { return Ok(None) };
        let found = self.review.difference(change, patch).map_err(failure::working)?;
        Ok(Some(told::difference(found, patch)))
    }

    fn wanted(&mut self, most: usize) -> Result<Vec<nixbox_engine::Change>, Report> {
        let Self { changes, paths, behind, .. } = self;
        let mut wanted = Vec::new();
        while wanted.len() < most {
            let next = changes.next(most - wanted.len(), |path| paths.may_hold(path)).map_err(failure::working)?;
            if next.is_empty() {
                break;
            }
            let is_wanted = |change: &nixbox_engine::Change| {
                behind.as_ref().is_none_or(|behind| Path::new("/").join(&change.path) > *behind)
                    && (paths.are(&change.path) || change.from.as_ref().is_some_and(|from| paths.are(from)))
            };
            wanted.extend(next.into_iter().filter(is_wanted));
        }
        Ok(wanted)
    }
}
