//! What lies at a path and who holds it, found out before any database library touches it.

use std::collections::HashSet;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use nix::fcntl::{FcntlArg, fcntl};

use crate::encryption::Cipher;
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
    Encrypted(Cipher),
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
    File::open(path)?.take(100).read_to_end(&mut head)?;
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
    match Cipher::of_head(&head) {
        Some(Ok(cipher)) => return Ok(Found::Encrypted(cipher)),
        Some(Err(unknown)) => return Err(not(&format!("encrypted with {unknown}"))),
        None => {}
    }
    match (head.starts_with(b"SQLite format 3\0"), head.get(18..20)) {
        // One page has room for no table: all of it was in the log, as upstream leaves a young database.
        (true, Some([2, 2])) if meta.len() == page_size(&head) && !wal_path(path).exists() => {
            Err(Error::NoLog { path: path.to_owned() })
        }
        (true, Some([1 | 2, 1 | 2])) if is_cut_off(path, &head, meta.len()) => Err(Error::Damaged {
            path: path.to_owned(),
            reason: format!("the file is cut off: {} bytes are left of it", meta.len()),
        }),
        (true, Some([2, 2])) => Ok(Found::Wal),
        (true, Some([1, 1])) => Ok(Found::Rollback),
        (true, _) => Err(Error::Damaged { path: path.to_owned(), reason: "its header is cut off or unknown".into() }),
        (false, _) => Err(not("not an SQLite file")),
    }
}

/// SQLite takes the half of a last page for a whole one. With a log, the rest may be in that.
fn is_cut_off(path: &Path, head: &[u8], length: u64) -> bool {
    let number = |from: usize| head.get(from..from + 4)?.try_into().ok().map(u32::from_be_bytes);
    // The count of pages holds where both counters of changes say so.
    let pages = number(24).filter(|changes| Some(*changes) == number(92)).and_then(|_| number(28)).unwrap_or(0);
    let has_log = wal_path(path).metadata().is_ok_and(|log| log.len() > 0);
    !has_log && (head.len() < 100 || u64::from(pages) * page_size(head) > length)
}

fn page_size(head: &[u8]) -> u64 {
    match head.get(16..18) {
        Some([0, 1]) => 65536,
        Some([high, low]) => u64::from(u16::from_be_bytes([*high, *low])),
        _ => 0,
    }
}

/// Turso locks the whole of both files for as long as it has them open; SQLite, part of the first.
pub(crate) fn refuse_if_held(database: &Path, file: &Path) -> Result<()> {
    // Asking needs no right to write, so that what may only be read can be looked at.
    let file = match File::open(file) {
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
