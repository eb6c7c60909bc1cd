//! Directory listings that stand still: the entries as they were when reading began, so that `rm -r`, which deletes
//! between two reads, misses none.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nixbox_engine::{Entry, FileSystem, Ino, Kind, Result};

#[derive(Default)]
pub(super) struct Listings {
    next: AtomicU64,
    open: Mutex<HashMap<u64, Arc<Listing>>>,
}

#[derive(Debug)]
pub(super) struct Listing {
    own: Ino,
    parent: Ino,
    entries: Vec<Entry>,
}

impl Listings {
    pub(super) fn open(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn close(&self, handle: u64) {
        self.table().remove(&handle);
    }

    /// Reading from the start, also after rewinddir, takes a new listing; reading on goes on in the one there is.
    pub(super) fn read(&self, tree: &dyn FileSystem, ino: Ino, handle: u64, offset: u64) -> Result<Arc<Listing>> {
        if offset != 0
            && let Some(listing) = self.table().get(&handle)
        {
            return Ok(listing.clone());
        }
        let listing = Arc::new(Listing { own: ino, parent: tree.parent(ino)?, entries: tree.readdir(ino)? });
        self.table().insert(handle, listing.clone());
        Ok(listing)
    }

    fn table(&self) -> MutexGuard<'_, HashMap<u64, Arc<Listing>>> {
        // Only whole entries are put in and taken out, so a poisoned table is still a good one.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listing {
    /// From the position `offset` on: the position after each entry, its name, its number and kind.
    pub(super) fn from(&self, offset: u64) -> impl Iterator<Item = (u64, &OsStr, (Ino, Kind))> {
        let dots = [(OsStr::new("."), self.own), (OsStr::new(".."), self.parent)];
        let dots = dots.into_iter().map(|(name, ino)| (name, (ino, Kind::Directory)));
        let entries = self.entries.iter().map(|entry| (entry.name.as_os_str(), (entry.attr.ino, entry.attr.kind)));
        let skip = usize::try_from(offset).unwrap_or(usize::MAX);
        dots.chain(entries).enumerate().skip(skip).map(|(index, (name, what))| (index as u64 + 1, name, what))
    }
}

pub(super) fn is_dot(name: &OsStr) -> bool {
    name == "." || name == ".."
}
