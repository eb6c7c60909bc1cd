//! Files that the kernel reads by itself, from the file of the disk that has their content.
//!
//! A descriptor opened so goes on showing that file whatever happens. So only a tree that cannot be changed may offer
//! one: in any other, the first write copies the file, and whoever had it open would go on reading what was.
//! The kernel also wants all descriptors of an inode at a time to be of one sort, and of one file.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fuser::BackingId;
use nixbox_engine::Ino;

#[derive(Default)]
pub(super) struct Backed {
    /// Negotiated with the kernel.
    pub(super) possible: bool,
    open: Mutex<HashMap<Ino, Open>>,
}

struct Open {
    count: u64,
    /// `None`: read through us.
    by: Option<Arc<BackingId>>,
}

impl Backed {
    /// How an inode is opened: as it is already open, else as `begin` finds.
    pub(super) fn open(&self, ino: Ino, begin: impl FnOnce() -> Option<BackingId>) -> Option<Arc<BackingId>> {
        if !self.possible {
            return None;
        }
        let mut table = self.table();
        let open = table.entry(ino).or_insert_with(|| Open { count: 0, by: begin().map(Arc::new) });
        open.count += 1;
        open.by.clone()
    }

    pub(super) fn close(&self, ino: Ino) {
        if !self.possible {
            return;
        }
        let mut table = self.table();
        if let Some(open) = table.get_mut(&ino) {
            open.count -= 1;
            if open.count == 0 {
                table.remove(&ino);
            }
        }
    }

    fn table(&self) -> MutexGuard<'_, HashMap<Ino, Open>> {
        // Each change of it is one step.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
