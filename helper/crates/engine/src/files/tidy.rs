//! Puts right what a crash or another program left, once at each open and in one transaction.

use crate::error::Result;
use crate::store::{Store, first};

/// Inodes that no name leads to: those that were open without a name at a crash, and the folders that the SDKs of
/// npm and PyPI remove, of which they leave the inode.
const NAMELESS: &str = "ino <> 1 AND ino NOT IN (SELECT ino FROM fs_dentry)";

/// A directory has two links and one for each folder in it, in upstream's CLI; its SDKs do not count them.
const WRONG_LINKS: &str = "WITH folders(ino, links) AS ( \
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

fn tidy_in_transaction(store: &mut dyn Store) -> Result<()> {
    let nameless = first(store, &format!("SELECT count(*) FROM fs_inode WHERE {NAMELESS}"), &[], |row| row.int(0))?;
    if nameless.is_some_and(|nameless| nameless > 0) {
        tracing::info!(inodes = nameless, "removed what no name leads to");
        for table in ["fs_data", "fs_symlink", "fs_inode"] {
            let of_nameless = format!("ino IN (SELECT ino FROM fs_inode WHERE {NAMELESS})");
            store.execute(&format!("DELETE FROM {table} WHERE {of_nameless}"), &[])?;
        }
    }
    store.execute(WRONG_LINKS, &[])?;
    Ok(())
}
