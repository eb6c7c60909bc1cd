//! Patterns of paths: as in a `.gitignore`, but for `!`: what is hidden by one pattern is not shown by another. What
//! `exclude` says is carried out by the engine; here it is only said early what that would refuse.

use std::path::Path;

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

pub(crate) fn check(pattern: &str) -> Result<(), String> {
    if pattern.trim_matches('/').is_empty() {
        return Err("it names nothing".to_owned());
    }
    if pattern.starts_with('!') {
        return Err("a pattern cannot bring back what another one hides".to_owned());
    }
    if pattern.chars().any(char::is_control) {
        return Err("it holds a control character".to_owned());
    }
    Glob::new(pattern).map(drop).map_err(|error| error.kind().to_string())
}

/// Some that were checked.
#[derive(Debug, Clone, Default)]
pub struct Patterns(GlobSet);

impl Patterns {
    pub fn new<'p>(patterns: impl IntoIterator<Item = &'p String>) -> Self {
        let globs = patterns
            .into_iter()
            .filter_map(|pattern| GlobBuilder::new(&anchored(pattern)).literal_separator(true).build().ok());
        let set = globs.fold(GlobSetBuilder::new(), |mut set, glob| {
            set.add(glob);
            set
        });
        Self(set.build().unwrap_or_default())
    }

    /// Whether one means `path`, or a folder above it. `path` is relative to where they are written from.
    pub fn mean(&self, path: &Path) -> bool {
        path.ancestors().any(|one| !one.as_os_str().is_empty() && self.0.is_match(one))
    }
}

/// Without a slash in it a pattern means that name anywhere.
fn anchored(pattern: &str) -> String {
    let pattern = pattern.strip_suffix('/').unwrap_or(pattern);
    match pattern.strip_prefix('/') {
        Some(from_the_top) => from_the_top.to_owned(),
        None if pattern.contains('/') => pattern.to_owned(),
        None => format!("**/{pattern}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_lies_in_something_meant_is_meant_too() {
        let patterns = Patterns::new(&["target/", "/top", "docs/*.md", "*.o"].map(str::to_owned));
        for path in ["target", "a/target", "target/x/y", "top/z", "docs/x.md", "a/b/x.o"] {
            assert!(patterns.mean(Path::new(path)), "{path}");
        }
        for path in ["targets", "a/top", "docs/a/x.md", "docs", "a/docs/x.md", ""] {
            assert!(!patterns.mean(Path::new(path)), "{path}");
        }
    }
}
