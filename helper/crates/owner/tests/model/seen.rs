//! A tree as a program sees it, and how one may differ from another.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Times that calls set lie before it, those that the machine sets after it.
const LONG_AGO: i64 = 1_000_000_000;

#[derive(Debug, Clone)]
pub struct Entry {
    pub ino: u64,
    pub links: u64,
    is_folder: bool,
    plain: Plain,
}

/// What must be equal.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Plain {
    mode: u32,
    owner: (u32, u32),
    size: u64,
    /// Where a call has set it.
    modified: Option<(i64, i64)>,
    /// Of a file its content, of a link its target.
    content: Vec<u8>,
}

pub type Tree = BTreeMap<PathBuf, Entry>;

/// Fails where something changes meanwhile.
pub fn tree(root: &Path) -> Result<Tree, String> {
    let mut tree = Tree::new();
    walk(root, Path::new(""), &mut tree).map_err(|error| format!("{}: {error}", root.display()))?;
    Ok(tree)
}

fn walk(root: &Path, at: &Path, tree: &mut Tree) -> io::Result<()> {
    for entry in root.join(at).read_dir()? {
        let entry = entry?;
        let (full, path) = (entry.path(), at.join(entry.file_name()));
        let seen = fs::symlink_metadata(&full)?;
        if entry.file_type()? != seen.file_type() {
            return Err(io::Error::other(format!("{path:?} is listed as something else")));
        }
        let content = match seen.file_type() {
            kind if kind.is_dir() => Vec::new(),
            kind if kind.is_symlink() => fs::read_link(&full)?.into_os_string().into_encoded_bytes(),
            _ => fs::read(&full)?,
        };
        let modified = (seen.mtime() < LONG_AGO).then_some((seen.mtime(), seen.mtime_nsec()));
        let size = if seen.is_dir() { 0 } else { seen.size() };
        let plain = Plain { mode: seen.mode(), owner: (seen.uid(), seen.gid()), size, modified, content };
        let entry = Entry { ino: seen.ino(), links: seen.nlink(), is_folder: seen.is_dir(), plain };
        tree.insert(path.clone(), entry);
        if seen.is_dir() {
            walk(root, &path, tree)?;
        }
    }
    Ok(())
}

/// What is wrong with a tree, `counts_folders` where it is to count the folders in a folder as links.
pub fn difference(expected: &Tree, got: &Tree, counts_folders: bool) -> Result<(), String> {
    let names = |tree: &Tree| tree.keys().cloned().collect::<Vec<_>>();
    if names(expected) != names(got) {
        return Err(format!("{:?} is there, expected was {:?}", names(got), names(expected)));
    }
    for (path, expected) in expected {
        let got = &got[path];
        let (mut want, mut have) = (expected.plain.clone(), got.plain.clone());
        if want.content != have.content {
            let at = want.content.iter().zip(&have.content).position(|(a, b)| a != b);
            return Err(format!("{path:?} differs from byte {at:?} on, sizes {} and {}", want.size, have.size));
        }
        (want.content, have.content) = Default::default();
        if want != have {
            return Err(format!("{path:?} is {have:?}, expected was {want:?}"));
        }
        if (!expected.is_folder || counts_folders) && expected.links != got.links {
            return Err(format!("{path:?} has {} links, expected were {}", got.links, expected.links));
        }
    }
    same_files(expected, got)
}

/// Two names are one file here when they are one there.
fn same_files(expected: &Tree, got: &Tree) -> Result<(), String> {
    let pairs: BTreeMap<u64, u64> = expected.iter().map(|(path, entry)| (entry.ino, got[path].ino)).collect();
    let back: BTreeMap<u64, u64> = got.iter().map(|(path, entry)| (entry.ino, expected[path].ino)).collect();
    for (path, entry) in expected {
        let number = got[path].ino;
        if pairs[&entry.ino] != number || back[&number] != entry.ino {
            return Err(format!("{path:?} is not the same file under each of its names, or is one with another"));
        }
    }
    Ok(())
}

/// A file that stays the same file keeps its number, whatever is done to it.
pub fn kept_numbers(before: &(Tree, Tree), now: &(Tree, Tree)) -> Result<(), String> {
    for (path, expected) in &now.0 {
        let (Some(old), Some(had)) = (before.0.get(path), before.1.get(path)) else { continue };
        if old.ino == expected.ino && had.ino != now.1[path].ino {
            return Err(format!("{path:?} had number {} and has {}", had.ino, now.1[path].ino));
        }
    }
    Ok(())
}
