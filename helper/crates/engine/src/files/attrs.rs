//! Attributes that were read a moment ago. Opening and reading a file that a listing has just shown asks the database
//! for its content alone.
//!
//! Any change empties this, whatever it was: so nothing that changes inodes has to think of it.

use std::collections::HashMap;

use crate::filesystem::{Attr, Ino};

/// About a megabyte.
const ROOM: usize = 8192;

#[derive(Debug, Default, Clone)]
pub(crate) struct Attrs {
    known: HashMap<Ino, Attr>,
    /// Within a change nothing is kept: it may be undone.
    in_change: bool,
}

impl Attrs {
    pub(super) fn get(&self, ino: Ino) -> Option<Attr> {
        self.known.get(&ino).copied()
    }

    pub(super) fn keep(&mut self, attr: &Attr) {
        if self.in_change {
            return;
        }
        if self.known.len() >= ROOM {
            self.known.clear();
        }
        self.known.insert(attr.ino, *attr);
    }

    pub(super) fn change(&mut self, in_change: bool) {
        self.in_change = in_change;
        // Capacity stays: a burst of writes must not pay for it each time.
        if !self.known.is_empty() {
            self.known.clear();
        }
    }
}
