//! Directory listings that stand still: the entries as they were when reading began, so that `rm -r`, which deletes
//! between two reads, misses none.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nixbox_engine::{FileSystem, Ino, Kind, Name, Result};

#[derive(Default)]
pub(super) struct Listings {
    next: AtomicU64,
    open: Mutex<HashMap<u64, Arc<Listing>>>,
}

#[derive(Debug)]
pub(super) struct Listing {
    own: Ino,
    parent: Ino,
    entries: nixbox_engine::Listing,
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
        let listing = Arc::new(Listing { own: ino, parent: tree.parent(ino)?, entries: tree.list(ino)? });
        self.table().insert(handle, listing.clone());
        Ok(listing)
    }

    fn table(&self) -> MutexGuard<'_, HashMap<u64, Arc<Listing>>> {
        // Only whole entries are put in and taken out, so a poisoned table is still a good one.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The position after an entry, its name, its number and kind.
type Listed<'a> = (u64, &'a OsStr, (Ino, Kind));

impl Listing {
    pub(super) fn entries(&self) -> &nixbox_engine::Listing {
        &self.entries
    }

    /// From the position `offset` on.
    pub(super) fn from(&self, offset: u64) -> impl Iterator<Item = Listed<'_>> {
        self.dots_from(offset).chain(self.some(place(offset)..usize::MAX))
    }

    pub(super) fn dots_from(&self, offset: u64) -> impl Iterator<Item = Listed<'_>> {
        let dots =
            [(1, OsStr::new("."), (self.own, Kind::Directory)), (2, OsStr::new(".."), (self.parent, Kind::Directory))];
        dots.into_iter().filter(move |(next, ..)| *next > offset)
    }

    /// Places of the entries from the position `offset` on, some at a time.
    pub(super) fn pages_from(&self, offset: u64, size: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let count = self.entries.names().len();
        (place(offset)..count).step_by(size).map(move |start| start..count.min(start + size))
    }

    pub(super) fn some(&self, places: Range<usize>) -> impl Iterator<Item = Listed<'_>> {
        let names = self.entries.names().iter().enumerate().skip(places.start).take(places.end - places.start);
        names.map(|(at, Name { name, ino, kind, .. })| (at as u64 + DOTS + 1, name.as_os_str(), (*ino, *kind)))
    }
}

const DOTS: u64 = 2;

/// Of the first entry that comes after the position.
fn place(offset: u64) -> usize {
    usize::try_from(offset.saturating_sub(DOTS)).unwrap_or(usize::MAX)
}
