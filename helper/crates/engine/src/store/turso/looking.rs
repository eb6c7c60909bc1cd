use std::path::Path;
use std::sync::Arc;

use super::TursoStore;
use crate::encryption::Encryption;
use crate::error::Result;
use crate::store::looking::Nothing;
use crate::store::{Arg, Disk, EachRow, Store};

/// An encrypted database that is read and cannot be written, and whose log is left as it was found.
pub(crate) struct Looking(TursoStore);

impl Looking {
    pub(crate) fn at(path: &Path, encryption: &Encryption) -> Result<Self> {
        let mut store = TursoStore::open(path, Some(encryption))?;
        store.run("PRAGMA temp_store = MEMORY", &[], None)?;
        store.run("PRAGMA query_only = 1", &[], None)?;
        Ok(Self(store))
    }
}

impl Store for Looking {
    /// Statements that would write fail, all others do what they do.
    fn execute(&mut self, sql: &str, args: &[Arg<'_>]) -> Result<usize> {
        self.0.run(sql, args, None)
    }

    fn query(&mut self, sql: &str, args: &[Arg<'_>], each: EachRow<'_>) -> Result<()> {
        self.0.run(sql, args, Some(each)).map(drop)
    }

    fn in_transaction(&self) -> bool {
        self.0.in_transaction()
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
        Ok(())
    }
}
