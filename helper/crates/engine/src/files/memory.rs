use std::collections::{HashMap, HashSet, VecDeque};

use super::attrs::Attrs;
use super::chores::Chore;
use super::limits::{Limits, Usage};
use super::room::Room;
use crate::error::{Error, Result};
use crate::filesystem::{Ino, ROOT};
use crate::store::{Store, first};

/// What is known only while the database is open, under the journal's lock.
#[derive(Clone)]
pub(crate) struct Memory {
    pub chunk_size: u64,
    pub room: Room,
    pub usage: Usage,
    pub attrs: Attrs,
    pub chores: VecDeque<Chore>,
    /// Made and attempted since the database was opened.
    pub changes: u64,
    next_ino: Ino,
    /// Upstream's CLI loses `AUTOINCREMENT` from the schema; the highest number is then kept by hand.
    keeps_sequence: bool,
    /// What came from a base is on record in tables that have to forget it, too.
    pub has_origins: bool,
    known: HashMap<Ino, Known>,
    /// Files with large stretches that have no chunks yet.
    sparse: HashSet<Ino>,
    /// Files whose content is not all here: see `absent.rs`.
    pub(super) absent: HashSet<Ino>,
}

/// An inode that a front end refers to.
#[derive(Debug, Default, Clone)]
struct Known {
    lookups: u64,
    opens: u32,
    was_open: bool,
    /// No name is left; the rows go when the last reference does.
    nameless: bool,
    /// Of a directory, where it was found: the tables have no index from a child to its parent.
    parent: Option<Ino>,
}

impl Memory {
    pub(crate) fn load(store: &mut dyn Store, chunk_size: u32, limits: Limits) -> Result<Self> {
        // Rows of any table may have outlived their inode after a crash of a program without transactions; a new
        // inode must not inherit them.
        let highest = "SELECT max(coalesce((SELECT max(ino) FROM fs_inode), 0), \
                       coalesce((SELECT max(ino) FROM fs_data), 0), coalesce((SELECT max(ino) FROM fs_symlink), 0), \
                       coalesce((SELECT max(seq) FROM sqlite_sequence WHERE name = 'fs_inode'), 0))";
        let highest = first(store, highest, &[], |row| row.int(0))?.unwrap_or(0).max(ROOT as i64);
        let schema = "SELECT sql LIKE '%AUTOINCREMENT%' FROM sqlite_master WHERE type = 'table' AND name = 'fs_inode'";
        let keeps_sequence = first(store, schema, &[], |row| row.int(0))? == Some(1);
        Ok(Self {
            chunk_size: u64::from(chunk_size),
            room: Room::default(),
            usage: Usage::load(store, limits)?,
            attrs: Attrs::default(),
            chores: VecDeque::new(),
            changes: 0,
            next_ino: highest as Ino + 1,
            keeps_sequence,
            has_origins: super::tidy::has_origins(store)?,
            known: HashMap::new(),
            sparse: HashSet::new(),
            absent: super::absent::load(store)?,
        })
    }

    /// A number never used before, not even by an inode long gone.
    pub(super) fn new_ino(&mut self, store: &mut dyn Store) -> Result<Ino> {
        let ino = self.next_ino;
        if ino > i64::MAX as u64 {
            return Err(Error::Errno(libc::ENOSPC));
        }
        if !self.keeps_sequence
            && store.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'fs_inode'", &[ino.into()])? == 0
        {
            store.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('fs_inode', ?)", &[ino.into()])?;
        }
        self.next_ino += 1;
        Ok(ino)
    }

    pub(super) fn keeps_sequence(&self) -> bool {
        self.keeps_sequence
    }

    /// How many inodes somebody refers to.
    pub(crate) fn in_use(&self) -> u64 {
        self.known.len() as u64
    }

    pub(crate) fn looked_up(&mut self, ino: Ino, directory_in: Option<Ino>) {
        let known = self.known.entry(ino).or_default();
        known.lookups += 1;
        known.parent = directory_in.or(known.parent);
    }

    /// Says whether it is for the first time.
    pub(crate) fn opened(&mut self, ino: Ino) -> bool {
        let known = self.known.entry(ino).or_default();
        known.opens += 1;
        !std::mem::replace(&mut known.was_open, true)
    }

    pub(crate) fn forget(&mut self, ino: Ino, references: u64) {
        if let Some(known) = self.known.get_mut(&ino) {
            known.lookups = known.lookups.saturating_sub(references);
            self.let_go(ino);
        }
    }

    pub(super) fn release(&mut self, ino: Ino) {
        if let Some(known) = self.known.get_mut(&ino) {
            known.opens = known.opens.saturating_sub(1);
            if known.opens == 0 && !known.nameless && self.sparse.remove(&ino) {
                self.chores.push_back(Chore::fill(ino));
            }
            self.let_go(ino);
        }
    }

    fn let_go(&mut self, ino: Ino) {
        let Some(known) = self.known.get(&ino) else { return };
        if known.lookups == 0 && known.opens == 0 {
            if known.nameless {
                self.chores.push_back(Chore::remove(ino));
                self.sparse.remove(&ino);
            }
            self.known.remove(&ino);
        }
    }

    /// Its last name is gone.
    pub(crate) fn lost_its_name(&mut self, ino: Ino) {
        self.known.entry(ino).or_default().nameless = true;
        self.let_go(ino);
    }

    pub(super) fn got_a_name(&mut self, ino: Ino) {
        if let Some(known) = self.known.get_mut(&ino) {
            known.nameless = false;
        }
    }

    pub(super) fn has_gaps(&mut self, ino: Ino) {
        if self.known.get(&ino).is_some_and(|known| known.opens > 0) {
            self.sparse.insert(ino);
        } else {
            self.chores.push_back(Chore::fill(ino));
        }
    }

    pub(super) fn may_have_gaps(&self, ino: Ino) -> bool {
        self.sparse.contains(&ino)
    }

    pub(super) fn parent(&self, directory: Ino) -> Option<Ino> {
        self.known.get(&directory)?.parent
    }

    pub(super) fn moved(&mut self, directory: Ino, parent: Ino) {
        if let Some(known) = self.known.get_mut(&directory) {
            known.parent = Some(parent);
        }
    }

    /// The files that nobody has closed are filled up all the same when the database is.
    pub(super) fn all_gaps(&mut self) {
        self.chores.extend(self.sparse.drain().map(Chore::fill));
    }
}
