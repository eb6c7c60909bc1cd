//! One AgentFS database, open.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result, StoreError, StoreErrorKind};
use crate::files::{Files, Limits};
use crate::filesystem::{Caller, FileSystem};
use crate::kv::Kv;
use crate::overlay::{Base, BaseOptions, Overlay};
use crate::probe::{self, Found, OpenHere};
use crate::schema;
use crate::store::{SqliteStore, Store, wal_path};
use crate::tool_calls::ToolCalls;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// For a database that is created; an existing one keeps its own.
    pub chunk_size: u32,
    /// Refuses every change through [`Files`] with `EROFS`.
    pub read_only: bool,
    /// Who owns the root of a database that is created. The process, where not said.
    pub owner: Option<Caller>,
    /// How much it may hold.
    pub limits: Limits,
    /// The folder that it lies over. It must exist, and be the one that the database has on record, if any.
    pub base: Option<BaseOptions>,
}

impl Default for Options {
    fn default() -> Self {
        Self { chunk_size: DEFAULT_CHUNK_SIZE, read_only: false, owner: None, limits: Limits::default(), base: None }
    }
}

pub const DEFAULT_CHUNK_SIZE: u32 = 16 * 1024;

/// Holds the file alone until it is closed or dropped.
pub struct Database {
    path: PathBuf,
    files: Arc<Files>,
    overlay: Option<Arc<Overlay>>,
    _open_here: OpenHere,
}

impl Database {
    /// What is not an AgentFS database, or one in use, is left byte for byte as it is.
    pub fn open_or_create(path: &Path, options: &Options) -> Result<Self> {
        if !(1..=schema::MAX_CHUNK_SIZE).contains(&options.chunk_size) {
            return Err(Error::Errno(libc::EINVAL));
        }
        // Before the database is touched.
        let base = options.base.as_ref().map(|base| Base::open(&base.path)).transpose()?;
        let path = resolve(path)?;
        let found = probe::look(&path)?;
        match Self::open_found(&path, found, options, base) {
            // Another program was quicker than this one since the look.
            Err(Error::Store(StoreError { kind: StoreErrorKind::Busy, .. })) => {
                probe::refuse_if_held(&path, &path)?;
                Err(Error::Busy { path, pid: None })
            }
            Err(Error::Store(StoreError { kind: StoreErrorKind::Damaged, message })) => {
                Err(Error::Damaged { path, reason: message })
            }
            other => other,
        }
    }

    fn open_found(path: &Path, found: Found, options: &Options, base: Option<Base>) -> Result<Self> {
        let below = base.as_ref().map(|base| base.path().to_owned());
        let below = below.as_deref();
        if found == Found::Rollback {
            let mut guest = SqliteStore::peek(path)?;
            schema::recognise(path, below, &mut |sql, args, each| guest.query(sql, args, each))?;
        }
        let mut guest = SqliteStore::visit(path)?;
        let open_here = OpenHere::claim(path)?;
        if let Err(error) = schema::recognise(path, below, &mut |sql, args, each| guest.query(sql, args, each)) {
            guest.leave();
            return Err(error);
        }
        let mut store = guest.stay()?;
        let owner = options
            .owner
            .unwrap_or_else(|| Caller { uid: nix::unistd::getuid().as_raw(), gid: nix::unistd::getgid().as_raw() });
        let chunk_size = schema::complete(&mut store, path, options.chunk_size, owner, below)?;
        if found == Found::New {
            store.disk().sync()?;
            sync_folder(path)?;
        }
        let files = Arc::new(Files::new(Box::new(store), path, chunk_size, options.read_only, options.limits)?);
        let mut database = Self { path: path.to_owned(), files, overlay: None, _open_here: open_here };
        if let (Some(base), Some(options)) = (base, &options.base) {
            database.overlay = Some(Arc::new(Overlay::new(database.files.clone(), base, options)?));
        }
        Ok(database)
    }

    /// The database file, with symbolic links resolved.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn files(&self) -> Arc<Files> {
        self.files.clone()
    }

    pub fn kv(&self) -> Kv {
        Kv::new(self.files.clone())
    }

    pub fn tool_calls(&self) -> ToolCalls {
        ToolCalls::new(self.files.clone())
    }

    /// The view over the base, where there is one.
    pub fn overlay(&self) -> Option<Arc<Overlay>> {
        self.overlay.clone()
    }

    /// What a front end shows: the view over the base, or the database's own files where there is none.
    pub fn tree(&self) -> Arc<dyn FileSystem> {
        match &self.overlay {
            Some(overlay) => overlay.clone(),
            None => self.files.clone(),
        }
    }

    /// Commits everything and leaves one file with nothing beside it. `Files` still held answer `EIO` from here on.
    pub fn close(self) -> Result<()> {
        self.files.close()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Err(error) = self.files.close() {
            tracing::error!(%error, database = %self.path.display(), "closing the database failed");
        }
    }
}

/// SQLite puts its log beside the real file, so the real file is what is looked at and locked.
fn resolve(path: &Path) -> Result<PathBuf> {
    match path.canonicalize() {
        Ok(path) => Ok(path),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let name = path.file_name().ok_or(error)?;
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            Ok(folder.canonicalize()?.join(name))
        }
        Err(error) => Err(error.into()),
    }
}

/// Without it a crash of the machine could take the new file's name and leave its content.
fn sync_folder(path: &Path) -> Result<()> {
    debug_assert!(wal_path(path).exists());
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}
