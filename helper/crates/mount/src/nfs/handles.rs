//! What a client keeps in place of a name. A handle says which database and which inode, and, for what the engine
//! knows only after having found it by name, the way there: so it is good also after the owner was started anew.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nixbox_engine::{FileSystem, Ino, ROOT};

use super::listings::Listings;
use super::words::Status;

/// What a client has not asked about for so long is let go: the way back to it is in its handle.
const KEPT_FOR: Duration = Duration::from_secs(30);
/// More are not held at once, however busy a client is.
const MOST_KEPT: usize = 64 * 1024;
/// As many folders as fit into 64 bytes.
const LONGEST_TRAIL: usize = 23;
const NO_TRAIL: u8 = u8::MAX;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Handle {
    pub(super) ino: Ino,
    way: Way,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Way {
    /// The engine finds it by its number.
    Number,
    /// Through folders whose numbers end so, outermost first.
    Trail(Vec<u16>),
    /// Deeper than a handle can say: good for as long as it is held.
    Lost,
}

pub(super) struct Handles {
    /// Of the database, so that a handle of another one is not taken for one of this.
    database: u64,
    kept: Mutex<HashMap<Ino, Kept>>,
}

/// An inode to which the engine was asked to keep a reference.
#[derive(Clone, Copy)]
struct Kept {
    used: Instant,
    /// It was handed out without the way to it.
    is_lost: bool,
}

impl Handle {
    pub(super) fn root() -> Self {
        Self { ino: ROOT, way: Way::Number }
    }

    fn way_to_child(&self) -> Way {
        match &self.way {
            _ if self.ino == ROOT => Way::Trail(Vec::new()),
            Way::Trail(trail) if trail.len() < LONGEST_TRAIL => {
                Way::Trail(trail.iter().copied().chain([ending(self.ino)]).collect())
            }
            _ => Way::Lost,
        }
    }
}

fn ending(ino: Ino) -> u16 {
    ino as u16
}

impl Handles {
    pub(super) fn new(database: u64) -> Self {
        Self { database, kept: Mutex::default() }
    }

    pub(super) fn encode(&self, handle: &Handle) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(&self.database.to_be_bytes());
        bytes.extend_from_slice(&handle.ino.to_be_bytes());
        match &handle.way {
            Way::Number => {}
            Way::Trail(trail) => {
                bytes.push(trail.len() as u8);
                trail.iter().for_each(|step| bytes.extend_from_slice(&step.to_be_bytes()));
            }
            Way::Lost => bytes.push(NO_TRAIL),
        }
        bytes
    }

    pub(super) fn decode(&self, bytes: &[u8]) -> Result<Handle, Status> {
        let (database, rest) = bytes.split_first_chunk::<8>().ok_or(Status::BadHandle)?;
        let (ino, rest) = rest.split_first_chunk::<8>().ok_or(Status::BadHandle)?;
        if u64::from_be_bytes(*database) != self.database {
            return Err(Status::Stale);
        }
        let way = match rest.split_first() {
            None => Way::Number,
            Some((&NO_TRAIL, [])) => Way::Lost,
            Some((&length, trail)) if usize::from(length) * 2 == trail.len() => {
                Way::Trail(trail.as_chunks::<2>().0.iter().map(|step| u16::from_be_bytes(*step)).collect())
            }
            Some(_) => return Err(Status::BadHandle),
        };
        Ok(Handle { ino: u64::from_be_bytes(*ino), way })
    }

    /// The handle of what was just looked up or made in `parent`; takes over the reference that came with that.
    pub(super) fn keep(&self, tree: &dyn FileSystem, parent: &Handle, ino: Ino) -> Handle {
        if tree.is_found_by_number(ino) {
            tree.forget(ino, 1);
            return Handle { ino, way: Way::Number };
        }
        let way = parent.way_to_child();
        let kept = Kept { used: Instant::now(), is_lost: way == Way::Lost };
        let before = self.kept().insert(ino, kept);
        if let Some(before) = before {
            tree.forget(ino, 1);
            if before.is_lost && !kept.is_lost {
                self.kept().insert(ino, Kept { is_lost: true, ..kept });
            }
        }
        self.make_room(tree);
        Handle { ino, way }
    }

    /// The folder that holds this one.
    pub(super) fn parent(&self, tree: &dyn FileSystem, child: &Handle) -> Result<Handle, Status> {
        let ino = tree.parent(child.ino)?;
        let way = match &child.way {
            _ if ino == ROOT => return Ok(Handle::root()),
            Way::Trail(trail) => Way::Trail(trail[..trail.len().saturating_sub(1)].to_vec()),
            _ if tree.is_found_by_number(ino) => Way::Number,
            _ => Way::Lost,
        };
        let parent = Handle { ino, way };
        self.find(tree, &Listings::default(), &parent)?;
        Ok(parent)
    }

    /// Sees to it that the engine knows the handle's inode.
    pub(super) fn find(&self, tree: &dyn FileSystem, listings: &Listings, handle: &Handle) -> Result<(), Status> {
        if handle.way == Way::Number {
            return Ok(());
        }
        if let Some(kept) = self.kept().get_mut(&handle.ino) {
            kept.used = Instant::now();
            return Ok(());
        }
        match &handle.way {
            Way::Trail(trail) if self.walk(tree, listings, &Handle::root(), trail, handle.ino) => Ok(()),
            _ => Err(Status::Stale),
        }
    }

    /// Numbers that end alike are rare, so that hardly ever more than one way is tried.
    fn walk(&self, tree: &dyn FileSystem, listings: &Listings, at: &Handle, trail: &[u16], wanted: Ino) -> bool {
        let Ok(listing) = listings.of(tree, at.ino, true) else { return false };
        let (fits, rest): (&dyn Fn(Ino) -> bool, _) = match trail.split_first() {
            Some((step, rest)) => (&move |ino| ending(ino) == *step, Some(rest)),
            None => (&move |ino| ino == wanted, None),
        };
        for name in listing.named(fits) {
            let Ok(attr) = tree.lookup(at.ino, name) else { continue };
            let found = self.keep(tree, at, attr.ino);
            match rest {
                Some(rest) if self.walk(tree, listings, &found, rest, wanted) => return true,
                None if attr.ino == wanted => return true,
                _ => {}
            }
        }
        false
    }

    /// Lets go what nobody has asked about for a while.
    pub(super) fn sweep(&self, tree: &dyn FileSystem) {
        self.let_go(tree, |kept| !kept.is_lost && kept.used.elapsed() >= KEPT_FOR);
    }

    pub(super) fn let_all_go(&self, tree: &dyn FileSystem) {
        self.let_go(tree, |_| true);
    }

    fn make_room(&self, tree: &dyn FileSystem) {
        let mut times: Vec<_> = match self.kept() {
            kept if kept.len() > MOST_KEPT => kept.values().map(|kept| kept.used).collect(),
            _ => return,
        };
        let (_, middle, _) = times.select_nth_unstable(MOST_KEPT / 4);
        let middle = *middle;
        self.let_go(tree, |kept| kept.used <= middle);
    }

    fn let_go(&self, tree: &dyn FileSystem, old: impl Fn(&Kept) -> bool) {
        let gone: Vec<_> = self.kept().extract_if(|_, kept| old(kept)).map(|(ino, _)| ino).collect();
        // Not with the lock held: the engine has locks of its own.
        gone.into_iter().for_each(|ino| tree.forget(ino, 1));
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<Ino, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_read_as_it_was_written() {
        let handles = Handles::new(7);
        let deepest = Handle { ino: u64::MAX, way: Way::Trail((0..LONGEST_TRAIL as u16).collect()) };
        assert_eq!(handles.encode(&deepest).len(), 63);
        assert_eq!(deepest.way_to_child(), Way::Lost);
        let lost = Handle { ino: 9, way: Way::Lost };
        for handle in [Handle::root(), deepest, lost, Handle { ino: 2, way: Way::Trail(Vec::new()) }] {
            assert_eq!(handles.decode(&handles.encode(&handle)), Ok(handle));
        }
    }

    #[test]
    fn handles_of_others_are_stale_and_junk_is_none() {
        let handles = Handles::new(7);
        assert_eq!(handles.decode(&Handles::new(8).encode(&Handle::root())), Err(Status::Stale));
        let good = handles.encode(&Handle { ino: 2, way: Way::Trail(vec![1, 2]) });
        for junk in [&good[..0], &good[..8], &good[..15], &good[..20], &[&good[..], &[0]].concat()] {
            assert_eq!(handles.decode(junk), Err(Status::BadHandle), "{junk:?}");
        }
    }
}
