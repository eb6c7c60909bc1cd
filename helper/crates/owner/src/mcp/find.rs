//! A search, some of it at a time: a tree may be of any size, and a call must end.

use std::path::Path;
use std::time::{Duration, Instant};

use nixbox_control::FileKind;
use nixbox_report::Report;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::answer::Answer;
use super::arguments::{Find, Kind, MOST_ENTRIES};
use super::files::{Entry, at, entry};
use crate::desk::Open;
use crate::failure;
use crate::surfaces::control::search;

/// A call that has not found enough by then tells what it has, and where to go on.
const LONGEST: Duration = Duration::from_secs(5);
/// Looked at between two looks at the clock.
const STRIDE: usize = 2048;

#[derive(Serialize, JsonSchema)]
pub(super) struct FoundPaths {
    /// Paths are those below where the search began
    found: Vec<Entry>,
    /// `after` of the call that goes on; null when all was searched
    next_after: Option<String>,
}

pub(super) fn find(asked: Find, open: &Open) -> Result<Answer, Report> {
    let Find { glob, path, kind, min_size, newer, limit, after } = asked;
    let kind = kind.map(|kind| match kind {
        Kind::File => FileKind::File,
        Kind::Directory => FileKind::Folder,
        Kind::Symlink => FileKind::Link,
    });
    let wanted = search::wanted(&glob, kind, min_size, newer)?;
    let walk = match &after {
        Some(after) => open.files.list_after(path.as_ref(), Path::new(after)),
        None => open.files.list(path.as_ref(), true),
    };
    let mut walk = walk.map_err(at(&path))?;
    let limit = limit.clamp(1, MOST_ENTRIES) as usize;
    let (begun, mut found, mut next_after) = (Instant::now(), Vec::new(), None);
    'search: loop {
        let seen = walk.next(STRIDE, |_| true).map_err(failure::working)?;
        let Some(last) = seen.last() else { break };
        let last = last.path.to_string_lossy().into_owned();
        for one in seen.iter().filter(|one| wanted(one)) {
            found.push(entry(one));
            if found.len() == limit {
                next_after = Some(one.path.to_string_lossy().into_owned());
                break 'search;
            }
        }
        if begun.elapsed() >= LONGEST {
            next_after = Some(last);
            break;
        }
    }
    let note = next_after.as_ref().map(|after| format!("Not all was searched; go on with after = {after:?}"));
    let names: Vec<_> = found.iter().map(|entry| &entry.name).collect();
    let text = serde_json::to_string_pretty(&names).unwrap_or_default();
    let recorded = json!({ "found": found.len() });
    Ok(Answer::new(text, FoundPaths { found, next_after }).note(note).recorded(recorded))
}
