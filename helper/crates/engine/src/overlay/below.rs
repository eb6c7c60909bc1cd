//! What is kept by path, in order, seen folder by folder.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::ops::Bound;
use std::path::{Path, PathBuf};

/// The names in `folder` under which there is something. `next`: the first path from there on.
pub(super) fn names_in<'a>(
    folder: &Path,
    mut next: impl FnMut(Bound<&Path>) -> Option<&'a PathBuf>,
) -> BTreeSet<OsString> {
    let mut names = BTreeSet::new();
    let mut from = Bound::Excluded(folder.to_owned());
    while let Some(below) = next(from.as_ref().map(PathBuf::as_path))
        && let Ok(rest) = below.strip_prefix(folder)
        && let Some(name) = rest.iter().next()
    {
        // On to the first that does not lie in that one: no name comes between it and this.
        let mut after = name.to_owned();
        after.push("\0");
        from = Bound::Included(folder.join(after));
        names.insert(name.to_owned());
    }
    names
}
