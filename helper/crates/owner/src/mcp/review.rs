//! What the instance comes to against the folder that it lies over, in the words of the verbs `status` and `diff`.

use nixbox_control::{Change, ChangeKind, Compared, Difference, Name};
use nixbox_report::Report;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::answer::Answer;
use super::arguments::{self, MOST_ENTRIES};
use crate::desk::Open;
use crate::review::Looking;

/// Changes that are looked at in one go.
const STRIDE: usize = 256;
const IN_PLACE: &str = "The instance writes to its base itself: what is done there is done, and nothing is kept apart.";

#[derive(Serialize, JsonSchema)]
pub(super) struct Status {
    changes: Vec<Told>,
    /// `after` of the call that goes on; null when these were the last
    next_after: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Differences {
    files: Vec<Looked>,
    /// `after` of the call that goes on; null when these were the last
    next_after: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
struct Told {
    /// Where it is, or was where it is gone
    path: String,
    /// `added`, `modified`, `deleted`, `renamed` or `type-changed`
    kind: &'static str,
    /// Where it was, if it was renamed
    from: Option<String>,
    /// Whether what is in it is another, of a file that was there before
    content: bool,
    /// Whether its permissions or its owner are
    mode: bool,
    /// The file of the folder below is no longer what it was when it was first written to here
    diverged: bool,
    size_before: Option<u64>,
    size_after: Option<u64>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
struct Looked {
    #[serde(flatten)]
    change: Told,
    /// Lines that came; null for what is not compared by lines
    added: Option<u64>,
    /// Lines that went
    removed: Option<u64>,
}

pub(super) fn status(asked: arguments::Status, open: &Open) -> Result<Answer, Report> {
    let limit = asked.limit.clamp(1, MOST_ENTRIES) as usize;
    let mut looking = look(&asked.paths, asked.after.as_deref(), open)?;
    let mut changes = Vec::new();
    // One more than is told: whether this was all.
    while changes.len() <= limit {
        let next = looking.changes(STRIDE.min(limit + 1 - changes.len()))?;
        if next.is_empty() {
            break;
        }
        changes.extend(next.into_iter().map(told));
    }
    let more = changes.len() > limit;
    changes.truncate(limit);
    let next_after = changes.last().filter(|_| more).map(|change| change.path.clone());
    let text = said(changes.iter().map(line).collect::<Vec<_>>().join("\n"), "Nothing has changed", open);
    let recorded = json!({ "changes": changes.len() });
    let note = go_on(next_after.as_deref());
    Ok(Answer::new(text, Status { changes, next_after }).note(note).recorded(recorded))
}

pub(super) fn diff(asked: arguments::Diff, open: &Open) -> Result<Answer, Report> {
    let limit = asked.limit.clamp(1024, arguments::Diff::MOST) as usize;
    let mut looking = look(&asked.paths, asked.after.as_deref(), open)?;
    let (mut text, mut files, mut next_after, mut note) = (String::new(), Vec::new(), None, None);
    while let Some(Difference { change, compared, patch }) = looking.difference(true)? {
        let patch = patch.as_ref().map(|patch| patch.as_os_str().to_string_lossy()).unwrap_or_default();
        let (is_first, fits) = (files.is_empty(), text.len() + patch.len() <= limit && files.len() < MOST);
        if !fits && !is_first {
            next_after = files.last().map(|Looked { change, .. }| change.path.clone());
            note = go_on(next_after.as_deref());
            break;
        }
        let told = told(change);
        // One that is longer than all there is room for is cut, or it would never be seen at all.
        text.push_str(if fits { &patch } else { whole_lines(&patch, limit) });
        let (added, removed) = match compared {
            Compared::Lines { added, removed } => (Some(added), Some(removed)),
            Compared::Nothing | Compared::Binary | Compared::TooLarge => (None, None),
        };
        if !fits {
            let path = &told.path;
            note = Some(format!(
                "The patch of {path:?} is cut after {} of {} bytes, and does not apply; go on with after = {path:?}",
                text.len(),
                patch.len()
            ));
            next_after = Some(path.clone());
        }
        files.push(Looked { change: told, added, removed });
        if !fits {
            break;
        }
    }
    let recorded = json!({ "files": files.len() });
    let text = said(text, if files.is_empty() { "Nothing has changed" } else { "" }, open);
    Ok(Answer::new(text, Differences { files, next_after }).note(note).recorded(recorded))
}

/// Files in one part of a diff.
const MOST: usize = MOST_ENTRIES as usize;

fn look(paths: &[String], after: Option<&str>, open: &Open) -> Result<Looking, Report> {
    let paths: Vec<_> = paths.iter().map(|path| Name::from(path.as_str())).collect();
    let looking = Looking::begin(open, &paths)?;
    Ok(match after {
        Some(after) => looking.behind(after),
        None => looking,
    })
}

fn said(text: String, nothing: &str, open: &Open) -> String {
    match text.is_empty() {
        true if open.in_place => IN_PLACE.to_owned(),
        true => nothing.to_owned(),
        false => text,
    }
}

fn told(change: Change) -> Told {
    let kind = match change.kind {
        ChangeKind::Added => "added",
        ChangeKind::Modified => "modified",
        ChangeKind::Deleted => "deleted",
        ChangeKind::Renamed => "renamed",
        ChangeKind::TypeChanged => "type-changed",
    };
    Told {
        path: shown(&change.path),
        kind,
        from: change.from.as_ref().map(shown),
        content: change.content,
        mode: change.mode,
        diverged: change.diverged,
        size_before: change.before.map(|side| side.size),
        size_after: change.after.map(|side| side.size),
    }
}

fn line(told: &Told) -> String {
    let from = told.from.as_ref().map(|from| format!("{from} -> ")).unwrap_or_default();
    let what = match (told.kind, told.content, told.mode) {
        ("modified", false, true) => " (mode)",
        _ => "",
    };
    let diverged = if told.diverged { " (changed in the folder below, too)" } else { "" };
    format!("{}: {from}{}{what}{diverged}", told.kind, told.path)
}

fn shown(path: &Name) -> String {
    path.as_os_str().to_string_lossy().into_owned()
}

fn whole_lines(text: &str, limit: usize) -> &str {
    let end = text.as_bytes().iter().take(limit).rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    &text[..end]
}

fn go_on(after: Option<&str>) -> Option<String> {
    after.map(|after| format!("There are more; go on with after = {after:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_ends_with_a_line() {
        assert_eq!(whole_lines("añb\nc€d\ne", 8), "añb\n");
        assert_eq!(whole_lines("añb\nc€d\ne", 11), "añb\nc€d\n");
        assert_eq!(whole_lines("a", 8), "");
    }
}
