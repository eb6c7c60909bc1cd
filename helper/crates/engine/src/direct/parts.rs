//! Names of the real folder that are there only until something is whole: an import on its way in, a file that is about to
//! take another's name. The database has them on record before they are made, so that what a killed owner leaves of
//! them, and nothing else, is taken away at the next start.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use super::Direct;
use crate::by_path::ByPath;
use crate::error::{Error, Result};
use crate::filesystem::Caller;
use crate::store::Store;

const TABLE: &str = "CREATE TABLE IF NOT EXISTS nixbox_part (path BLOB PRIMARY KEY)";
const END: &[u8] = b".part";
const MARK: &[u8] = b".nixbox-";

/// Both that the record has it and that it looks like one of ours: a record outlives much.
fn looks_like_one(path: &Path) -> bool {
    let name = path.file_name().map_or(&b""[..], OsStr::as_bytes);
    name.starts_with(b".") && name.ends_with(END) && name.windows(MARK.len()).any(|part| part == MARK)
}

impl Direct {
    /// Before it is made.
    pub(super) fn note_part(&self, path: &Path) -> Result<()> {
        self.change_parts("INSERT OR REPLACE INTO nixbox_part (path) VALUES (?)", path)?;
        self.files.flush()
    }

    /// Once it is gone, or has become what it was for.
    pub(super) fn forget_part(&self, path: &Path) -> Result<()> {
        self.change_parts("DELETE FROM nixbox_part WHERE path = ?", path)
    }

    fn change_parts(&self, sql: &str, path: &Path) -> Result<()> {
        self.files.change_store(0, |store: &mut dyn Store| {
            store.execute(TABLE, &[])?;
            store.execute(sql, &[path.as_os_str().as_bytes().into()]).map(drop)
        })
    }

    /// Takes away what is on record. Whoever made it is dead: the database has one owner at a time.
    pub(crate) fn sweep(self: &Arc<Self>) -> Result<()> {
        if self.files.is_read_only() {
            return Ok(());
        }
        let mut parts = Vec::new();
        let there = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'nixbox_part'";
        self.files.read_store(|store| {
            if crate::store::first(store, there, &[], |_| Ok(()))?.is_none() {
                return Ok(());
            }
            store.query("SELECT path FROM nixbox_part", &[], &mut |row| {
                parts.push(OsStr::from_bytes(row.blob(0)?).to_owned());
                Ok(())
            })
        })?;
        let nobody = Caller { uid: 0, gid: 0 };
        let tree = ByPath::new(self.clone(), Arc::new(()), nobody);
        for part in parts {
            if looks_like_one(Path::new(&part)) {
                let mut path = OsString::from("/");
                path.push(&part);
                match tree.remove(&path, true) {
                    Ok(()) => tracing::info!(part = %part.display(), "removed what a killed owner had left"),
                    Err(Error::Errno(libc::ENOENT | libc::ENOTDIR)) => {}
                    Err(error) => {
                        tracing::warn!(%error, part = %part.display(), "what a killed owner has left stays");
                        continue;
                    }
                }
            }
            self.forget_part(Path::new(&part))?;
        }
        Ok(())
    }
}

/// One that nobody has: of this process, and never given twice.
pub(super) fn part_of(name: &OsStr) -> OsString {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut part = OsString::from(".");
    if name.len() <= 200 {
        part.push(name);
    }
    part.push(format!(".nixbox-{}-{}.part", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_looks_like_one_is_taken_away() {
        for path in [".f.nixbox-12-0.part", "a/b/.nixbox-import-7-1.part"] {
            assert!(looks_like_one(Path::new(path)), "{path}");
        }
        for path in ["", "f", ".f.part", "a.nixbox-1.part", ".nixbox-import-7-1.part/x", "..", "a/.nixbox-1"] {
            assert!(!looks_like_one(Path::new(path)), "{path}");
        }
        assert!(looks_like_one(Path::new(&part_of(OsStr::new("name")))));
    }
}
