//! The little SQL that the engine needs. Everything above is written against [`Store`] and names no library.

mod ephemeral;
mod looking;
mod sqlite;

use std::sync::Arc;

use crate::error::Result;

pub(crate) use ephemeral::EphemeralStore;
pub(crate) use looking::Looking;
pub(crate) use sqlite::{SqliteStore, settle_copy, wal_path};

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
