//! What lies at a path and who holds it, found out before any database library touches it.

use std::collections::HashSet;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use nix::fcntl::{FcntlArg, fcntl};

use crate::error::{Error, Result};
use crate::store::wal_path;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing, or an empty file.
    New,
    /// An SQLite file in WAL mode.
    Wal,
    /// An SQLite file with a rollback journal.
    Rollback,
}

/// POSIX locks belong to the process, and closing any descriptor of a file drops them all: a second look at a
/// database that this process has open would silently unlock it. So those are known by number and not opened.
static OPEN_HERE: Mutex<Option<HashSet<(u64, u64)>>> = Mutex::new(None);

/// Marks a database as open in this process for as long as it lives.
#[derive(Debug)]
pub(crate) struct OpenHere((u64, u64));

impl OpenHere {
    pub(crate) fn claim(path: &Path) -> Result<Self> {
        let meta = path.metadata()?;
        let id = (meta.dev(), meta.ino());
        let mut open = OPEN_HERE.lock().unwrap_or_else(PoisonError::into_inner);
        if open.get_or_insert_default().insert(id) { Ok(Self(id)) } else { Err(busy_here(path)) }
    }
}

impl Drop for OpenHere {
    fn drop(&mut self) {
        let mut open = OPEN_HERE.lock().unwrap_or_else(PoisonError::into_inner);
        open.get_or_insert_default().remove(&self.0);
    }
}

fn busy_here(path: &Path) -> Error {
    Error::Busy { path: path.to_owned(), pid: i32::try_from(std::process::id()).ok() }
}

fn is_open_here(meta: &Metadata) -> bool {
    let open = OPEN_HERE.lock().unwrap_or_else(PoisonError::into_inner);
    open.as_ref().is_some_and(|open| open.contains(&(meta.dev(), meta.ino())))
}

/// Reads, and leaves every byte.
pub(crate) fn look(path: &Path) -> Result<Found> {
    let not = |reason: &str| Error::NotAgentFs { path: path.to_owned(), reason: reason.into() };
    let meta = match path.metadata() {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::New),
        Err(error) => return Err(error.into()),
    };
    if meta.is_dir() {
        return Err(not("a folder"));
    }
    if !meta.is_file() {
        return Err(not("not a regular file"));
    }
    if is_open_here(&meta) {
        return Err(busy_here(path));
    }
    refuse_if_held(path, path)?;
    refuse_if_held(path, &wal_path(path))?;

    let mut head = Vec::new();
    File::open(path)?.take(20).read_to_end(&mut head)?;
    if head.is_empty() {
        // SQLite would throw the log away.
        return match wal_path(path).metadata() {
            Ok(wal) if wal.len() > 0 => Err(Error::Damaged {
                path: path.to_owned(),
                reason: "the file is empty and its write-ahead log is not".into(),
            }),
            _ => Ok(Found::New),
        };
    }
    if head.starts_with(b"Turso") {
        return Err(Error::Encrypted { path: path.to_owned() });
    }
    match (head.starts_with(b"SQLite format 3\0"), head.get(18..20)) {
        (true, Some([2, 2])) => Ok(Found::Wal),
        (true, Some([1, 1])) => Ok(Found::Rollback),
        (true, _) => Err(Error::Damaged { path: path.to_owned(), reason: "its header is cut off or unknown".into() }),
        (false, _) => Err(not("not an SQLite file")),
    }
}

/// Turso locks the whole of both files for as long as it has them open; SQLite, part of the first.
pub(crate) fn refuse_if_held(database: &Path, file: &Path) -> Result<()> {
    let file = match File::options().read(true).write(true).open(file) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    match holder(&file)? {
        Some(pid) => Err(Error::Busy { path: database.to_owned(), pid: (pid > 0).then_some(pid) }),
        None => Ok(()),
    }
}

/// The process whose lock stands in the way of an exclusive one; -1 where the lock belongs to no process.
fn holder(file: impl AsFd) -> io::Result<Option<i32>> {
    let mut lock =
        libc::flock { l_type: libc::F_WRLCK as _, l_whence: libc::SEEK_SET as _, l_start: 0, l_len: 0, l_pid: 0 };
    fcntl(file, FcntlArg::F_GETLK(&mut lock))?;
    Ok((i32::from(lock.l_type) != libc::F_UNLCK).then_some(lock.l_pid))
}
