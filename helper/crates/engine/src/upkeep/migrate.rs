//! Bringing a database up to SPEC 0.4. Which version one has is told by its columns, as upstream tells it; what upstream's
//! own migration leaves undone (links that nobody counted, a table that forgot to number on) is done here as well.

use std::path::{Path, PathBuf};

use super::rebuild::{rebuild, texts};
use super::{change, look};
use crate::error::{Error, Result};
use crate::files::tidy::WRONG_LINKS;
use crate::schema::{self, Version};
use crate::store::{Backing, Store, first};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    pub from: &'static str,
    pub to: &'static str,
    /// What was done, or is to be done; nothing where the database is up to date.
    pub steps: Vec<String>,
    /// The database as it was before.
    pub backup: Option<PathBuf>,
}

/// `copy`: where the database as it was goes; without it, nothing is changed.
pub fn migrate(path: &Path, backing: &Backing, copy: Option<&Path>) -> Result<Migrated> {
    let mut looked = look(path, backing)?;
    let from = looked.version;
    let plan = Plan::of(&mut *looked.store, from)?;
    let path = looked.path.clone();
    drop(looked);
    let steps = plan.steps(from);
    let mut migrated = Migrated { from: from.name(), to: Version::V0_4.name(), steps, backup: None };
    if let Some(copy) = copy.filter(|_| !migrated.steps.is_empty()) {
        change(&path, backing, copy, |store| plan.run(store, &path))?;
        migrated.backup = Some(copy.to_owned());
    }
    Ok(migrated)
}

#[derive(Debug, Default)]
struct Plan {
    columns: bool,
    sequence: bool,
    /// Inodes whose links nobody has counted.
    uncounted: i64,
    outcomes: bool,
    missing: Vec<&'static str>,
    version: bool,
}

const OUTCOMES: &str = "UPDATE tool_calls SET status = CASE WHEN error IS NOT NULL THEN 'error' \
     WHEN completed_at IS NOT NULL THEN 'success' ELSE 'pending' END";

/// Of files, each name is a link; of folders, see [`WRONG_LINKS`].
pub(super) const UNCOUNTED: &str = "UPDATE fs_inode SET nlink = named.links \
     FROM (SELECT ino, count(*) AS links FROM fs_dentry GROUP BY ino) AS named \
     WHERE named.ino = fs_inode.ino AND mode & 61440 <> 16384 AND nlink <> named.links";

impl Plan {
    fn of(store: &mut dyn Store, from: Version) -> Result<Self> {
        let mut plan = Self { columns: from < Version::V0_4, ..Self::default() };
        let there = texts(store, "SELECT name FROM sqlite_master WHERE type IN ('table', 'index')")?;
        plan.missing = schema::statements()
            .iter()
            .map(|sql| made_by(sql))
            .filter(|name| !there.iter().any(|there| there == name))
            .collect();
        let sql = "SELECT 1 FROM sqlite_master WHERE name = 'fs_inode' AND sql NOT LIKE '%AUTOINCREMENT%'";
        plan.sequence = first(store, sql, &[], |_| Ok(()))?.is_some();
        if from == Version::V0_0 {
            plan.uncounted = number(store, "SELECT count(*) FROM fs_inode")?;
        } else if there.iter().any(|name| name == "fs_dentry") {
            let sql = "SELECT count(*) FROM fs_inode WHERE nlink = 0 AND ino IN (SELECT ino FROM fs_dentry)";
            plan.uncounted = number(store, sql)?;
        }
        if there.iter().any(|name| name == "tool_calls") {
            let sql = "SELECT count(*) FROM pragma_table_info('tool_calls') WHERE name = 'status'";
            plan.outcomes = number(store, sql)? == 0;
        }
        if there.iter().any(|name| name == "fs_config") {
            let sql = "SELECT count(*) FROM fs_config WHERE key = 'schema_version' AND CAST(value AS TEXT) <> '0.4'";
            plan.version = number(store, sql)? > 0;
        }
        Ok(plan)
    }

    fn steps(&self, from: Version) -> Vec<String> {
        let mut steps = Vec::new();
        if from < Version::V0_2 {
            steps.push("add the column `nlink` to `fs_inode`".to_owned());
        }
        if self.columns {
            steps.push("add the columns `atime_nsec`, `mtime_nsec`, `ctime_nsec` and `rdev` to `fs_inode`".to_owned());
        }
        if self.uncounted > 0 {
            steps.push(format!("count the links of {} inodes", self.uncounted));
        }
        if self.sequence {
            steps.push("make `fs_inode` number its inodes on, so that none comes back (AUTOINCREMENT)".to_owned());
        }
        if self.outcomes {
            steps.push("add the column `status` to `tool_calls`".to_owned());
        }
        if !self.missing.is_empty() {
            steps.push(format!("make what is missing: {}", self.missing.join(", ")));
        }
        if self.version {
            steps.push("note the version in `fs_config`".to_owned());
        }
        steps
    }

    fn run(&self, store: &mut dyn Store, path: &Path) -> Result<()> {
        let before = number(store, "SELECT count(*) FROM fs_inode")?;
        if self.columns || self.sequence {
            rebuild(store, "fs_inode")?;
        }
        if self.outcomes {
            rebuild(store, "tool_calls")?;
            store.execute(OUTCOMES, &[])?;
        }
        for sql in schema::statements() {
            store.execute(sql, &[])?;
        }
        // What upstream's programs assume where nothing is said.
        let chunk_size = schema::UPSTREAM_CHUNK_SIZE.to_string();
        let sql = "INSERT OR IGNORE INTO fs_config (key, value) VALUES ('chunk_size', ?)";
        store.execute(sql, &[chunk_size.as_str().into()])?;
        let sql = "INSERT OR REPLACE INTO fs_config (key, value) VALUES ('schema_version', ?)";
        store.execute(sql, &[Version::V0_4.name().into()])?;
        if self.uncounted > 0 {
            store.execute(UNCOUNTED, &[])?;
            store.execute(WRONG_LINKS, &[])?;
        }
        let after = number(store, "SELECT count(*) FROM fs_inode")?;
        let known = schema::known(path, &mut |sql, args, each| store.query(sql, args, each))?;
        if before != after || known != schema::Known::Version(Version::V0_4) {
            let reason = format!("{before} inodes became {after}: the database is left as it was");
            return Err(Error::Damaged { path: path.to_owned(), reason });
        }
        Ok(())
    }
}

/// What a statement makes: its name.
pub(super) fn made_by(sql: &'static str) -> &'static str {
    let name = sql.split_once("NOT EXISTS ").map_or(sql, |(_, rest)| rest);
    name.split([' ', '(']).next().unwrap_or(name)
}

pub(super) fn number(store: &mut dyn Store, sql: &str) -> Result<i64> {
    Ok(first(store, sql, &[], |row| row.int(0))?.unwrap_or(0))
}
