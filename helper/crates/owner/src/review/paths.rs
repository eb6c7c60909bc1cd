//! Which paths a review is about.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use nixbox_control::Name;
use nixbox_report::{Failure, Report, codes};

/// Files, folders with all in them, and patterns.
#[derive(Debug)]
pub(super) struct Paths {
    exact: Vec<PathBuf>,
    /// What has them in their path.
    patterns: GlobSet,
}

impl Paths {
    pub fn new(wanted: &[Name]) -> Result<Self, Report> {
        let (mut exact, mut patterns) = (Vec::new(), GlobSetBuilder::new());
        for Name(path) in wanted {
            let normal = normal(path);
            if let Some(text) = normal.to_str().filter(|text| text.contains(['*', '?', '[', '{'])) {
                // Without a slash it is for names, anywhere.
                let anywhere = if path.as_bytes().contains(&b'/') { "" } else { "**/" };
                let glob = GlobBuilder::new(&format!("{anywhere}{text}")).literal_separator(true).build();
                match glob {
                    Ok(glob) => drop(patterns.add(glob)),
                    Err(error) => {
                        let what = format!("`{}` is no pattern", path.display());
                        let failure = Failure::new(&codes::FILE_PATTERN, what).why(error.kind());
                        return Err(failure
                            .help("`*` stands for part of a name, `**/` for any folders, `{a,b}` for either")
                            .into());
                    }
                }
            }
            // A name may have such characters in it, too.
            exact.push(normal);
        }
        let patterns = patterns.build().map_err(|error| {
            Report::from(Failure::new(&codes::FILE_PATTERN, "these patterns are too much at once").why(error))
        })?;
        Ok(Self { exact, patterns })
    }

    pub fn are(&self, path: &Path) -> bool {
        self.exact.is_empty()
            || self.exact.iter().any(|wanted| path.starts_with(wanted))
            || (!self.patterns.is_empty() && path.ancestors().any(|path| self.patterns.is_match(path)))
    }

    /// Whether a path is wanted, or anything below it may be.
    pub fn may_hold(&self, path: &Path) -> bool {
        !self.patterns.is_empty() || self.are(path) || self.exact.iter().any(|wanted| wanted.starts_with(path))
    }
}

/// From the root, without dots.
fn normal(path: &OsStr) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.as_bytes().split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(normal.pop()),
            part => normal.push(OsStr::from_bytes(part)),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn are(wanted: &[&str], path: &str) -> bool {
        let wanted: Vec<_> = wanted.iter().map(|path| Name::from(*path)).collect();
        Paths::new(&wanted).unwrap().are(Path::new(path))
    }

    #[test]
    fn files_folders_and_patterns_are_meant() {
        assert!(are(&[], "a/b") && are(&["/a"], "a/b") && are(&["a/b"], "a/b") && are(&["/"], "x"));
        assert!(are(&["*.rs"], "a/b/c.rs") && are(&["src/**/*.rs"], "src/a/b.rs") && are(&["do*"], "docs/a"));
        assert!(are(&["a[1]"], "a[1]/b") && are(&["./a/../c"], "c"));
        assert!(!are(&["a"], "ab") && !are(&["/*.rs"], "a/b.rs") && !are(&["*.rs"], "a.rsx"));
        let bad = Paths::new(&[Name::from("a[")]).unwrap_err();
        assert_eq!(bad.failures[0].code, &codes::FILE_PATTERN);
    }

    #[test]
    fn only_the_way_to_what_is_wanted_is_gone() {
        let paths = Paths::new(&[Name::from("a/b/c")]).unwrap();
        assert!(["a", "a/b", "a/b/c", "a/b/c/d"].iter().all(|path| paths.may_hold(Path::new(path))));
        assert!(!paths.may_hold(Path::new("b")) && !paths.may_hold(Path::new("a/c")));
    }
}
