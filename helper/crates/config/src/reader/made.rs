//! The file of an instance that was made without being declared.

use super::{Table, instance, version};
use crate::document::{At, InstanceDocument};
use crate::problems::Problems;
use crate::tree::Entry;

pub(crate) struct MadeDocument {
    pub created: u64,
    pub keep: bool,
    pub command: Vec<String>,
    /// None where what is wrong with it was told.
    pub instance: Option<At<InstanceDocument>>,
}

pub(crate) fn made(entries: Vec<Entry<'_>>, problems: &Problems) -> Option<MadeDocument> {
    let mut top = Table { path: String::new(), line: 1, entries, asked: Vec::new(), problems };
    version(&mut top).ok()?;
    let made = MadeDocument {
        created: top.integer("created", 0, u64::MAX).map_or(0, |at| at.value),
        keep: top.flag("keep").is_some_and(|at| at.value),
        command: top.list("command").into_iter().map(|at| at.value).collect(),
        instance: top.table("instance", instance),
    };
    top.finish();
    Some(made)
}
