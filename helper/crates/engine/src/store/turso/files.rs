//! The library's files, through its own system calls. Two things are added: the locks are taken whatever
//! `LIMBO_DISABLE_FILE_LOCK` says, since a second writer loses data in silence; and the log can be synced from another
//! thread through the very descriptor that is locked. A second descriptor would not do: POSIX locks belong to the
//! process, and closing any descriptor of a file gives them up.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use turso_core::io::FileSyncType;
use turso_core::io::clock::{Clock, MonotonicInstant, WallClockInstant};
use turso_core::{Completion, CompletionError, File, IO, LimboError, OpenFlags, UnixIO};

use crate::store::Disk;

pub(super) struct Files {
    system: UnixIO,
    wal: PathBuf,
    open_wal: Mutex<Option<OpenWal>>,
}

#[derive(Clone)]
struct OpenWal {
    file: Arc<dyn File>,
    ino: u64,
}

impl Files {
    pub(super) fn new(wal: PathBuf) -> turso_core::Result<Self> {
        Ok(Self { system: UnixIO::new()?, wal, open_wal: Mutex::new(None) })
    }

    fn open_wal(&self) -> Option<OpenWal> {
        self.open_wal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn wal_bytes(&self) -> u64 {
        self.open_wal().and_then(|wal| wal.file.size().ok()).unwrap_or(0)
    }

    /// Lets go of the log, and of its lock once the library has, too.
    pub(super) fn forget_wal(&self) {
        self.open_wal.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Disk for Files {
    fn sync(&self) -> io::Result<()> {
        let Some(wal) = self.open_wal() else { return Ok(()) };
        wal.file.sync(Completion::new_sync(|_| {}), FileSyncType::Fsync).map(drop).map_err(io_error)?;
        // Deleted under its user, as by `git clean -fdx`: what goes on being written would be gone with the process.
        match self.wal.metadata() {
            Ok(meta) if meta.ino() == wal.ino => Ok(()),
            _ => Err(io::Error::new(io::ErrorKind::NotFound, "the database was deleted while it was open")),
        }
    }
}

fn io_error(error: LimboError) -> io::Error {
    match error {
        LimboError::CompletionError(CompletionError::IOError(kind, _)) => kind.into(),
        other => io::Error::other(other.to_string()),
    }
}

impl Clock for Files {
    fn current_time_monotonic(&self) -> MonotonicInstant {
        self.system.current_time_monotonic()
    }

    fn current_time_wall_clock(&self) -> WallClockInstant {
        self.system.current_time_wall_clock()
    }
}

impl IO for Files {
    fn open_file(&self, path: &str, flags: OpenFlags, direct: bool) -> turso_core::Result<Arc<dyn File>> {
        let file = self.system.open_file(path, flags, direct)?;
        if !flags.intersects(OpenFlags::ReadOnly | OpenFlags::NoLock) {
            file.lock_file(true)?;
        }
        if self.wal.as_os_str() == path {
            let ino = self.wal.metadata().map_err(|error| turso_core::io_error(error, "metadata"))?.ino();
            let open = OpenWal { file: file.clone(), ino };
            self.open_wal.lock().unwrap_or_else(PoisonError::into_inner).replace(open);
        }
        Ok(file)
    }

    fn remove_file(&self, path: &str) -> turso_core::Result<()> {
        self.system.remove_file(path)
    }

    fn step(&self) -> turso_core::Result<()> {
        self.system.step()
    }
}
