//! A database that nobody can find: SQLite keeps it in memory and, what is too much for that, in a file that it deletes
//! as soon as it is open. It is gone with the process, however that ends.

use std::path::PathBuf;
use std::sync::Arc;

use nix::unistd::{AccessFlags, access};
use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::sqlite::{CACHE_KIB, bind, query, store_error};
use super::{Arg, Disk, EachRow, Store};
use crate::error::Result;

pub(crate) struct EphemeralStore(Connection);

struct Nowhere;

impl Disk for Nowhere {
    fn sync(&self) -> std::io::Result<()> {
        Ok(())
    }
}

impl EphemeralStore {
    pub(crate) fn open() -> Result<Self> {
        Self::begin().map(Self).map_err(store_error)
    }

    fn begin() -> rusqlite::Result<Connection> {
        // The empty name is SQLite's word for such a database.
        let db = Connection::open("")?;
        db.set_prepared_statement_cache_capacity(128);
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        // A change that fails is undone, out of memory; a crash leaves nothing to undo.
        db.pragma_update(None, "journal_mode", "MEMORY")?;
        db.pragma_update(None, "synchronous", "OFF")?;
        db.pragma_update(None, "cache_size", -CACHE_KIB)?;
        Ok(db)
    }

    /// The folder in which SQLite makes that file: the first of these, in its own order.
    pub(crate) fn folder() -> PathBuf {
        let named = ["SQLITE_TMPDIR", "TMPDIR"].into_iter().filter_map(std::env::var_os).map(PathBuf::from);
        let usual = ["/var/tmp", "/usr/tmp", "/tmp"].map(PathBuf::from);
        let usable =
            |folder: &PathBuf| folder.is_dir() && access(folder, AccessFlags::W_OK | AccessFlags::X_OK).is_ok();
        named.chain(usual).find(usable).unwrap_or_else(|| ".".into())
    }
}

impl Store for EphemeralStore {
    fn execute(&mut self, sql: &str, args: &[Arg<'_>]) -> Result<usize> {
        let mut statement = self.0.prepare_cached(sql).map_err(store_error)?;
        bind(&mut statement, args)?;
        statement.raw_execute().map_err(store_error)
    }

    fn query(&mut self, sql: &str, args: &[Arg<'_>], each: EachRow<'_>) -> Result<()> {
        query(&self.0, sql, args, each)
    }

    fn in_transaction(&self) -> bool {
        !self.0.is_autocommit()
    }

    fn disk(&self) -> Arc<dyn Disk> {
        Arc::new(Nowhere)
    }

    fn log_bytes(&self) -> u64 {
        0
    }

    fn fold_log(&mut self) -> Result<()> {
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<()> {
        self.0.close().map_err(|(_, error)| store_error(error))
    }
}
