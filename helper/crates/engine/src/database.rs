//! One AgentFS database, open.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::fcntl::{RenameFlags, renameat2};

use crate::absent::Absent;
use crate::agreed::Agreed;
#[cfg(feature = "turso")]
use crate::beside::{self, Beside};
use crate::delta::Delta;
use crate::direct::Direct;
use crate::error::{Error, Result, StoreError, StoreErrorKind};
use crate::files::{Files, Limits};
use crate::filesystem::{Caller, FileSystem};
use crate::kv::Kv;
use crate::layers::Layers;
use crate::meters::{Load, Meters};
use crate::overlay::{Base, BaseOptions, Overlay};
use crate::probe::{self, Found, OpenHere};
use crate::review::Review;
use crate::schema::{self, Over};
use crate::snapshot::Snapshots;
use crate::store::{self, Backing, EphemeralStore, Guest as _, SqliteStore, settle_copy};
use crate::tool_calls::ToolCalls;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// For a database that is created; an existing one keeps its own.
    pub chunk_size: u32,
    /// Refuses every change through [`Files`] with `EROFS`.
    pub read_only: bool,
    /// Who owns the root of a database that is created. The process, where not said.
    pub owner: Option<Caller>,
    pub mode: Mode,
    /// How much it may hold.
    pub limits: Limits,
    /// The folder that it lies over. It must exist, and be the one that the database has on record, if any.
    pub base: Option<BaseOptions>,
    /// Which library keeps the file, and with what key. An ephemeral one has no file.
    pub backing: Backing,
}

impl Options {
    fn owner(&self) -> Caller {
        let process = || Caller { uid: nix::unistd::getuid().as_raw(), gid: nix::unistd::getgid().as_raw() };
        self.owner.unwrap_or_else(process)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            chunk_size: DEFAULT_CHUNK_SIZE,
            read_only: false,
            owner: None,
            mode: Mode::default(),
            limits: Limits::default(),
            base: None,
            backing: Backing::Sqlite,
        }
    }
}

/// Where what is changed goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Into the database: over the base, where there is one.
    #[default]
    Overlay,
    /// Into the base itself. Values and the tool log are the database's all the same; it must have no files of its own.
    Direct,
    /// Nowhere that outlives this process, unless it is kept in the end.
    Ephemeral,
}

pub const DEFAULT_CHUNK_SIZE: u32 = 16 * 1024;

/// Holds the file alone until it is closed or dropped.
pub struct Database {
    path: PathBuf,
    files: Arc<Files>,
    mode: Mode,
    overlay: Option<Arc<Overlay>>,
    direct: Option<Arc<Direct>>,
    snapshots: Snapshots,
    _open_here: Option<OpenHere>,
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
        if options.mode == Mode::Ephemeral {
            return Self::open_nowhere(&path, options, base);
        }
        #[allow(unused_mut)]
        let mut found = probe::look(&path)?;
        check_key(&path, found, &options.backing)?;
        beside::sweep(&path)?;
        #[cfg(feature = "turso")]
        if found == Found::New && options.backing != Backing::Sqlite {
            let recorded = base.as_ref().map(Base::path).filter(|_| options.mode != Mode::Direct);
            create(&path, options, recorded)?;
            found = probe::look(&path)?;
        }
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
        let over = match (&below, options.mode) {
            (None, _) => Over::Nothing,
            (Some(_), Mode::Direct) => Over::Instead,
            (Some(base), _) => Over::Base(base),
        };
        if found == Found::Rollback {
            let mut guest = SqliteStore::peek(path)?;
            schema::recognise(path, over, &mut |sql, args, each| guest.query(sql, args, each))?;
        }
        let mut guest = store::visit(path, &options.backing)?;
        let open_here = OpenHere::claim(path)?;
        if let Err(error) = schema::recognise(path, over, &mut |sql, args, each| guest.query(sql, args, each)) {
            guest.leave();
            return Err(error);
        }
        let mut store = guest.stay()?;
        let recorded = if let Over::Base(base) = over { Some(base) } else { None };
        let chunk_size = schema::complete(&mut *store, path, options.chunk_size, options.owner(), recorded)?;
        if found == Found::New {
            store.disk().sync()?;
            sync_folder(path)?;
        }
        let files = Files::new(store, path, chunk_size, options.read_only, options.limits)?;
        Self::over(path, files, options, base, Some(open_here))
    }

    fn open_nowhere(path: &Path, options: &Options, base: Option<Base>) -> Result<Self> {
        let mut store = EphemeralStore::open()?;
        let below = base.as_ref().map(Base::path);
        let chunk_size = schema::complete(&mut store, path, options.chunk_size, options.owner(), below)?;
        let folder = EphemeralStore::folder();
        let files = Files::new(Box::new(store), &folder, chunk_size, options.read_only, options.limits)?;
        Self::over(path, files, options, base, None)
    }

    fn over(
        path: &Path,
        files: Files,
        options: &Options,
        base: Option<Base>,
        open_here: Option<OpenHere>,
    ) -> Result<Self> {
        let files = Arc::new(files);
        let (mut overlay, mut direct) = (None, None);
        match (base, &options.base) {
            (Some(base), Some(below)) if options.mode == Mode::Direct => {
                let folder = Arc::new(Direct::new(files.clone(), base, below)?);
                folder.sweep()?;
                direct = Some(folder);
            }
            (Some(base), Some(below)) => overlay = Some(Arc::new(Overlay::new(files.clone(), base, below)?)),
            _ => {}
        }
        let snapshots = Snapshots::of(files.clone(), path, options, overlay.clone(), direct.clone());
        let (path, mode) = (path.to_owned(), options.mode);
        Ok(Self { path, files, mode, overlay, direct, snapshots, _open_here: open_here })
    }

    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The database file, with symbolic links resolved; of an ephemeral one, where it may be kept.
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

    pub fn absent(&self) -> Absent {
        Absent::new(self.files.clone())
    }

    pub fn agreed(&self) -> Agreed {
        Agreed::new(self.files.clone())
    }

    pub fn snapshots(&self) -> Snapshots {
        self.snapshots.clone()
    }

    /// The view over the base, where there is one.
    pub fn overlay(&self) -> Option<Arc<Overlay>> {
        self.overlay.clone()
    }

    /// Of a view over a base.
    pub fn layers(&self) -> Option<Layers> {
        self.overlay.clone().map(Layers::of)
    }

    /// What it has of its own over a base, or keeps of one that has.
    pub fn delta(&self) -> Delta {
        Delta::new(self.files.clone(), self.overlay.clone())
    }

    /// Whether the table of inodes has lost what keeps a program that relies on it from giving a number twice.
    pub fn reuses_inode_numbers(&self) -> bool {
        !self.files.keeps_sequence()
    }

    /// What it comes to against its base.
    pub fn review(&self) -> Review {
        Review::new(self.files.clone(), self.overlay.clone())
    }

    /// The base itself, where it is written in place: there is nothing to review then.
    pub fn direct(&self) -> Option<Arc<Direct>> {
        self.direct.clone()
    }

    /// What a front end shows: the view over the base, the base itself, or the database's own files where there is none.
    pub fn tree(&self) -> Arc<dyn FileSystem> {
        match (&self.overlay, &self.direct) {
            (Some(overlay), _) => overlay.clone(),
            (None, Some(direct)) => direct.clone(),
            (None, None) => self.files.clone(),
        }
    }

    /// Saves an ephemeral database at its path: whole, or not at all, and never over anything that is there.
    pub fn keep(&self) -> Result<()> {
        let path = &self.path;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let part = path.with_file_name(format!(".{name}.{}.part", std::process::id()));
        let kept = self.keep_as(&part, path);
        if kept.is_err() {
            let _ = std::fs::remove_file(&part);
        }
        kept
    }

    fn keep_as(&self, part: &Path, path: &Path) -> Result<()> {
        match std::fs::remove_file(part) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        self.files.copy_to(part)?;
        settle_copy(part)?;
        let here = nix::fcntl::AT_FDCWD;
        renameat2(here, part, here, path, RenameFlags::RENAME_NOREPLACE).map_err(std::io::Error::from)?;
        sync_folder(path)
    }

    /// To be asked again and again while the database is open; closed, it has nothing in hand.
    pub fn gauges(&self) -> Gauges {
        Gauges { files: self.files.clone(), path: self.path.clone() }
    }

    /// Commits everything and leaves one file with nothing beside it. `Files` still held answer `EIO` from here on.
    pub fn close(self) -> Result<()> {
        self.files.close()
    }
}

/// What there is to measure of an open database, at little cost.
#[derive(Clone)]
pub struct Gauges {
    files: Arc<Files>,
    path: PathBuf,
}

impl Gauges {
    pub fn meters(&self) -> &Meters {
        self.files.meters()
    }

    pub fn load(&self) -> Load {
        self.files.load()
    }

    /// Of the database file, without its log.
    pub fn file_bytes(&self) -> u64 {
        self.path.metadata().map_or(0, |file| file.len())
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
pub(crate) fn resolve(path: &Path) -> Result<PathBuf> {
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

/// Turso keeps a new file empty until its log is first folded in: killed before that, it would leave a database that
/// nobody can tell from a damaged one.
#[cfg(feature = "turso")]
fn create(path: &Path, options: &Options, base: Option<&Path>) -> Result<()> {
    let beside = Beside::of(path)?;
    let mut store = store::visit(beside.path(), &options.backing)?.stay()?;
    schema::complete(&mut *store, path, options.chunk_size, options.owner(), base)?;
    store.close()?;
    beside.put()
}

/// Whether the key, or that there is none, goes with what was found. Only reads.
pub(crate) fn check_key(path: &Path, found: Found, backing: &Backing) -> Result<()> {
    let path = path.to_owned();
    match (found, backing.encryption()) {
        (Found::Encrypted(cipher), None) => Err(Error::Encrypted { path, cipher }),
        (Found::Encrypted(found), Some(declared)) if found != declared.cipher() => {
            Err(Error::OtherCipher { path, declared: declared.cipher(), found })
        }
        #[cfg(feature = "turso")]
        (Found::Encrypted(_), Some(encryption)) => store::prove(&path, encryption),
        (Found::Wal | Found::Rollback, Some(_)) => Err(Error::NotEncrypted { path }),
        _ => Ok(()),
    }
}

/// Without it a crash of the machine could take the new file's name and leave its content.
pub(crate) fn sync_folder(path: &Path) -> Result<()> {
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}
