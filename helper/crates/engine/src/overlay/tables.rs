//! The overlay's tables: those of SPEC 0.4 as upstream's programs read and write them, and three of our own.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::attrs::{self, Attrs};
use super::whiteouts::Whiteouts;
use crate::error::{Error, Result};
use crate::filesystem::{Ino, ROOT};
use crate::store::{Store, first};

/// SPEC has `parent_path`, upstream's programs do not and insert without it; the default lets both do so.
/// `nixbox_opaque`: folders of the database in which nothing of the base shows. Upstream sees the same, because each
/// entry of the base in it also has a whiteout; the table holds against what the base gets later.
/// `nixbox_origin`: what a copied-up entry was in the base when it was copied, and its number outside.
/// `nixbox_replaced`: what the base had at a path when an entry took its place that did not come from there, as most
/// editors save a file.
const TABLES: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS fs_overlay_config (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS fs_whiteout (path TEXT PRIMARY KEY, parent_path TEXT NOT NULL DEFAULT '', \
     created_at INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS fs_origin (delta_ino INTEGER PRIMARY KEY, base_ino INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS nixbox_opaque (ino INTEGER PRIMARY KEY)",
    "CREATE TABLE IF NOT EXISTS nixbox_origin (ino INTEGER PRIMARY KEY, base_ino INTEGER NOT NULL, \
     size INTEGER NOT NULL, mtime INTEGER NOT NULL, mtime_nsec INTEGER NOT NULL, hash TEXT, shown INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS nixbox_replaced (ino INTEGER PRIMARY KEY, path TEXT NOT NULL, \
     base_ino INTEGER NOT NULL, size INTEGER NOT NULL, mtime INTEGER NOT NULL, mtime_nsec INTEGER NOT NULL, hash TEXT)",
    attrs::TABLE,
];

const WITH_PARENT: &str = "CREATE INDEX IF NOT EXISTS idx_fs_whiteout_parent ON fs_whiteout(parent_path)";

/// What an overlay has beside the tables of every database.
pub(crate) fn statements() -> &'static [&'static str] {
    TABLES
}

/// Inside a transaction: what a layer has beside its files, wherever it lies. Only the first table says that.
pub(crate) fn complete_layer(store: &mut dyn Store) -> Result<()> {
    for table in &TABLES[1..] {
        store.execute(table, &[])?;
    }
    let spec = "SELECT 1 FROM pragma_table_info('fs_whiteout') WHERE name = 'parent_path'";
    if first(store, spec, &[], |_| Ok(()))?.is_none() {
        store.execute("ALTER TABLE fs_whiteout ADD COLUMN parent_path TEXT NOT NULL DEFAULT ''", &[])?;
    }
    store.execute(WITH_PARENT, &[])?;
    Ok(())
}

/// Inside a transaction. `base` is absolute and without symbolic links.
pub(crate) fn complete(store: &mut dyn Store, base: &Path) -> Result<()> {
    store.execute(TABLES[0], &[])?;
    complete_layer(store)?;
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
    // SPEC: an entry of the database shows, and its whiteout is to go. So are attributes that it had from the base.
    for table in ["fs_whiteout", "nixbox_attr"] {
        let mut paths = Vec::new();
        store.query(&format!("SELECT path FROM {table}"), &[], &mut |row| {
            paths.push(row.text(0)?.to_owned());
            Ok(())
        })?;
        let mut known = HashMap::from([(String::new(), Some(ROOT))]);
        for path in paths {
            if entry(store, path.trim_end_matches('/'), &mut known)?.is_some() {
                store.execute(&format!("DELETE FROM {table} WHERE path = ?"), &[path.as_str().into()])?;
            }
        }
    }
    Ok(())
}

/// What the database has at a path. `known`: of folders that were looked for; many paths have few.
fn entry(store: &mut dyn Store, path: &str, known: &mut HashMap<String, Option<Ino>>) -> Result<Option<Ino>> {
    let Some((above, name)) = path.rsplit_once('/') else { return Ok(None) };
    let folder = match known.get(above) {
        Some(folder) => *folder,
        None => {
            let folder = entry(store, above, known)?;
            known.insert(above.to_owned(), folder);
            folder
        }
    };
    let Some(folder) = folder else { return Ok(None) };
    let sql = "SELECT ino FROM fs_dentry WHERE parent_ino = ? AND name = ?";
    Ok(first(store, sql, &[folder.into(), name.into()], |row| row.int(0))?.map(|ino| ino as Ino))
}

pub(super) struct Loaded {
    pub whiteouts: Whiteouts,
    pub opaque: HashSet<Ino>,
    pub shown: HashMap<Ino, Ino>,
    pub attrs: Attrs,
}

pub(super) fn load(store: &mut dyn Store) -> Result<Loaded> {
    let attrs = Attrs::load(store)?;
    let mut loaded = Loaded { whiteouts: Whiteouts::default(), opaque: HashSet::new(), shown: HashMap::new(), attrs };
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
