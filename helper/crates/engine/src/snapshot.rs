//! A database as it was at one moment, while others go on working with it: its file is copied while it holds still, and
//! what happens meanwhile waits in the log.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::absent::Absent;
use crate::agreed::Agreed;
use crate::database::{Mode, Options};
use crate::delta::Delta;
use crate::direct::Direct;
use crate::error::{Error, Result};
use crate::files::{Files, Limits};
use crate::filesystem::FileSystem;
use crate::kv::Kv;
use crate::overlay::{Base, BaseOptions, Overlay};
use crate::schema;
use crate::store::{self, Backing, Store, settle_copy};
use crate::tool_calls::ToolCalls;
use crate::upkeep;

/// Where copies of one open database come from.
#[derive(Clone)]
pub struct Snapshots {
    files: Arc<Files>,
    path: PathBuf,
    mode: Mode,
    backing: Backing,
    base: Option<BaseOptions>,
    overlay: Option<Arc<Overlay>>,
    direct: Option<Arc<Direct>>,
    /// Closing any descriptor of the database would drop the locks that this process holds on it, so the one that is
    /// read from is kept for as long as the database may be open.
    source: Arc<Mutex<Option<File>>>,
}

impl Snapshots {
    pub(crate) fn of(
        files: Arc<Files>,
        path: &Path,
        options: &Options,
        overlay: Option<Arc<Overlay>>,
        direct: Option<Arc<Direct>>,
    ) -> Self {
        let (path, base) = (path.to_owned(), options.base.clone());
        let backing = options.backing.clone();
        Self { files, path, mode: options.mode, backing, base, overlay, direct, source: Arc::default() }
    }

    /// What a copy is kept in, as the database is.
    pub fn backing(&self) -> &Backing {
        &self.backing
    }

    /// Folds the database's log into it and gives the log's room back to the disk. An ephemeral one has none.
    pub fn shrink(&self) -> Result<()> {
        match self.mode {
            Mode::Ephemeral => Ok(()),
            Mode::Overlay | Mode::Direct => self.files.shrink(),
        }
    }

    /// What the database and its log take on the disk.
    pub fn bytes(&self) -> u64 {
        let size = |path: &Path| path.metadata().map_or(0, |file| file.len());
        size(&self.path) + size(&store::wal_path(&self.path))
    }

    /// What the database has of its own, now, where it lies over a base.
    pub fn delta(&self) -> Option<Delta> {
        self.overlay.clone().map(|overlay| Delta::new(self.files.clone(), Some(overlay)))
    }

    /// Makes `copy`, a whole database in one file, which is not there yet. It has everything that was acknowledged
    /// before, and nothing after.
    pub fn copy_to(&self, copy: &Path) -> Result<()> {
        let copied = match self.mode {
            // It has no file that could be copied.
            Mode::Ephemeral => self.files.copy_to(copy).and_then(|()| settle_copy(copy)),
            Mode::Overlay | Mode::Direct => self.copy_file(copy),
        };
        if copied.is_err() {
            let _ = fs::remove_file(copy);
        }
        copied
    }

    fn copy_file(&self, copy: &Path) -> Result<()> {
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        let source = match &mut *source {
            Some(source) => source,
            none => none.insert(File::open(&self.path)?),
        };
        self.files.pinned(|| {
            io::Seek::rewind(source)?;
            let mut target = File::options().write(true).create_new(true).open(copy)?;
            io::copy(source, &mut target)?;
            Ok(())
        })
    }

    /// Opens such a copy for reading, over the base if there is one. The copy's name is gone afterwards, and its room
    /// with the value. Where a base is written in place, that itself is what is read.
    pub fn take(&self, copy: &Path) -> Result<Taken> {
        self.copy_to(copy)?;
        let base = self.base.as_ref().filter(|_| self.direct.is_none());
        let opened = store::look_at(copy, &self.backing).and_then(|store| Taken::over(store, copy, base));
        let _ = fs::remove_file(copy);
        opened.map(|mut taken| {
            taken.direct = self.direct.clone();
            self.files.share_origin(&taken.files);
            taken
        })
    }
}

/// A database that is only read.
pub struct Taken {
    files: Arc<Files>,
    overlay: Option<Arc<Overlay>>,
    direct: Option<Arc<Direct>>,
}

impl Taken {
    /// A database of any AgentFS program that nobody has open. An overlay holds only what differs from its base, so it
    /// is refused, and so is one that is encrypted with another key than `ours`.
    pub fn foreign(path: &Path, ours: &Backing) -> Result<Self> {
        let mut looked = upkeep::look_at_present(path, upkeep::kept_in(path, ours)?)?;
        let base = schema::recorded_base(&mut |sql, args, each| looked.store.query(sql, args, each))?;
        match base {
            Some(base) => Err(Error::Overlay { path: path.to_owned(), base }),
            None => Self::over(looked.store, path, None),
        }
    }

    fn over(mut store: Box<dyn Store>, path: &Path, base: Option<&BaseOptions>) -> Result<Self> {
        let chunk_size = schema::chunk_size_of(&mut *store, path)?;
        let files = Arc::new(Files::new(store, path, chunk_size, true, Limits::default())?);
        let mut taken = Self { files, overlay: None, direct: None };
        if let Some(options) = base {
            let base = Base::open(&options.path)?;
            taken.overlay = Some(Arc::new(Overlay::new(taken.files.clone(), base, options)?));
        }
        Ok(taken)
    }

    pub fn tree(&self) -> Arc<dyn FileSystem> {
        match (&self.overlay, &self.direct) {
            (Some(overlay), _) => overlay.clone(),
            (None, Some(direct)) => direct.clone(),
            (None, None) => self.files.clone(),
        }
    }

    pub fn kv(&self) -> Kv {
        Kv::new(self.files.clone())
    }

    pub fn absent(&self) -> Absent {
        Absent::new(self.files.clone())
    }

    /// What it has of its own over a base, or keeps of one that has.
    pub fn delta(&self) -> Delta {
        Delta::new(self.files.clone(), self.overlay.clone())
    }

    pub fn agreed(&self) -> Agreed {
        Agreed::new(self.files.clone())
    }

    pub fn tool_calls(&self) -> ToolCalls {
        ToolCalls::new(self.files.clone())
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if let Err(error) = self.files.close() {
            tracing::debug!(%error, "closing a copy");
        }
    }
}
