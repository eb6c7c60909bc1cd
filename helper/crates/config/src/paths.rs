//! Paths as a configuration means them. Nothing here may wait for a filesystem that does not answer: shell entry
//! comes through here while a mount may be dead.

use std::collections::HashMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, StatxFlags};

/// `path` from `base`, without `.` and `..`.
pub(crate) fn absolute(base: &Path, path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in base.join(path).components() {
        match component {
            Component::CurDir => {}
            // Above the top folder is the top folder.
            Component::ParentDir => drop(clean.pop()),
            other => clean.push(other),
        }
    }
    clean
}

/// Whether `path` lies in a Nix store, wherever that store is: its entries begin with a hash of 32 characters.
pub fn in_store(path: &Path) -> bool {
    path.components().any(|component| {
        match component {
        Component::Normal(name) => name.to_str().is_some_and(|name| {
            matches!(name.split_at_checked(32), Some((hash, rest)) if rest.starts_with('-') && hash.bytes().all(base32))
        }),
        _ => false,
    }
    })
}

/// Nix's alphabet leaves out e, o, t and u.
fn base32(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'z') && !matches!(byte, b'e' | b'o' | b't' | b'u')
}

/// Symlinks resolved, as far as the path exists. Folders are remembered: fifty mountpoints mostly share one.
#[derive(Debug, Default)]
pub(crate) struct RealPaths {
    folders: HashMap<PathBuf, PathBuf>,
}

impl RealPaths {
    /// `canonicalize` reads links and asks no filesystem for attributes, so a dead mount at the end of the path
    /// does not hold it up.
    pub fn of(&mut self, path: &Path) -> PathBuf {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return path.to_owned() };
        let real = match self.folders.get(parent) {
            Some(real) => real.clone(),
            None => {
                let real = fs::canonicalize(parent).unwrap_or_else(|_| self.of(parent));
                self.folders.insert(parent.to_owned(), real.clone());
                real
            }
        };
        let named = real.join(name);
        match fs::read_link(&named) {
            Ok(_) => fs::canonicalize(&named).unwrap_or(named),
            Err(_) => named,
        }
    }

    pub fn same(&mut self, a: &Path, b: &Path) -> bool {
        a == b || self.of(a) == self.of(b)
    }
}

/// Whether something other than a folder stands at a real path. The kernel answers from what it knows already: a
/// plain `stat` would wait for the process behind a mount.
pub(crate) fn is_not_a_folder(real: &Path) -> bool {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT | AtFlags::STATX_DONT_SYNC;
    match rustix::fs::statx(CWD, real, flags, StatxFlags::TYPE) {
        Ok(stat) => FileType::from_raw_mode(stat.stx_mode.into()) != FileType::Directory,
        Err(_) => false,
    }
}

/// Eight hex digits that stand for some paths, the same in every build: FNV-1a, folded to 32 bits.
pub(crate) fn short_hash(paths: &[&Path]) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for path in paths {
        // The NUL keeps `/a` + `/b` apart from `/a/b`.
        for byte in path.as_os_str().as_encoded_bytes().iter().chain(&[0]) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    format!("{:08x}", (hash >> 32) as u32 ^ hash as u32)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn paths_are_cleaned_without_looking() {
        let clean = |path| absolute(Path::new("/project"), Path::new(path)).display().to_string();
        assert_eq!(clean("./a/../b/."), "/project/b");
        assert_eq!(clean("../../../x"), "/x");
        assert_eq!(clean("/etc//y/"), "/etc/y");
        assert_eq!(clean("."), "/project");
    }

    #[test]
    fn a_store_is_known_by_its_hash() {
        assert!(in_store(Path::new("/nix/store/0c5b8vw40dy178xlpddw65q9gf1h2186-nixbox.toml")));
        assert!(in_store(Path::new("/home/x/.store/0c5b8vw40dy178xlpddw65q9gf1h2186-p/nixbox.toml")));
        assert!(!in_store(Path::new("/nix/store/nixbox.toml")));
        assert!(!in_store(Path::new("/x/0c5b8vw40dy178xlpddw65q9gf1h218e-nixbox.toml")));
        assert!(!in_store(Path::new("/x/0c5b8vw40dy178xlpddw65q9gf1h2186")));
    }

    #[test]
    fn real_paths_follow_links_and_forgive_what_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        let top = fs::canonicalize(dir.path()).unwrap();
        fs::create_dir_all(top.join("a/b")).unwrap();
        symlink("a", top.join("link")).unwrap();
        symlink("missing", top.join("dangling")).unwrap();
        let mut real = RealPaths::default();
        assert_eq!(real.of(&top.join("link/b")), top.join("a/b"));
        assert_eq!(real.of(&top.join("link/new/newer")), top.join("a/new/newer"));
        assert_eq!(real.of(&top.join("link")), top.join("a"));
        assert_eq!(real.of(&top.join("dangling")), top.join("dangling"));
        assert_eq!(real.of(Path::new("/")), Path::new("/"));
    }

    #[test]
    fn only_what_exists_and_is_no_folder_counts() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(is_not_a_folder(&file));
        assert!(!is_not_a_folder(dir.path()));
        assert!(!is_not_a_folder(&dir.path().join("missing")));
    }

    #[test]
    fn the_hash_never_changes() {
        assert_eq!(short_hash(&[Path::new("/project"), Path::new("/project/.agentfs")]), "ebdfae7c");
        assert_ne!(short_hash(&[Path::new("/a"), Path::new("/b")]), short_hash(&[Path::new("/a/b")]));
    }
}
