use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nixbox_engine::Ino;

use super::ahead::Ahead;

/// What the mount's owner and its front end tell each other.
#[derive(Debug, Default)]
pub(crate) struct Link {
    /// The tree may no longer be asked.
    pub(crate) closed: AtomicBool,
    /// How many writes have been answered.
    pub(crate) writes: AtomicU64,
    /// How many files were opened that the kernel reads by itself.
    pub(crate) backed: AtomicU64,
    pub(crate) ahead: Ahead,
    /// Nothing can be written through the mount.
    pub(crate) read_only: bool,
    /// What is open so that it may be mapped and written to, and how often: the kernel writes such pages when it likes.
    mappable: Mutex<HashMap<Ino, u32>>,
}

impl Link {
    pub(crate) fn new(read_only: bool) -> Self {
        Self { read_only, ..Self::default() }
    }

    pub(super) fn opened(&self, ino: Ino, flags: i32) {
        if flags & libc::O_ACCMODE == libc::O_RDWR {
            *self.mappable().entry(ino).or_default() += 1;
        }
    }

    pub(super) fn released(&self, ino: Ino, flags: i32) {
        let mut mappable = self.mappable();
        if flags & libc::O_ACCMODE == libc::O_RDWR
            && let Entry::Occupied(mut times) = mappable.entry(ino)
        {
            *times.get_mut() -= 1;
            if *times.get() == 0 {
                times.remove();
            }
        }
    }

    /// The inodes that the kernel may have something of which the tree has not.
    pub(crate) fn unwritten(&self, ino: Option<Ino>) -> Vec<Ino> {
        let mappable = self.mappable();
        match ino {
            Some(ino) => mappable.contains_key(&ino).then_some(ino).into_iter().collect(),
            None => mappable.keys().copied().collect(),
        }
    }

    fn mappable(&self) -> MutexGuard<'_, HashMap<Ino, u32>> {
        self.mappable.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
