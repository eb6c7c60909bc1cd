use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, ToSql, ffi};

use super::{Arg, Disk, EachRow, Fold, Row, Store, wal_path};
use crate::error::{Error, Result, StoreError, StoreErrorKind};

/// SQLite in WAL mode, for this process alone: by [`VFS`], and not by `locking_mode = EXCLUSIVE`, which would also
/// shut out a second connection of our own.
///
/// The write-ahead log is synced through a descriptor of our own: SQLite would do it under
/// the connection's lock and hold up every reader meanwhile. Closing that descriptor is harmless, because SQLite
/// keeps its POSIX locks on the database file only.
pub(crate) struct SqliteStore {
    connection: Connection,
    path: PathBuf,
    wal: Arc<Wal>,
}

/// Locks other processes out with the first read, and keeps the index of the log in memory: no -shm file appears.
const VFS: &CStr = c"unix-excl";

struct Wal(File);

impl Disk for Wal {
    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()?;
        // Deleted under its user, as by `git clean -fdx`: what goes on being written would be gone with the process.
        match self.0.metadata()?.nlink() {
            0 => Err(io::Error::new(io::ErrorKind::NotFound, "the database was deleted while it was open")),
            _ => Ok(()),
        }
    }
}

/// Brings a database that SQLite has just written into WAL mode, as every other of ours is, and onto the disk.
pub(crate) fn settle_copy(path: &Path) -> Result<()> {
    let db = Connection::open(path).map_err(store_error)?;
    db.pragma_update(None, "journal_mode", "WAL").map_err(store_error)?;
    db.close().map_err(|(_, error)| store_error(error))?;
    Ok(File::open(path)?.sync_all()?)
}

/// See [`super::Guest`].
pub(crate) struct Guest {
    connection: Connection,
    path: PathBuf,
    wal_was_there: bool,
}

impl SqliteStore {
    pub(crate) fn visit(path: &Path) -> Result<Guest> {
        let wal_was_there = wal_path(path).exists();
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags_and_vfs(path, flags, VFS).map_err(store_error)?;
        let guest = Guest { connection, path: path.to_owned(), wal_was_there };
        guest.prepare().map_err(store_error)?;
        Ok(guest)
    }

    /// Reads a database that is not in WAL mode, without a lock and without rolling back its journal.
    pub(crate) fn peek(path: &Path) -> Result<Guest> {
        let connection = look_at(path, true)?;
        Ok(Guest { connection, path: path.to_owned(), wal_was_there: true })
    }
}

/// Opens for reading alone. `immutable`: nothing changes it, and whatever log there is does not count; else the log
/// counts, and no lock is asked for.
pub(super) fn look_at(path: &Path, immutable: bool) -> Result<Connection> {
    let mut uri = String::from("file:");
    for byte in std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()) {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => uri.push(char::from(*byte)),
            _ => uri.push_str(&format!("%{byte:02x}")),
        }
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = match immutable {
        true => Connection::open_with_flags(uri + "?immutable=1", flags),
        // Not `nolock=1`, with which SQLite reads no log.
        false => Connection::open_with_flags_and_vfs(uri, flags, c"unix-none"),
    };
    opened.map_err(store_error)
}

impl Guest {
    fn prepare(&self) -> rusqlite::Result<()> {
        self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        self.connection.busy_timeout(std::time::Duration::ZERO)
    }

    fn settle(&self) -> rusqlite::Result<()> {
        let db = &self.connection;
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
        db.set_prepared_statement_cache_capacity(128);
        // The bundled SQLite plans by bound values, too, and would prepare a cached statement anew at each call.
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        // The log is synced by `Disk` at the end of each batch; SQLite itself only has to order its checkpoints.
        db.pragma_update(None, "synchronous", "NORMAL")?;
        db.pragma_update(None, "temp_store", "MEMORY")?;
        db.pragma_update(None, "cache_size", -CACHE_KIB)?;
        // SQLite would fold the log in at a commit, and an fsync(2) would wait for work that it has no need of.
        db.pragma_update(None, "wal_autocheckpoint", 0)?;
        db.pragma_update(None, "journal_size_limit", LOG_KEPT)?;
        // Makes the log's file, which `Disk` opens.
        db.execute_batch("BEGIN IMMEDIATE; COMMIT")
    }
}

impl super::Guest for Guest {
    fn query(&mut self, sql: &str, args: &[Arg<'_>], each: EachRow<'_>) -> Result<()> {
        query(&self.connection, sql, args, each)
    }

    fn stay(self: Box<Self>) -> Result<Box<dyn Store>> {
        self.settle().map_err(store_error)?;
        let wal = Arc::new(Wal(File::open(wal_path(&self.path))?));
        Ok(Box::new(SqliteStore { connection: self.connection, path: self.path, wal }))
    }

    fn leave(self: Box<Self>) {
        let Self { connection, path, wal_was_there } = *self;
        drop(connection);
        if !wal_was_there {
            super::remove_empty_log(&path);
        }
    }
}

pub(super) const CACHE_KIB: i64 = 16 * 1024;
/// A page in the log, with its header.
const FRAME: u64 = 4096 + 24;
/// What the log's file may keep when it is begun anew.
const LOG_KEPT: i64 = 64 << 20;

impl Store for SqliteStore {
    fn execute(&mut self, sql: &str, args: &[Arg<'_>]) -> Result<usize> {
        let mut statement = self.connection.prepare_cached(sql).map_err(store_error)?;
        bind(&mut statement, args)?;
        statement.raw_execute().map_err(store_error)
    }

    fn query(&mut self, sql: &str, args: &[Arg<'_>], each: EachRow<'_>) -> Result<()> {
        query(&self.connection, sql, args, each)
    }

    fn in_transaction(&self) -> bool {
        !self.connection.is_autocommit()
    }

    fn disk(&self) -> Arc<dyn Disk> {
        self.wal.clone()
    }

    fn log_bytes(&self) -> u64 {
        self.pages_in_log(false) * FRAME
    }

    /// Keeps the log's file: the next batches overwrite it, and syncing those moves no file size and no blocks.
    fn fold_log(&mut self) -> Result<()> {
        self.checkpoint("PRAGMA wal_checkpoint(PASSIVE)")
    }

    fn shrink_log(&mut self) -> Result<()> {
        self.checkpoint("PRAGMA wal_checkpoint(TRUNCATE)")
    }

    fn folder(&self) -> Result<Option<Box<dyn Fold>>> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let second = Connection::open_with_flags_and_vfs(&self.path, flags, VFS).map_err(store_error)?;
        second.busy_timeout(std::time::Duration::ZERO).map_err(store_error)?;
        Ok(Some(Box::new(Second(second))))
    }

    fn close(mut self: Box<Self>) -> Result<()> {
        self.checkpoint("PRAGMA wal_checkpoint(TRUNCATE)")?;
        self.connection.close().map_err(|(_, error)| store_error(error))
    }
}

/// A connection beside the store's. SQLite lets it fold while the first one reads and writes.
struct Second(Connection);

impl Fold for Second {
    fn fold(&mut self) -> Result<()> {
        self.0.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).map_err(store_error)
    }
}

impl SqliteStore {
    fn checkpoint(&mut self, pragma: &str) -> Result<()> {
        let (busy, frames, folded): (i64, i64, i64) = self
            .connection
            .query_row(pragma, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .map_err(store_error)?;
        if busy != 0 || folded < frames {
            return Err(StoreError::new(StoreErrorKind::Busy, "the write-ahead log could not be folded in").into());
        }
        self.pages_in_log(true);
        Ok(())
    }

    /// Counted, as the file's length says nothing about the log in it; at will from here on anew.
    fn pages_in_log(&self, anew: bool) -> u64 {
        let (mut pages, mut highest) = (0, 0);
        // SAFETY: the handle is that of a connection that lives as long as `self` and is used by one thread at a
        // time, and both counters outlive the call.
        unsafe {
            ffi::sqlite3_db_status(
                self.connection.handle(),
                ffi::SQLITE_DBSTATUS_CACHE_WRITE,
                &raw mut pages,
                &raw mut highest,
                i32::from(anew),
            );
        }
        u64::try_from(pages).unwrap_or(0)
    }
}

pub(super) fn query(connection: &Connection, sql: &str, args: &[Arg<'_>], each: EachRow<'_>) -> Result<()> {
    let mut statement = connection.prepare_cached(sql).map_err(store_error)?;
    bind(&mut statement, args)?;
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().map_err(store_error)? {
        each(&SqliteRow(row))?;
    }
    Ok(())
}

pub(super) fn bind(statement: &mut rusqlite::CachedStatement<'_>, args: &[Arg<'_>]) -> Result<()> {
    for (index, arg) in args.iter().enumerate() {
        statement.raw_bind_parameter(index + 1, arg).map_err(store_error)?;
    }
    Ok(())
}

impl ToSql for Arg<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(value) => ValueRef::Integer(*value),
            Self::Real(value) => ValueRef::Real(*value),
            Self::Text(value) => ValueRef::Text(value.as_bytes()),
            Self::Blob(value) => ValueRef::Blob(value),
        }))
    }
}

struct SqliteRow<'a>(&'a rusqlite::Row<'a>);

impl SqliteRow<'_> {
    fn value(&self, column: usize) -> Result<ValueRef<'_>> {
        self.0.get_ref(column).map_err(store_error)
    }
}

impl Row for SqliteRow<'_> {
    fn int(&self, column: usize) -> Result<i64> {
        match self.value(column)? {
            ValueRef::Integer(value) => Ok(value),
            ValueRef::Real(value) => Ok(value as i64),
            other => Err(unexpected("a number", other)),
        }
    }

    fn real(&self, column: usize) -> Result<f64> {
        match self.value(column)? {
            ValueRef::Integer(value) => Ok(value as f64),
            ValueRef::Real(value) => Ok(value),
            other => Err(unexpected("a number", other)),
        }
    }

    fn text(&self, column: usize) -> Result<&str> {
        match self.value(column)? {
            ValueRef::Text(bytes) => std::str::from_utf8(bytes).map_err(|_| unexpected("UTF-8", ValueRef::Text(bytes))),
            other => Err(unexpected("text", other)),
        }
    }

    fn blob(&self, column: usize) -> Result<&[u8]> {
        match self.value(column)? {
            ValueRef::Blob(bytes) | ValueRef::Text(bytes) => Ok(bytes),
            other => Err(unexpected("bytes", other)),
        }
    }

    fn is_null(&self, column: usize) -> bool {
        matches!(self.0.get_ref(column), Ok(ValueRef::Null))
    }
}

fn unexpected(wanted: &str, got: ValueRef<'_>) -> Error {
    StoreError::new(StoreErrorKind::Damaged, format!("{wanted} expected, {} found", got.data_type())).into()
}

pub(super) fn store_error(error: rusqlite::Error) -> Error {
    let kind = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed) => {
            StoreErrorKind::Busy
        }
        Some(ErrorCode::DiskFull) => StoreErrorKind::Full,
        Some(ErrorCode::ReadOnly) => StoreErrorKind::ReadOnly,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreErrorKind::Damaged,
        _ => StoreErrorKind::Other,
    };
    StoreError::new(kind, error.to_string()).into()
}
