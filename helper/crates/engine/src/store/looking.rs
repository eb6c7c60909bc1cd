use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::sqlite::{bind, look_at, query, store_error};
use super::{Arg, Disk, EachRow, Store, wal_path};
use crate::error::{Error, Result};

/// A plain database that is read and cannot be written: SQLite has no descriptor that would let it. Neither a lock is taken
/// nor a log folded in, so whoever opens it so has made sure that nobody else has it open, and goes on doing so.
pub(crate) struct Looking {
    connection: Connection,
}

impl Looking {
    pub(crate) fn at(path: &Path) -> Result<Self> {
        // Without a log, SQLite would make an empty one: it has to be told that nothing changes.
        let has_log = wal_path(path).metadata().is_ok_and(|log| log.len() > 0);
        let connection = look_at(path, !has_log)?;
        let looking = Self { connection };
        looking.prepare().map_err(store_error)?;
        Ok(looking)
    }

    fn prepare(&self) -> rusqlite::Result<()> {
        self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        self.connection.set_prepared_statement_cache_capacity(64);
        // Before the first read: the index of the log then lives in memory and no -shm file appears.
        self.connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        self.connection.pragma_update(None, "temp_store", "MEMORY")
    }
}

impl Store for Looking {
    /// Statements that would write fail, all others do what they do.
    fn execute(&mut self, sql: &str, args: &[Arg<'_>]) -> Result<usize> {
        let mut statement = self.connection.prepare_cached(sql).map_err(store_error)?;
        if !statement.readonly() {
            return Err(Error::Errno(libc::EROFS));
        }
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
        Arc::new(Nothing)
    }

    fn log_bytes(&self) -> u64 {
        0
    }

    fn fold_log(&mut self) -> Result<()> {
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<()> {
        self.connection.close().map_err(|(_, error)| store_error(error))
    }
}

/// Nothing was written, so nothing waits.
pub(super) struct Nothing;

impl Disk for Nothing {
    fn sync(&self) -> std::io::Result<()> {
        Ok(())
    }
}
