//! Puts right what a crash or another program left, once at each open and in one transaction.

use std::collections::HashMap;

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
    let found = look(store)?;
    if found.nameless > 0 {
        tracing::info!(inodes = found.nameless, "removed what no name leads to");
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
    if super::absent::has_table(store)? {
        store.execute("DELETE FROM nixbox_absent WHERE ino NOT IN (SELECT ino FROM fs_inode)", &[])?;
    }
    if found.wrong_links {
        store.execute(WRONG_LINKS, &[])?;
    }
    Ok(())
}

struct Untidy {
    nameless: usize,
    wrong_links: bool,
}

/// Reads each table once. There is no index from an inode to its names, and the statements that mend look for each: that
/// takes twice as long, and most often there is nothing to mend.
fn look(store: &mut dyn Store) -> Result<Untidy> {
    let (mut inodes, mut links) = (Vec::new(), HashMap::new());
    store.query("SELECT ino, mode, nlink FROM fs_inode", &[], &mut |row| {
        let ino = row.int(0)?;
        inodes.push(ino);
        if row.int(1)? as u32 & libc::S_IFMT == libc::S_IFDIR {
            // What it says, less what it should be without folders in it.
            links.insert(ino, row.int(2)?.saturating_sub(2));
        }
        Ok(())
    })?;
    let mut named = Vec::with_capacity(inodes.len());
    store.query("SELECT ino, parent_ino FROM fs_dentry", &[], &mut |row| {
        let ino = row.int(0)?;
        named.push(ino);
        if links.contains_key(&ino)
            && let Some(links) = links.get_mut(&row.int(1)?)
        {
            *links = links.saturating_sub(1);
        }
        Ok(())
    })?;
    named.sort_unstable();
    let nameless = inodes.iter().filter(|ino| **ino != 1 && named.binary_search(ino).is_err()).count();
    // Those that are removed count no more as folders of others.
    Ok(Untidy { nameless, wrong_links: nameless > 0 || links.values().any(|rest| *rest != 0) })
}

/// What is on record of the base's share in inodes that are gone.
const FORGET_ORIGINS: &[&str] = &[
    "DELETE FROM fs_origin WHERE delta_ino NOT IN (SELECT ino FROM fs_inode)",
    "DELETE FROM nixbox_origin WHERE ino NOT IN (SELECT ino FROM fs_inode)",
    "DELETE FROM nixbox_opaque WHERE ino NOT IN (SELECT ino FROM fs_inode)",
    "DELETE FROM nixbox_replaced WHERE ino NOT IN (SELECT ino FROM fs_inode)",
];

/// The tables of an overlay of ours, which are made together.
pub(super) fn has_origins(store: &mut dyn Store) -> Result<bool> {
    let sql = "SELECT count(*) FROM sqlite_master \
               WHERE name IN ('fs_origin', 'nixbox_origin', 'nixbox_opaque', 'nixbox_replaced')";
    Ok(first(store, sql, &[], |row| row.int(0))? == Some(4))
}
