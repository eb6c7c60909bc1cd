use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::write::{publish_json, read_json};

const FILE: &str = "made-folders.json";

/// Folders that were made for a process, written down so that whoever clears up after it takes them away again.
#[derive(Debug)]
pub struct MadeFolders {
    note: PathBuf,
}

impl MadeFolders {
    pub fn noted_in(folder: &Path) -> Self {
        Self { note: folder.join(FILE) }
    }

    pub fn path(&self) -> &Path {
        &self.note
    }

    /// Outermost first.
    pub fn left(&self) -> Vec<PathBuf> {
        read_json(&self.note).ok().flatten().unwrap_or_default()
    }

    pub fn note(&self, folders: &[PathBuf]) -> io::Result<()> {
        if folders.is_empty() { Ok(()) } else { publish_json(&self.note, &folders, 0o600) }
    }

    pub fn forget(&self) {
        let _ = fs::remove_file(&self.note);
    }

    /// As far as they are empty, innermost first.
    pub fn take_away(&self) {
        self.left().iter().rev().map(fs::remove_dir).take_while(io::Result::is_ok).for_each(drop);
        self.forget();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_is_taken_away_as_far_as_it_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        let folders = ["a", "a/b", "a/b/c"].map(|name| dir.path().join(name));
        fs::create_dir_all(&folders[2]).unwrap();
        fs::write(folders[0].join("mine"), "").unwrap();
        let made = MadeFolders::noted_in(dir.path());
        made.note(&folders).unwrap();
        assert_eq!(MadeFolders::noted_in(dir.path()).left(), folders);
        made.take_away();
        assert!(folders[0].join("mine").exists() && !folders[1].exists() && !made.path().exists());
    }
}
