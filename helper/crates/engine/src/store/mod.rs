//! The little SQL that the engine needs. Everything above is written against [`Store`] and names no library.

mod ephemeral;
mod looking;
mod sqlite;
#[cfg(feature = "turso")]
mod turso;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::encryption::Encryption;
use crate::error::Result;

pub(crate) use ephemeral::EphemeralStore;
pub(crate) use sqlite::{SqliteStore, settle_copy};
#[cfg(feature = "turso")]
pub use turso::is_guarded;

/// Which library keeps a database, and how.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Backing {
    /// SQLite, in WAL mode.
    #[default]
    Sqlite,
    /// Turso, on the same plain file: what a remote can be synced with.
    #[cfg(feature = "turso")]
    Turso,
    /// Turso, with every page encrypted.
    #[cfg(feature = "turso")]
    Encrypted(Encryption),
}

impl Backing {
    pub fn encryption(&self) -> Option<&Encryption> {
        match self {
            #[cfg(feature = "turso")]
            Self::Encrypted(encryption) => Some(encryption),
            _ => None,
        }
    }
}

/// A database that was opened and not changed, and would be left as it was: it may turn out to be somebody else's.
pub(crate) trait Guest {
    fn query(&mut self, sql: &str, args: &[Arg<'_>], each: EachRow<'_>) -> Result<()>;
    /// Makes the database ours: from here on it may be written.
    fn stay(self: Box<Self>) -> Result<Box<dyn Store>>;
    /// Leaves everything as it was found.
    fn leave(self: Box<Self>);
}

/// Opens without a write: not even a write-ahead log that another program left behind is folded in before
/// [`Guest::stay`].
pub(crate) fn visit(path: &Path, backing: &Backing) -> Result<Box<dyn Guest>> {
    match backing {
        Backing::Sqlite => Ok(Box::new(SqliteStore::visit(path)?)),
        #[cfg(feature = "turso")]
        Backing::Turso => Ok(Box::new(turso::TursoStore::open(path, None)?)),
        #[cfg(feature = "turso")]
        Backing::Encrypted(encryption) => Ok(Box::new(turso::TursoStore::open(path, Some(encryption))?)),
    }
}

/// Opens what is read and cannot be written. Nobody else writes it meanwhile.
pub(crate) fn look_at(path: &Path, backing: &Backing) -> Result<Box<dyn Store>> {
    match backing {
        #[cfg(feature = "turso")]
        Backing::Encrypted(encryption) => Ok(Box::new(turso::Looking::at(path, encryption)?)),
        _ => Ok(Box::new(looking::Looking::at(path)?)),
    }
}

/// Whether `encryption` is what the file at `path` was encrypted with. Only reads, and takes no lock.
#[cfg(feature = "turso")]
pub(crate) fn prove(path: &Path, encryption: &Encryption) -> Result<()> {
    turso::prove(path, encryption)
}

/// Both libraries keep their log there.
pub(crate) fn wal_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// One that a library made at opening and wrote nothing to.
fn remove_empty_log(database: &Path) {
    let wal = wal_path(database);
    if wal.metadata().is_ok_and(|meta| meta.len() == 0) {
        let _ = std::fs::remove_file(wal);
    }
}

/// A value on its way into a statement.
#[derive(Debug, Clone, Copy)]
pub enum Arg<'a> {
    Null,
    Int(i64),
    Real(f64),
    Text(&'a str),
    Blob(&'a [u8]),
}

impl From<i64> for Arg<'_> {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u64> for Arg<'_> {
    /// Inode numbers, sizes and chunk numbers; all are kept below 2^63 where they come in.
    fn from(value: u64) -> Self {
        Self::Int(value as i64)
    }
}

impl From<u32> for Arg<'_> {
    fn from(value: u32) -> Self {
        Self::Int(i64::from(value))
    }
}

impl From<f64> for Arg<'_> {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl<'a, T: Into<Arg<'a>>> From<Option<T>> for Arg<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl<'a> From<&'a str> for Arg<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(value)
    }
}

impl<'a> From<&'a [u8]> for Arg<'a> {
    fn from(value: &'a [u8]) -> Self {
        Self::Blob(value)
    }
}

/// One row of an answer, lent for the length of a callback.
pub trait Row {
    /// Numbers that another program stored as a fraction lose it.
    fn int(&self, column: usize) -> Result<i64>;
    /// Whether another program stored it whole or as a fraction.
    fn real(&self, column: usize) -> Result<f64>;
    fn text(&self, column: usize) -> Result<&str>;
    fn blob(&self, column: usize) -> Result<&[u8]>;
    fn is_null(&self, column: usize) -> bool;
}

pub type EachRow<'a> = &'a mut dyn FnMut(&dyn Row) -> Result<()>;

/// A database, open, held by nobody else. Statements are cached by their text.
pub trait Store: Send {
    /// Runs one statement and says how many rows it changed.
    fn execute(&mut self, sql: &str, args: &[Arg<'_>]) -> Result<usize>;
    fn query(&mut self, sql: &str, args: &[Arg<'_>], each: EachRow<'_>) -> Result<()>;
    /// False after a failure so grave that the store rolled the transaction back by itself.
    fn in_transaction(&self) -> bool;
    /// Puts what is committed on the disk, from any thread, without holding up the store.
    fn disk(&self) -> Arc<dyn Disk>;
    /// How much waits in the log, not yet in the database file.
    fn log_bytes(&self) -> u64;
    /// Brings the log into the database file and empties it. Not inside a transaction.
    fn fold_log(&mut self) -> Result<()>;
    /// The same, and gives back the room that it had on the disk, where the store can do that while it is open.
    fn shrink_log(&mut self) -> Result<()> {
        self.fold_log()
    }
    /// Something that folds from another thread while the store goes on; `None` where only the store itself can.
    fn folder(&self) -> Result<Option<Box<dyn Fold>>> {
        Ok(None)
    }
    /// Leaves one file that any SQLite can open, with nothing beside it.
    fn close(self: Box<Self>) -> Result<()>;
}

/// See [`Store::folder`]. Gone before the store is closed.
pub trait Fold: Send {
    /// Brings what was committed when it began into the database file. The log is begun anew only after a
    /// [`Store::fold_log`] that had nothing left to do, or little.
    fn fold(&mut self) -> Result<()>;
}

/// See [`Store::disk`].
pub trait Disk: Send + Sync {
    fn sync(&self) -> std::io::Result<()>;
}

/// The first row's answer, if there is a row.
pub(crate) fn first<T>(
    store: &mut dyn Store,
    sql: &str,
    args: &[Arg<'_>],
    mut read: impl FnMut(&dyn Row) -> Result<T>,
) -> Result<Option<T>> {
    let mut found = None;
    store.query(sql, args, &mut |row| {
        if found.is_none() {
            found = Some(read(row)?);
        }
        Ok(())
    })?;
    Ok(found)
}
