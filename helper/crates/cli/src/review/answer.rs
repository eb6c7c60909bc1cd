//! Changes in JSON.

use std::os::unix::ffi::OsStrExt;

use nixbox_control as control;
use nixbox_control::Name;
use schemars::JsonSchema;
use serde::Serialize;

use crate::output::Output;
use nixbox_report::Report;

/// `status --json` and `diff --json`
#[derive(Serialize, JsonSchema)]
pub struct Answer<T> {
    pub instance: String,
    /// The folder that the instance lies over; without one, everything in it counts as added
    pub base: Option<String>,
    /// By path, a folder before what is in it
    pub changes: Vec<T>,
    pub totals: Totals,
}

#[derive(Serialize, JsonSchema)]
pub struct Change {
    /// From the instance's root, without a leading slash
    pub path: String,
    /// The path's bytes, only where they are not UTF-8
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_bytes: Option<Vec<u8>>,
    /// `added`, `modified`, `deleted`, `renamed` or `type-changed`
    pub kind: &'static str,
    /// Where it was, of one that was renamed
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Whether its content or its target differs
    pub content: bool,
    /// Whether its permissions or its owner differ
    pub mode: bool,
    /// The base's file was changed or deleted, too, since it was first written to here
    pub diverged: bool,
    pub before: Option<Side>,
    pub after: Option<Side>,
}

#[derive(Serialize, JsonSchema)]
pub struct Side {
    /// `file`, `folder`, `link`, `fifo`, `socket`, `char-device` or `block-device`
    pub kind: &'static str,
    /// Permissions, in octal
    pub mode: String,
    pub uid: u32,
    pub gid: u32,
    pub size: u64,
}

#[derive(Serialize, JsonSchema)]
pub struct Difference {
    #[serde(flatten)]
    pub change: Change,
    /// Lines that came, of text
    pub added: Option<u64>,
    /// Lines that went, of text
    pub removed: Option<u64>,
    pub binary: bool,
    /// Larger than 4 MiB: not compared by lines
    pub too_large: bool,
    /// As `git apply` takes it; what is not UTF-8 in it is replaced. Not with `--stat` and `--name-only`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch: Option<String>,
}

#[derive(Debug, Default, Clone, Copy, Serialize, JsonSchema)]
pub struct Totals {
    pub added: u64,
    pub modified: u64,
    pub deleted: u64,
    pub renamed: u64,
    pub type_changed: u64,
    /// Of all these, how many were changed in the base, too
    pub diverged: u64,
    /// Sizes of all files above, in the base and now
    pub bytes_before: u64,
    pub bytes_after: u64,
}

pub fn kind(kind: control::ChangeKind) -> &'static str {
    match kind {
        control::ChangeKind::Added => "added",
        control::ChangeKind::Modified => "modified",
        control::ChangeKind::Deleted => "deleted",
        control::ChangeKind::Renamed => "renamed",
        control::ChangeKind::TypeChanged => "type-changed",
    }
}

impl Change {
    pub fn new(change: &control::Change) -> Self {
        let text = |name: &Name| name.as_os_str().to_string_lossy().into_owned();
        let path = change.path.as_os_str();
        Self {
            path: text(&change.path),
            path_bytes: path.to_str().is_none().then(|| path.as_bytes().to_owned()),
            kind: kind(change.kind),
            from: change.from.as_ref().map(text),
            content: change.content,
            mode: change.mode,
            diverged: change.diverged,
            before: change.before.map(Side::new),
            after: change.after.map(Side::new),
        }
    }
}

impl Side {
    fn new(side: control::Side) -> Self {
        let control::Side { kind, mode, uid, gid, size } = side;
        Self { kind: crate::verbs::fs::kind(kind), mode: format!("{mode:04o}"), uid, gid, size }
    }
}

impl Difference {
    pub fn new(found: control::Difference) -> Self {
        let (added, removed) = match found.compared {
            control::Compared::Lines { added, removed } => (Some(added), Some(removed)),
            _ => (None, None),
        };
        Self {
            change: Change::new(&found.change),
            added,
            removed,
            binary: found.compared == control::Compared::Binary,
            too_large: found.compared == control::Compared::TooLarge,
            patch: found.patch.map(|patch| patch.as_os_str().to_string_lossy().into_owned()),
        }
    }
}

impl Totals {
    pub fn count(&mut self, change: &control::Change) {
        let one = match change.kind {
            control::ChangeKind::Added => &mut self.added,
            control::ChangeKind::Modified => &mut self.modified,
            control::ChangeKind::Deleted => &mut self.deleted,
            control::ChangeKind::Renamed => &mut self.renamed,
            control::ChangeKind::TypeChanged => &mut self.type_changed,
        };
        *one += 1;
        self.diverged += u64::from(change.diverged);
        let size = |side: Option<control::Side>| side.map_or(0, |side| side.size);
        self.bytes_before += size(change.before);
        self.bytes_after += size(change.after);
    }

    pub fn all(&self) -> u64 {
        self.added + self.modified + self.deleted + self.renamed + self.type_changed
    }
}

/// An [`Answer`] of any length, written as it comes.
pub struct Stream<'a> {
    output: &'a Output,
    any: bool,
}

impl<'a> Stream<'a> {
    pub fn begin(output: &'a Output, instance: &str, base: Option<&str>) -> Result<Self, Report> {
        let head = serde_json::json!({ "schema": crate::output::SCHEMA, "instance": instance, "base": base });
        let head = head.to_string();
        output.data(format!("{},\"changes\":[", head.trim_end_matches('}')))?;
        Ok(Self { output, any: false })
    }

    pub fn put(&mut self, change: &impl Serialize) -> Result<bool, Report> {
        let comma = if std::mem::replace(&mut self.any, true) { ",\n" } else { "\n" };
        self.output.open_data(format!("{comma}{}", serde_json::to_string(change).map_err(std::io::Error::other)?))
    }

    pub fn end(self, totals: &Totals) -> Result<(), Report> {
        let totals = serde_json::to_string(totals).map_err(std::io::Error::other)?;
        self.output.data(format!("\n],\"totals\":{totals}}}\n"))
    }
}
