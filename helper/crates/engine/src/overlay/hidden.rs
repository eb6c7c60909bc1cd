//! What of the base the view does not show: its own mountpoint and state, which would lead around in a circle, and
//! what the configuration leaves out.

use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::error::{Error, Result};

#[derive(Debug, Default, Clone)]
pub(crate) struct Hidden {
    paths: Vec<PathBuf>,
    globs: GlobSet,
}

impl Hidden {
    /// `paths` are absolute and without symbolic links; those outside `base` do not matter.
    pub fn new(base: &Path, paths: &[PathBuf], globs: &[String]) -> Result<Self> {
        let paths = paths.iter().filter_map(|path| path.strip_prefix(base).ok());
        let paths = paths.filter(|path| !path.as_os_str().is_empty()).map(Path::to_owned).collect();
        let mut set = GlobSetBuilder::new();
        for glob in globs {
            let bad = |reason: String| Error::BadGlob { glob: glob.clone(), reason };
            set.add(
                GlobBuilder::new(&anchored(glob))
                    .literal_separator(true)
                    .build()
                    .map_err(|error| bad(error.kind().to_string()))?,
            );
        }
        let globs = set.build().map_err(|error| Error::BadGlob { glob: globs.join(" "), reason: error.to_string() })?;
        Ok(Self { paths, globs })
    }

    /// Of an entry whose folder is seen: what lies in a hidden folder is never asked for.
    pub fn hides(&self, path: &Path) -> bool {
        self.paths.iter().any(|hidden| hidden == path) || self.globs.is_match(path)
    }

    /// Whether a mountpoint or nixbox's own folders are somewhere below.
    pub fn lies_in(&self, folder: &Path) -> bool {
        self.paths.iter().any(|hidden| hidden.starts_with(folder))
    }
}

/// As in a `.gitignore`: without a slash in it a pattern means that name anywhere.
fn anchored(glob: &str) -> String {
    let glob = glob.strip_suffix('/').unwrap_or(glob);
    match glob.strip_prefix('/') {
        Some(from_the_top) => from_the_top.to_owned(),
        None if glob.contains('/') => glob.to_owned(),
        None => format!("**/{glob}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_in_a_gitignore() {
        let globs = ["target/", "/top", "docs/*.md", "*.o"].map(str::to_owned);
        let hidden = Hidden::new(Path::new("/b"), &["/b/.agentfs/mnt".into(), "/c/d".into()], &globs).unwrap();
        for path in ["target", "a/target", "top", "docs/x.md", "x.o", "a/b/x.o", ".agentfs/mnt"] {
            assert!(hidden.hides(Path::new(path)), "{path}");
        }
        for path in ["targets", "a/top", "docs/a/x.md", "docs", "a/docs/x.md", ".agentfs", "d"] {
            assert!(!hidden.hides(Path::new(path)), "{path}");
        }
        assert!(matches!(Hidden::new(Path::new("/b"), &[], &["a[".to_owned()]), Err(Error::BadGlob { .. })));
    }
}
