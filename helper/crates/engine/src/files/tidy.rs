//! Puts right what a crash or another program left, once at each open and in one transaction.

use crate::error::Result;
use crate::store::{Store, first};

/// Inodes that no name leads to: those that were open without a name at a crash, and the folders that the SDKs of
/// npm and PyPI remove, of which they leave the inode.
const NAMELESS: &str = "ino <> 1 AND ino NOT IN (SELECT ino FROM fs_dentry)";

/// A directory has two links and one for each folder in it, in upstream's CLI; its SDKs do not count them.
pub(crate) const WRONG_LINKS: &str = "WITH folders(ino, links) AS ( \
     SELECT d.parent_ino, count(*) FROM fs_inode i JOIN fs_dentry d ON d.ino = i.ino \
     WHERE i.mode & 61440 = 16384 GROUP BY d.parent_ino) \
     UPDATE fs_inode SET nlink = 2 + coalesce((SELECT links FROM folders WHERE folders.ino = fs_inode.ino), 0) \
     WHERE mode & 61440 = 16384 \
     AND nlink <> 2 + coalesce((SELECT links FROM folders WHERE folders.ino = fs_inode.ino), 0)";

pub(super) fn tidy(store: &mut dyn Store) -> Result<()> {
    store.execute("BEGIN IMMEDIATE", &[])?;
    let tidied = tidy_in_transaction(store);
    match &tidied {
        Ok(()) => drop(store.execute("COMMIT", &[])?),
        Err(_) if store.in_transaction() => drop(store.execute("ROLLBACK", &[])?),
        Err(_) => {}
    }
    tidied
}

/// What begins like this at the top is a tree that was being planted: see `by_path/plant.rs`. Whoever did so is dead.
pub(crate) const STAGING: &str = ".nixbox-import-";

/// With everything in it; nothing else has a name there.
const HALF_PLANTED: &str = "WITH RECURSIVE below(ino) AS ( \
     SELECT ino FROM fs_dentry WHERE parent_ino = 1 AND name >= '.nixbox-import-' AND name < '.nixbox-import.' \
     UNION SELECT d.ino FROM below JOIN fs_dentry AS d ON d.parent_ino = below.ino) \
     DELETE FROM {table} WHERE {column} IN (SELECT ino FROM below)";

fn tidy_in_transaction(store: &mut dyn Store) -> Result<()> {
    let half = "SELECT count(*) FROM fs_dentry WHERE parent_ino = 1 AND name >= '.nixbox-import-' AND name < '.nixbox-import.'";
    if first(store, half, &[], |row| row.int(0))?.is_some_and(|half| half > 0) {
        tracing::info!("removed what an import that was killed had left");
        // The entries come last: by them the others are found.
        for (table, column) in [("fs_data", "ino"), ("fs_symlink", "ino"), ("fs_inode", "ino"), ("fs_dentry", "ino")] {
            store.execute(&HALF_PLANTED.replace("{table}", table).replace("{column}", column), &[])?;
        }
    }
    let nameless = first(store, &format!("SELECT count(*) FROM fs_inode WHERE {NAMELESS}"), &[], |row| row.int(0))?;
    if nameless.is_some_and(|nameless| nameless > 0) {
        tracing::info!(inodes = nameless, "removed what no name leads to");
        for table in ["fs_data", "fs_symlink", "fs_inode"] {
            let of_nameless = format!("ino IN (SELECT ino FROM fs_inode WHERE {NAMELESS})");
            store.execute(&format!("DELETE FROM {table} WHERE {of_nameless}"), &[])?;
        }
    }
    if has_origins(store)? {
        for sql in FORGET_ORIGINS {
            store.execute(sql, &[])?;
        }
    }
    store.execute(WRONG_LINKS, &[])?;
    Ok(())
}

/// What is on record of the base's share in inodes that are gone.
const FORGET_ORIGINS: &[&str] = &[
    "DELETE FROM fs_origin WHERE delta_ino NOT IN (SELECT ino FROM fs_inode)",
    "DELETE FROM nixbox_origin WHERE ino NOT IN (SELECT ino FROM fs_inode)",
    "DELETE FROM nixbox_opaque WHERE ino NOT IN (SELECT ino FROM fs_inode)",
];

/// The tables of an overlay of ours, which are made together.
pub(super) fn has_origins(store: &mut dyn Store) -> Result<bool> {
    let sql = "SELECT count(*) FROM sqlite_master WHERE name IN ('fs_origin', 'nixbox_origin', 'nixbox_opaque')";
    Ok(first(store, sql, &[], |row| row.int(0))? == Some(3))
}
