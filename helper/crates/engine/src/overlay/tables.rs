//! The overlay's tables: those of SPEC 0.4 as upstream's programs read and write them, and two of our own.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::whiteouts::Whiteouts;
use crate::error::{Error, Result};
use crate::filesystem::{Ino, ROOT};
use crate::store::{Store, first};

/// SPEC has `parent_path`, upstream's programs do not and insert without it; the default lets both do so.
/// `nixbox_opaque`: folders of the database in which nothing of the base shows. Upstream sees the same, because each
/// entry of the base in it also has a whiteout; the table holds against what the base gets later.
/// `nixbox_origin`: what a copied-up entry was in the base when it was copied, and its number outside.
const TABLES: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS fs_overlay_config (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS fs_whiteout (path TEXT PRIMARY KEY, parent_path TEXT NOT NULL DEFAULT '', \
     created_at INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS fs_origin (delta_ino INTEGER PRIMARY KEY, base_ino INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS nixbox_opaque (ino INTEGER PRIMARY KEY)",
    "CREATE TABLE IF NOT EXISTS nixbox_origin (ino INTEGER PRIMARY KEY, base_ino INTEGER NOT NULL, \
     size INTEGER NOT NULL, mtime INTEGER NOT NULL, mtime_nsec INTEGER NOT NULL, hash TEXT, shown INTEGER NOT NULL)",
];

const WITH_PARENT: &str = "CREATE INDEX IF NOT EXISTS idx_fs_whiteout_parent ON fs_whiteout(parent_path)";

/// What an overlay has beside the tables of every database.
pub(crate) fn statements() -> &'static [&'static str] {
    TABLES
}

/// Inside a transaction. `base` is absolute and without symbolic links.
pub(crate) fn complete(store: &mut dyn Store, base: &Path) -> Result<()> {
    for table in TABLES {
        store.execute(table, &[])?;
    }
    let spec = "SELECT 1 FROM pragma_table_info('fs_whiteout') WHERE name = 'parent_path'";
    if first(store, spec, &[], |_| Ok(()))?.is_none() {
        store.execute("ALTER TABLE fs_whiteout ADD COLUMN parent_path TEXT NOT NULL DEFAULT ''", &[])?;
    }
    store.execute(WITH_PARENT, &[])?;
    let text = base.to_str().ok_or_else(|| Error::BaseMissing {
        base: base.to_owned(),
        source: std::io::Error::other("the format holds UTF-8 paths only"),
    })?;
    let sql = "INSERT OR IGNORE INTO fs_overlay_config (key, value) VALUES ('base_path', ?)";
    store.execute(sql, &[text.into()])?;
    tidy(store)
}

/// What other programs leave out or leave behind.
fn tidy(store: &mut dyn Store) -> Result<()> {
    store.execute(
        "UPDATE fs_whiteout SET parent_path = coalesce(nullif(rtrim(rtrim(path, replace(path, '/', '')), '/'), ''), '/') \
         WHERE parent_path = ''",
        &[],
    )?;
    let mut gone = Vec::new();
    store.query("SELECT path FROM fs_whiteout", &[], &mut |row| {
        gone.push(row.text(0)?.to_owned());
        Ok(())
    })?;
    for path in gone {
        // SPEC: an entry of the database shows, and its whiteout is to go.
        if exists(store, &path)? {
            store.execute("DELETE FROM fs_whiteout WHERE path = ?", &[path.as_str().into()])?;
        }
    }
    Ok(())
}

fn exists(store: &mut dyn Store, path: &str) -> Result<bool> {
    let mut at = ROOT;
    for name in path.split('/').filter(|name| !name.is_empty()) {
        let sql = "SELECT ino FROM fs_dentry WHERE parent_ino = ? AND name = ?";
        match first(store, sql, &[at.into(), name.into()], |row| row.int(0))? {
            Some(ino) => at = ino as Ino,
            None => return Ok(false),
        }
    }
    Ok(true)
}

pub(super) struct Loaded {
    pub whiteouts: Whiteouts,
    pub opaque: HashSet<Ino>,
    pub shown: HashMap<Ino, Ino>,
}

pub(super) fn load(store: &mut dyn Store) -> Result<Loaded> {
    let mut loaded = Loaded { whiteouts: Whiteouts::default(), opaque: HashSet::new(), shown: HashMap::new() };
    store.query("SELECT path FROM fs_whiteout", &[], &mut |row| {
        loaded.whiteouts.insert(Path::new(row.text(0)?.trim_matches('/')));
        Ok(())
    })?;
    store.query("SELECT ino FROM nixbox_opaque", &[], &mut |row| {
        loaded.opaque.insert(row.int(0)? as Ino);
        Ok(())
    })?;
    store.query("SELECT ino, shown FROM nixbox_origin", &[], &mut |row| {
        loaded.shown.insert(row.int(0)? as Ino, row.int(1)? as Ino);
        Ok(())
    })?;
    Ok(loaded)
}
