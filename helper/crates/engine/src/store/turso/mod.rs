//! Turso's engine: for databases that are encrypted, and for those that will be synced, since ciphers and the sync
//! protocol are its own. It is spoken to by `turso_core`, whose calls block, rather than by the crate `turso`, whose
//! calls are futures over that and bring a sync engine with them: so no runtime comes into this crate.

mod edge;
mod files;
mod key;
mod looking;
mod row;

use std::collections::HashMap;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use turso_core::{
    CheckpointMode, CompletionError, Connection, Database, DatabaseOpts, EncryptionKey, EncryptionOpts, LimboError,
    OpenOptions, SqliteDialect, Statement, StepResult, SyncMode,
};

use super::{Arg, Disk, EachRow, Guest, Store, wal_path};
use crate::encryption::Encryption;
use crate::error::{Error, Result, StoreError, StoreErrorKind};
use edge::{gave_up, guard};
use files::Files;
use row::{TursoRow, value};

pub use edge::is_guarded;
pub(crate) use key::prove;
pub(crate) use looking::Looking;

/// One more makes room for itself by letting all go: the engine's own statements are fewer.
const STATEMENTS: usize = 128;
const CACHE_KIB: i64 = 4 * 1024;

pub(crate) struct TursoStore {
    statements: HashMap<String, Statement>,
    /// `None` after a panic: what the library had in hand then is not to be trusted, and never written again.
    open: Option<Open>,
    files: Arc<Files>,
    path: PathBuf,
    /// A guest leaves an empty log as it found it.
    keep_log: bool,
}

struct Open {
    connection: Arc<Connection>,
    /// Holds the lock on the file; outlives the connection.
    database: Arc<Database>,
}

impl TursoStore {
    /// The lock is taken here. Nothing is written.
    pub(crate) fn open(path: &Path, encryption: Option<&Encryption>) -> Result<Self> {
        let wal = wal_path(path);
        let keep_log = wal.exists();
        let text = path.to_str().ok_or_else(|| StoreError::new(StoreErrorKind::Other, "its path is not UTF-8"))?;
        let files = Arc::new(Files::new(wal).map_err(store_error)?);
        let open = guard(|| open(text, files.clone(), encryption).map_err(store_error));
        if open.is_err() && !keep_log {
            files.forget_wal();
            super::remove_empty_log(path);
        }
        Ok(Self { statements: HashMap::new(), open: Some(open?), files, path: path.to_owned(), keep_log })
    }

    /// Runs `sql` to its end and says how many rows it changed.
    fn run(&mut self, sql: &str, args: &[Arg<'_>], each: Option<EachRow<'_>>) -> Result<usize> {
        let Self { statements, open, .. } = self;
        let connection = match open {
            Some(open) => &open.connection,
            None => return Err(gave_up("it gave up before")),
        };
        let done = guard(|| {
            let mut statement = match statements.remove(sql) {
                Some(statement) => statement,
                None => connection.prepare(sql).map_err(store_error)?,
            };
            let changed = step(&mut statement, args, each);
            // Also after a failure: an unfinished statement keeps its snapshot, and with it the log.
            let reset = statement.reset().map_err(store_error);
            let changed = changed?;
            reset?;
            if statements.len() >= STATEMENTS {
                statements.clear();
            }
            statements.insert(sql.to_owned(), statement);
            Ok(changed)
        });
        if gave_up_just_now(&done) {
            self.abandon();
        }
        done
    }

    /// Lets go of what panicked. That may panic again.
    fn abandon(&mut self) {
        let (statements, open) = (std::mem::take(&mut self.statements), self.open.take());
        let _ = guard(|| {
            drop(statements);
            drop(open);
            Ok(())
        });
    }

    fn checkpoint(&mut self) -> Result<()> {
        let Some(open) = &self.open else { return Err(gave_up("it gave up before")) };
        let mode = CheckpointMode::Truncate { upper_bound_inclusive: None };
        let done = guard(|| open.connection.checkpoint(mode).map(drop).map_err(store_error));
        if gave_up_just_now(&done) {
            self.abandon();
        }
        if done.is_ok() && self.files.wal_bytes() > 0 {
            return Err(StoreError::new(StoreErrorKind::Busy, "the write-ahead log could not be folded in").into());
        }
        done
    }
}

fn gave_up_just_now<T>(done: &Result<T>) -> bool {
    matches!(done, Err(Error::Store(StoreError { kind: StoreErrorKind::GaveUp, .. })))
}

fn open(path: &str, files: Arc<Files>, encryption: Option<&Encryption>) -> turso_core::Result<Open> {
    let key = encryption.map(|encryption| EncryptionKey::from_hex_string(encryption.hex())).transpose()?;
    let named = encryption.map(|encryption| EncryptionOpts {
        cipher: encryption.cipher().name().into(),
        hexkey: encryption.hex().into(),
    });
    let options = OpenOptions::new(Arc::new(SqliteDialect))
        .db_opts(DatabaseOpts::new().with_encryption(encryption.is_some()))
        .encryption(named);
    let database = Database::open(files, path, options)?;
    let connection = database.connect_with_encryption(key)?;
    // The log is synced by `Disk` at the end of each batch; the library only has to order its checkpoints, and those
    // come when the journal says so.
    connection.set_sync_mode(SyncMode::Normal);
    connection.wal_auto_actions_disable();
    Ok(Open { connection, database })
}

fn step(statement: &mut Statement, args: &[Arg<'_>], mut each: Option<EachRow<'_>>) -> Result<usize> {
    statement.clear_bindings();
    for (index, arg) in args.iter().enumerate() {
        let index = NonZero::new(index + 1).unwrap_or(NonZero::<usize>::MIN);
        statement.bind_at(index, value(arg)).map_err(store_error)?;
    }
    loop {
        match statement.step().map_err(store_error)? {
            StepResult::Done => return Ok(usize::try_from(statement.n_change()).unwrap_or(0)),
            StepResult::Row => {
                if let (Some(each), Some(row)) = (&mut each, statement.row()) {
                    each(&TursoRow(row))?;
                }
            }
            StepResult::IO | StepResult::Yield | StepResult::Sleep { .. } => {
                statement._io().step().map_err(store_error)?;
            }
            StepResult::Busy => return Err(store_error(LimboError::Busy)),
            StepResult::Interrupt => return Err(store_error(LimboError::Interrupt)),
        }
    }
}

impl Guest for TursoStore {
    fn query(&mut self, sql: &str, args: &[Arg<'_>], each: EachRow<'_>) -> Result<()> {
        self.run(sql, args, Some(each)).map(drop)
    }

    fn stay(mut self: Box<Self>) -> Result<Box<dyn Store>> {
        self.keep_log = false;
        self.run(&format!("PRAGMA cache_size = -{CACHE_KIB}"), &[], None)?;
        self.run("PRAGMA temp_store = MEMORY", &[], None)?;
        Ok(self)
    }

    fn leave(self: Box<Self>) {}
}

impl Store for TursoStore {
    fn execute(&mut self, sql: &str, args: &[Arg<'_>]) -> Result<usize> {
        self.run(sql, args, None)
    }

    fn query(&mut self, sql: &str, args: &[Arg<'_>], each: EachRow<'_>) -> Result<()> {
        self.run(sql, args, Some(each)).map(drop)
    }

    fn in_transaction(&self) -> bool {
        self.open.as_ref().is_some_and(|open| !open.connection.get_auto_commit())
    }

    fn disk(&self) -> Arc<dyn Disk> {
        self.files.clone()
    }

    fn log_bytes(&self) -> u64 {
        self.files.wal_bytes()
    }

    fn fold_log(&mut self) -> Result<()> {
        self.checkpoint()
    }

    fn close(mut self: Box<Self>) -> Result<()> {
        self.statements.clear();
        self.checkpoint()?;
        let Some(Open { connection, database }) = self.open.take() else { return Ok(()) };
        guard(|| {
            connection.close().map_err(store_error)?;
            drop(connection);
            Ok(())
        })?;
        // Under the lock, so that no other program has put something into it.
        super::remove_empty_log(&self.path);
        self.files.forget_wal();
        drop(database);
        Ok(())
    }
}

/// Where [`Store::close`] was not called: a log with something in it stays for the next opener.
impl Drop for TursoStore {
    fn drop(&mut self) {
        if self.open.is_some() && !self.keep_log {
            super::remove_empty_log(&self.path);
        }
        self.abandon();
        self.files.forget_wal();
    }
}

fn store_error(error: LimboError) -> Error {
    let kind = match &error {
        LimboError::Busy | LimboError::LockingError(_) | LimboError::TableLocked | LimboError::BusySnapshot => {
            StoreErrorKind::Busy
        }
        LimboError::DatabaseFull => StoreErrorKind::Full,
        LimboError::CompletionError(CompletionError::IOError(kind, _)) => match kind {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => StoreErrorKind::Full,
            std::io::ErrorKind::ReadOnlyFilesystem => StoreErrorKind::ReadOnly,
            _ => StoreErrorKind::Other,
        },
        LimboError::ReadOnly => StoreErrorKind::ReadOnly,
        LimboError::Corrupt(_)
        | LimboError::NotADB
        | LimboError::CompletionError(CompletionError::DecryptionError { .. } | CompletionError::ShortRead { .. }) => {
            StoreErrorKind::Damaged
        }
        _ => StoreErrorKind::Other,
    };
    StoreError::new(kind, error.to_string()).into()
}
