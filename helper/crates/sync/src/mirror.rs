//! A copy of the remote on this machine: what it held when it was last read, as a database that the engine reads. It is
//! brought up to date by rows, in one transaction, and proved to be the remote by a sum over both; it can be thrown away
//! at any time.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use nixbox_engine::{ABSENT_TABLE, Database, Delta, Options};
use nixbox_remote::{Remote, Rows, Step, Value};
use rusqlite::Connection;
use rusqlite::types::ValueRef;

use crate::company::{Company, Phase, Progress, go_on};
use crate::content;
use crate::error::{Error, Result};
use crate::fetch::pull_content;
use crate::had::Before;
use crate::intake::take_in;

/// The tables that are synced, with their columns; the first is the key, but for `fs_data`, where two are.
const TABLES: &[(&str, &[&str])] = &[
    ("fs_config", &["key", "value"]),
    (
        "fs_inode",
        &[
            "ino",
            "mode",
            "nlink",
            "uid",
            "gid",
            "size",
            "atime",
            "mtime",
            "ctime",
            "rdev",
            "atime_nsec",
            "mtime_nsec",
            "ctime_nsec",
        ],
    ),
    ("fs_dentry", &["id", "name", "parent_ino", "ino"]),
    ("fs_symlink", &["ino", "target"]),
    ("kv_store", &["key", "value", "created_at", "updated_at"]),
    ("fs_data", &["ino", "chunk_index", "data"]),
];
/// What a layer over a base has besides.
const LAYER: &[(&str, &[&str])] = &[
    ("fs_whiteout", &["path", "parent_path", "created_at"]),
    (
        "nixbox_attr",
        &[
            "path",
            "kind",
            "perm",
            "uid",
            "gid",
            "atime",
            "atime_nsec",
            "mtime",
            "mtime_nsec",
            "ctime",
            "ctime_nsec",
            "base_size",
            "base_mtime",
            "base_mtime_nsec",
        ],
    ),
    ("nixbox_opaque", &["ino"]),
    ("nixbox_replaced", &["ino", "path", "base_ino", "size", "mtime", "mtime_nsec", "hash"]),
];
pub(crate) const DATA: &str = "fs_data";

/// A sum over everything but content, which no change of content leaves as it is. The same in both places.
pub(crate) const SUM: &str = "\
(SELECT count(*) || ':' || coalesce(sum((ino % 9973) * ((mtime_nsec + 3 * ctime_nsec + 5 * (size % 1000003) \
+ 7 * (mtime % 1000003) + 11 * (ctime % 1000003) + 13 * mode + 17 * uid + 19 * gid + 23 * nlink) % 1000003)), 0) \
FROM fs_inode) || ' ' || \
(SELECT count(*) || ':' || coalesce(sum((id % 9973) * ((ino % 1000003 + 3 * (parent_ino % 1000003) \
+ 5 * length(name) + 7 * unicode(name) + 11 * unicode(substr(name, -1))) % 1000003)), 0) FROM fs_dentry) || ' ' || \
(SELECT count(*) || ':' || coalesce(sum(length(target)), 0) FROM fs_symlink) || ' ' || \
(SELECT count(*) || ':' || coalesce(sum(length(key) * 31 + length(value)), 0) || ':' || \
coalesce(sum(coalesce(updated_at, 0) % 1000003), 0) FROM kv_store) || ' ' || \
coalesce((SELECT value FROM fs_config WHERE key = 'nixbox_layer'), '')";

/// The end of a sum: what is set anew whenever anything of a layer is written, and is not there in a remote that holds
/// none.
fn is_of_layer(sum: &str) -> bool {
    !sum.ends_with(' ')
}

pub(crate) struct Mirror {
    path: PathBuf,
    /// Of a layer over a base.
    layer: bool,
}

/// The tables of a remote.
pub(crate) fn tables(layer: bool) -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    TABLES.iter().chain(if layer { LAYER } else { &[] }).copied()
}

/// How a remote was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// It has no AgentFS database yet.
    Empty,
    Same,
    Changed {
        bytes: u64,
    },
}

impl Mirror {
    pub(crate) fn at(path: PathBuf, layer: bool) -> Self {
        Self { path, layer }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Becomes what the remote is. `sum`: what it was a moment ago; `partial`: without the content of which the remote says
    /// what it is.
    pub(crate) fn pull(
        &self,
        remote: &Remote,
        sum: Option<String>,
        partial: bool,
        company: &dyn Company,
    ) -> Result<Found> {
        go_on(company, Progress::at(Phase::Fetching))?;
        let Some(sum) = sum else {
            self.throw_away()?;
            return Ok(Found::Empty);
        };
        if is_of_layer(&sum) != self.layer {
            return Err(Error::Kind { of_remote: is_of_layer(&sum) });
        }
        if self.path.exists() && self.sum().ok().as_ref() == Some(&sum) && (partial || self.is_whole().unwrap_or(false))
        {
            return Ok(Found::Same);
        }
        let mut anew = false;
        for _ in 0..TRIES {
            match self.pull_rows(remote, partial, company) {
                Err(Error::Overtaken) => continue,
                Err(Error::Mirror(error)) => {
                    self.throw_away()?;
                    if is_full(&error) {
                        return Err(nixbox_engine::Error::Errno(libc::ENOSPC).into());
                    }
                    if anew {
                        return Err(error.into());
                    }
                    tracing::warn!(%error, "the copy of the remote is made anew");
                    anew = true;
                }
                pulled => return pulled.map(|bytes| Found::Changed { bytes }),
            }
        }
        Err(Error::Moved)
    }

    /// As a remote without a database looks: nothing in it, not even the root.
    pub(crate) fn throw_away(&self) -> Result<()> {
        for end in ["", "-wal", "-shm", "-journal"] {
            let mut name = self.path.as_os_str().to_owned();
            name.push(end);
            match std::fs::remove_file(PathBuf::from(name)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        Ok(())
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.path.metadata().map_or(0, |file| file.len())
    }

    /// Written anew without the room of what is gone. It is a copy: one that breaks off is made again.
    pub(crate) fn shrink(&self) -> Result<()> {
        match self.path.exists() {
            true => Ok(self.open()?.execute_batch("VACUUM")?),
            false => Ok(()),
        }
    }

    pub(crate) fn sum(&self) -> Result<String> {
        Ok(self.open()?.query_row(&format!("SELECT {SUM}"), [], |row| row.get(0))?)
    }

    fn is_whole(&self) -> Result<bool> {
        Ok(self.open()?.query_row("SELECT NOT EXISTS (SELECT 1 FROM nixbox_absent)", [], |row| row.get(0))?)
    }

    /// Makes it, with nothing in it.
    pub(crate) fn begin(&self) -> Result<()> {
        match self.layer {
            true => Delta::prepare(&self.path)?,
            false => Database::open_or_create(&self.path, &Options::default())?.close()?,
        }
        Ok(())
    }

    /// Something of the layer in it was written. `written`: another each time.
    pub(crate) fn mark(&self, written: &str) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO fs_config (key, value) VALUES ('nixbox_layer', ?)";
        self.open()?.execute(sql, [written])?;
        Ok(())
    }

    pub(crate) fn open(&self) -> Result<Connection> {
        if !self.path.exists() {
            self.begin()?;
        }
        let connection = Connection::open(&self.path)?;
        // New content is written once, to where it stays, and nothing is left beside it that would take room.
        connection.pragma_update(None, "journal_mode", "DELETE")?;
        connection.execute_batch(&format!("{ABSENT_TABLE}; {}", content::TABLE))?;
        Ok(connection)
    }

    /// What the remote says that it has need not lie here, too.
    pub(crate) fn let_content_go(&self) -> Result<()> {
        let mut connection = self.open()?;
        let change = connection.transaction()?;
        let known = content::known(&change)?;
        let here: Vec<i64> = {
            let mut select = change.prepare("SELECT DISTINCT ino FROM fs_data")?;
            let here = select.query_map([], |row| row.get(0))?;
            here.collect::<rusqlite::Result<_>>()?
        };
        for ino in here {
            if let Some(hash) = known.get(&ino) {
                make_absent(&change, ino, hash)?;
            }
        }
        Ok(change.commit()?)
    }

    fn pull_rows(&self, remote: &Remote, partial: bool, company: &dyn Company) -> Result<u64> {
        let mut connection = self.open()?;
        let change = connection.transaction()?;
        let before = Before::put_aside(&change)?;
        let sum = take_in(remote, &change, self.layer, company)?;
        let wanted = to_pull(&change, before.changed()?, partial)?;
        let wanted = before.have_again(wanted)?;
        for table in [DATA, "nixbox_absent"] {
            change.execute(&format!("DELETE FROM {table} WHERE ino NOT IN (SELECT ino FROM fs_inode)"), [])?;
        }
        let bytes = pull_content(remote, &change, &wanted, &sum, company)?;
        let copied: String = change.query_row(&format!("SELECT {SUM}"), [], |row| row.get(0))?;
        if copied != sum {
            return Err(Error::Foreign(format!("its rows add up to {sum}, and their copies to {copied}")));
        }
        drop(before);
        change.commit()?;
        Ok(bytes)
    }
}

const TRIES: usize = 5;

/// No room: trying again would take it from the instance once more.
fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
}

/// None where there is no AgentFS database.
pub(crate) fn remote_sum(remote: &Remote) -> Result<Option<String>> {
    match ask_for_sum(remote) {
        // Or somebody has put the first one there between the two questions.
        Err(Error::Foreign(_)) => ask_for_sum(remote),
        asked => asked,
    }
}

fn ask_for_sum(remote: &Remote) -> Result<Option<String>> {
    let rows = match remote.ask(&Step::new(format!("SELECT {SUM}"))) {
        Err(nixbox_remote::Error::Refused { message, .. }) if message.contains("no such table") => {
            let begun = "SELECT count(*) FROM sqlite_master WHERE name IN ('fs_inode', 'fs_dentry')";
            let begun = remote.ask(&Step::new(begun))?;
            let row = begun.rows.first().map(Vec::as_slice).unwrap_or_default();
            return if Rows::int(row, 0)? == 0 { Ok(None) } else { Err(Error::Foreign(message)) };
        }
        Err(nixbox_remote::Error::Refused { message, .. }) if message.contains("no such column") => {
            return Err(Error::Foreign(message));
        }
        answered => answered?,
    };
    match rows.value() {
        Some(Value::Text { value }) => Ok(Some(value.clone())),
        other => Err(nixbox_remote::Error::Junk(format!("a sum was expected, and {other:?} came")).into()),
    }
}

pub(crate) fn text(rows: &Rows) -> Result<String> {
    let row = rows.rows.first().map(Vec::as_slice).unwrap_or_default();
    Ok(Rows::text(row, 0)?.to_owned())
}

/// What of the content is to come, with sizes; the rest is absent from here on.
fn to_pull(change: &Connection, mut changed: Vec<(i64, u64)>, partial: bool) -> Result<Vec<(i64, u64)>> {
    if partial {
        let known = content::known(change)?;
        let mut wanted = Vec::new();
        for (ino, size) in changed {
            match known.get(&ino) {
                Some(hash) => make_absent(change, ino, hash)?,
                None => wanted.push((ino, size)),
            }
        }
        changed = wanted;
    } else {
        let mut select =
            change.prepare("SELECT ino, size FROM fs_inode WHERE ino IN (SELECT ino FROM nixbox_absent)")?;
        let absent = select.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
        let known: BTreeSet<i64> = changed.iter().map(|(ino, _)| *ino).collect();
        for absent in absent {
            let (ino, size) = absent?;
            if !known.contains(&ino) {
                changed.push((ino, u64::try_from(size).unwrap_or_default()));
            }
        }
    }
    let mut here = change.prepare("DELETE FROM nixbox_absent WHERE ino = ?")?;
    for (ino, _) in &changed {
        here.execute([ino])?;
    }
    changed.sort_unstable();
    Ok(changed)
}

fn make_absent(change: &Connection, ino: i64, hash: &str) -> Result<()> {
    let absent = "INSERT OR REPLACE INTO nixbox_absent (ino, hash, place) VALUES (?1, ?2, ?1)";
    change.prepare_cached(absent)?.execute(rusqlite::params![ino, hash])?;
    change.prepare_cached("DELETE FROM fs_data WHERE ino = ?")?.execute([ino])?;
    Ok(())
}

pub(crate) fn insert(table: &str, columns: &[&str], rows: usize) -> String {
    let marks = format!("({})", vec!["?"; columns.len()].join(", "));
    format!("INSERT OR REPLACE INTO {table} ({}) VALUES {}", columns.join(", "), vec![marks.as_str(); rows].join(", "))
}

/// A value of the remote's on its way into a statement.
pub(crate) struct Bound<'a>(pub(crate) &'a Value);

impl rusqlite::ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        let value = match self.0 {
            Value::Null => ValueRef::Null,
            Value::Integer { value } => ValueRef::Integer(*value),
            Value::Float { value } => ValueRef::Real(*value),
            Value::Text { value } => ValueRef::Text(value.as_bytes()),
            Value::Blob { base64 } => ValueRef::Blob(base64),
        };
        Ok(rusqlite::types::ToSqlOutput::Borrowed(value))
    }
}
