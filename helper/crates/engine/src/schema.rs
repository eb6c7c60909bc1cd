//! The tables of AgentFS SPEC 0.4, in the words of upstream's own SDKs, and how an existing file is told apart.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::filesystem::{Caller, Time};
use crate::overlay;
use crate::store::{Arg, EachRow, Store, first};

/// What upstream's SDKs assume where `fs_config` does not say.
pub(crate) const UPSTREAM_CHUNK_SIZE: u32 = 4096;
/// Larger chunks would make each small write a copy of megabytes.
pub(crate) const MAX_CHUNK_SIZE: u32 = 16 << 20;

const VERSION: &str = "0.4";

/// `AUTOINCREMENT` matters: upstream's overlay goes wrong when an inode number comes back.
/// `tool_calls.status` is not in SPEC.md, and every SDK makes and reads it.
const TABLES: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS fs_config (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS fs_inode (ino INTEGER PRIMARY KEY AUTOINCREMENT, mode INTEGER NOT NULL, \
     nlink INTEGER NOT NULL DEFAULT 0, uid INTEGER NOT NULL DEFAULT 0, gid INTEGER NOT NULL DEFAULT 0, \
     size INTEGER NOT NULL DEFAULT 0, atime INTEGER NOT NULL, mtime INTEGER NOT NULL, ctime INTEGER NOT NULL, \
     rdev INTEGER NOT NULL DEFAULT 0, atime_nsec INTEGER NOT NULL DEFAULT 0, \
     mtime_nsec INTEGER NOT NULL DEFAULT 0, ctime_nsec INTEGER NOT NULL DEFAULT 0)",
    "CREATE TABLE IF NOT EXISTS fs_dentry (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, \
     parent_ino INTEGER NOT NULL, ino INTEGER NOT NULL, UNIQUE(parent_ino, name))",
    "CREATE INDEX IF NOT EXISTS idx_fs_dentry_parent ON fs_dentry(parent_ino, name)",
    "CREATE TABLE IF NOT EXISTS fs_data (ino INTEGER NOT NULL, chunk_index INTEGER NOT NULL, data BLOB NOT NULL, \
     PRIMARY KEY (ino, chunk_index))",
    "CREATE TABLE IF NOT EXISTS fs_symlink (ino INTEGER PRIMARY KEY, target TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS kv_store (key TEXT PRIMARY KEY, value TEXT NOT NULL, \
     created_at INTEGER DEFAULT (unixepoch()), updated_at INTEGER DEFAULT (unixepoch()))",
    "CREATE INDEX IF NOT EXISTS idx_kv_store_created_at ON kv_store(created_at)",
    "CREATE TABLE IF NOT EXISTS tool_calls (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, \
     parameters TEXT, result TEXT, error TEXT, status TEXT NOT NULL DEFAULT 'pending', \
     started_at INTEGER NOT NULL, completed_at INTEGER, duration_ms INTEGER)",
    "CREATE INDEX IF NOT EXISTS idx_tool_calls_name ON tool_calls(name)",
    "CREATE INDEX IF NOT EXISTS idx_tool_calls_started_at ON tool_calls(started_at)",
];

/// What a database without a base is made of: tables, then the indexes on them.
pub(crate) fn statements() -> &'static [&'static str] {
    TABLES
}

const KNOWN_TABLES: &[&str] = &[
    "fs_config",
    "fs_inode",
    "fs_dentry",
    "fs_data",
    "fs_symlink",
    "fs_whiteout",
    "fs_origin",
    "fs_overlay_config",
    "nixbox_absent",
    "nixbox_agreed",
    "nixbox_attr",
    "nixbox_opaque",
    "nixbox_origin",
    "nixbox_replaced",
    "kv_store",
    "tool_calls",
];

/// The columns by which a version is known, as upstream knows it; its `schema_version` is only a remark.
const COLUMNS_0_2: &[&str] = &["nlink"];
const COLUMNS_0_4: &[&str] = &["nlink", "atime_nsec", "mtime_nsec", "ctime_nsec", "rdev"];
const COLUMNS_EVER: &[&str] = &["ino", "mode", "uid", "gid", "size", "atime", "mtime", "ctime"];

/// What a database is to be opened over.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Over<'a> {
    Nothing,
    Base(&'a Path),
    /// Nothing, and its own files will not be seen: it must not have any.
    Instead,
    /// Whatever it says itself.
    Any,
}

/// Something that answers queries and need not be able to change anything.
pub(crate) type Ask<'a> = &'a mut dyn FnMut(&str, &[Arg<'_>], EachRow<'_>) -> Result<()>;

/// What the tables say that a database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Known {
    /// No tables yet, or only the first that upstream makes.
    Begun,
    Version(Version),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Version {
    V0_0,
    V0_2,
    V0_4,
}

impl Version {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::V0_0 => "0.0",
            Self::V0_2 => "0.2",
            Self::V0_4 => VERSION,
        }
    }
}

/// Refuses whatever is not an AgentFS database of this version, or is one of a kind not supported.
pub(crate) fn recognise(path: &Path, over: Over<'_>, ask: Ask<'_>) -> Result<()> {
    match known(path, ask)? {
        Known::Begun => return Ok(()),
        Known::Version(Version::V0_4) => {}
        Known::Version(old) => return Err(Error::OldSchema { path: path.to_owned(), found: old.name() }),
    }
    if let Over::Instead = over {
        let whiteouts = "SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'fs_whiteout'";
        let mut holds = names(ask, "SELECT name FROM fs_dentry LIMIT 1")?;
        if !names(ask, whiteouts)?.is_empty() {
            holds.extend(names(ask, "SELECT path FROM fs_whiteout LIMIT 1")?);
        }
        return if holds.is_empty() { Ok(()) } else { Err(Error::HoldsFiles { path: path.to_owned() }) };
    }
    match (recorded_base(ask)?, over) {
        (Some(base), Over::Nothing) => Err(Error::Overlay { path: path.to_owned(), base }),
        (Some(recorded), Over::Base(wanted)) if !is_same_folder(&recorded, wanted) => {
            Err(Error::BaseMoved { path: path.to_owned(), recorded, wanted: wanted.to_owned() })
        }
        _ => Ok(()),
    }
}

/// Whose database it is, and of which version, old ones too.
pub(crate) fn known(path: &Path, ask: Ask<'_>) -> Result<Known> {
    let not = |reason: String| Error::NotAgentFs { path: path.to_owned(), reason };
    let tables =
        names(ask, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")?;
    let has = |name: &str| tables.iter().any(|table| table == name);
    if !has("fs_inode") {
        return match tables.iter().find(|table| !KNOWN_TABLES.contains(&table.as_str())) {
            None if tables.is_empty() || has("fs_config") => Ok(Known::Begun),
            None => Err(not("an SQLite database without `fs_inode`".into())),
            Some(foreign) => Err(not(format!("an SQLite database with a table `{foreign}` and without `fs_inode`"))),
        };
    }
    let columns = names(ask, "SELECT name FROM pragma_table_info('fs_inode')")?;
    let has_all = |wanted: &[&str]| wanted.iter().all(|name| columns.iter().any(|column| column == name));
    if !has_all(COLUMNS_EVER) {
        return Err(not("its table `fs_inode` has other columns".into()));
    }
    if has("fs_config") {
        let said = names(ask, "SELECT CAST(value AS TEXT) FROM fs_config WHERE key = 'schema_version'")?;
        if let Some(found) = said.into_iter().find(|said| is_newer(said)) {
            return Err(Error::NewSchema { path: path.to_owned(), found });
        }
    }
    Ok(Known::Version(match (has_all(COLUMNS_0_4), has_all(COLUMNS_0_2)) {
        (true, _) => Version::V0_4,
        (false, true) => Version::V0_2,
        (false, false) => Version::V0_0,
    }))
}

/// The folder that an overlay lies over.
pub(crate) fn recorded_base(ask: Ask<'_>) -> Result<Option<PathBuf>> {
    let table = names(ask, "SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'fs_overlay_config'")?;
    if table.is_empty() {
        return Ok(None);
    }
    let sql = "SELECT CAST(value AS TEXT) FROM fs_overlay_config ORDER BY key = 'base_path' DESC LIMIT 1";
    Ok(names(ask, sql)?.pop().map(PathBuf::from))
}

pub(crate) fn names(ask: Ask<'_>, sql: &str) -> Result<Vec<String>> {
    let mut names = Vec::new();
    ask(sql, &[], &mut |row| {
        names.push(row.text(0)?.to_owned());
        Ok(())
    })?;
    Ok(names)
}

/// `0.10` is newer than `0.4`; what is no version says nothing.
fn is_newer(said: &str) -> bool {
    let parts = |version: &str| version.split('.').map(|part| part.parse().ok()).collect::<Option<Vec<u32>>>();
    parts(said) > parts(VERSION)
}

/// `wanted` is without symbolic links.
fn is_same_folder(recorded: &Path, wanted: &Path) -> bool {
    recorded == wanted || recorded.canonicalize().is_ok_and(|recorded| recorded == wanted)
}

/// Makes what is missing and answers the chunk size. What is there stays: the root's owner too, which upstream's
/// CLI changes at each open.
pub(crate) fn complete(
    store: &mut dyn Store,
    path: &Path,
    chunk_size: u32,
    owner: Caller,
    base: Option<&Path>,
) -> Result<u32> {
    store.execute("BEGIN IMMEDIATE", &[])?;
    let completed = complete_in_transaction(store, path, chunk_size, owner).and_then(|chunk_size| {
        base.map_or(Ok(()), |base| overlay::complete(store, base))?;
        Ok(chunk_size)
    });
    match completed {
        Ok(chunk_size) => store.execute("COMMIT", &[]).map(|_| chunk_size),
        Err(error) => {
            if store.in_transaction() {
                store.execute("ROLLBACK", &[])?;
            }
            Err(error)
        }
    }
}

fn complete_in_transaction(store: &mut dyn Store, path: &Path, chunk_size: u32, owner: Caller) -> Result<u32> {
    let fresh = first(store, "SELECT 1 FROM sqlite_master WHERE name = 'fs_inode'", &[], |_| Ok(()))?.is_none();
    for table in TABLES {
        store.execute(table, &[])?;
    }
    let default = if fresh { chunk_size } else { UPSTREAM_CHUNK_SIZE };
    store.execute(
        "INSERT OR IGNORE INTO fs_config (key, value) VALUES ('chunk_size', ?)",
        &[default.to_string().as_str().into()],
    )?;
    store.execute("INSERT OR IGNORE INTO fs_config (key, value) VALUES ('schema_version', ?)", &[VERSION.into()])?;
    let now = Time::now();
    // The SDKs of npm and PyPI start the root at one link, upstream's own at two; the latter is what stat(2) means.
    store.execute(
        "INSERT OR IGNORE INTO fs_inode (ino, mode, nlink, uid, gid, size, atime, mtime, ctime, atime_nsec, \
         mtime_nsec, ctime_nsec) VALUES (1, 16877, 2, ?1, ?2, 0, ?3, ?3, ?3, ?4, ?4, ?4)",
        &[owner.uid.into(), owner.gid.into(), now.sec.into(), now.nsec.into()],
    )?;
    let damaged = |reason: String| Error::Damaged { path: path.to_owned(), reason };
    let root = first(store, "SELECT mode FROM fs_inode WHERE ino = 1", &[], |row| row.int(0))?;
    if root.is_none_or(|mode| mode & 0o170_000 != 0o040_000) {
        return Err(damaged("inode 1 is not a directory".into()));
    }
    chunk_size_of(store, path)
}

/// As the database says.
pub(crate) fn chunk_size_of(store: &mut dyn Store, path: &Path) -> Result<u32> {
    let chunk_size = first(store, "SELECT CAST(value AS TEXT) FROM fs_config WHERE key = 'chunk_size'", &[], |row| {
        row.text(0).map(str::to_owned)
    })?;
    let chunk_size = chunk_size.unwrap_or_default();
    match chunk_size.parse() {
        Ok(size) if (1..=MAX_CHUNK_SIZE).contains(&size) => Ok(size),
        _ => {
            let reason = format!("the chunk size `{chunk_size}` is not possible");
            Err(Error::Damaged { path: path.to_owned(), reason })
        }
    }
}
