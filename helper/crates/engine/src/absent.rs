//! Content that is not here yet: where it comes from when somebody reads it, and what is known of it until then.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use crate::error::Result;
use crate::files::Files;
use crate::filesystem::Ino;

/// A line for each file whose content is somewhere else, for who writes a database without the engine.
pub const ABSENT_TABLE: &str = crate::files::absent::TABLE;

/// Content that is somewhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// BLAKE3 of all of it, in hexadecimal digits: what comes is compared with that.
    pub hash: String,
    /// The inode that has it there, as far as is known: where to look first.
    pub place: Ino,
}

/// What is wanted of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    pub missing: Missing,
    /// Of all of it.
    pub size: u64,
    pub range: Range<u64>,
}

/// Why nothing came.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfetched {
    /// Nor will anything else, for now.
    #[error("{0}")]
    Unreachable(String),
    #[error("{0}")]
    Gone(String),
}

/// Where absent content is. The engine knows no network.
pub trait Origin: Send + Sync + 'static {
    /// The pieces, in their order and each as long as it was asked for. Answers before `until`, with what is wrong if
    /// need be.
    fn fetch(&self, pieces: &[Piece], until: Instant) -> Result<Vec<Vec<u8>>, Unfetched>;
    /// For people.
    fn name(&self) -> String;
}

/// The absent content of one open database.
#[derive(Clone)]
pub struct Absent {
    files: Arc<Files>,
}

impl Absent {
    pub(crate) fn new(files: Arc<Files>) -> Self {
        Self { files }
    }

    /// Once, before anybody reads. `segment`: how much is loaded at a time around what is asked for, from 4 KiB to 1 MiB.
    pub fn comes_from(&self, origin: Arc<dyn Origin>, segment: u64) {
        self.files.comes_from(origin, segment);
    }

    pub fn all(&self) -> Result<BTreeMap<Ino, Missing>> {
        Ok(self.files.read_tree(|tree| tree.all_missing())?.into_iter().collect())
    }

    /// Whether anything is. Asks no database.
    pub fn is_any(&self) -> bool {
        self.files.is_any_absent()
    }

    pub fn get(&self, ino: Ino) -> Result<Option<Missing>> {
        self.files.read_tree(|tree| tree.missing(ino))
    }

    /// How many files are not whole, and how many bytes of them are not here.
    pub fn count(&self) -> Result<(u64, u64)> {
        self.files.read_tree(|tree| tree.count_missing())
    }

    /// An empty file becomes one of `size` whose content is somewhere else.
    pub fn put(&self, ino: Ino, size: u64, missing: &Missing) -> Result<()> {
        self.files.grow_tree(0, |tree| tree.make_absent(ino, size, missing))
    }

    /// Loads these, in their order, for as long as `go_on` says so, which is told of the bytes of each step. Lets readers
    /// go first. A file that is gone meanwhile needs nothing.
    pub fn load(&self, wanted: &[Ino], go_on: &mut dyn FnMut(u64) -> bool) -> Result<u64> {
        self.files.load_all(wanted, go_on)
    }
}
