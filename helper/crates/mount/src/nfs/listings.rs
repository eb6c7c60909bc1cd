//! Folders read page by page. An entry's cookie is made of its name alone: whatever comes and goes between two pages,
//! every other entry is seen once, also after a restart. A listing is kept while it is being read, so that a large
//! folder is not listed anew for every page.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nixbox_engine::{FileSystem, Ino, Result};

/// Goes on being read for so long from what it was when the reading began.
const KEPT_FOR: Duration = Duration::from_secs(5);
const MOST_KEPT: usize = 8;

/// Cookies of `.` and `..`; those of names come after them.
pub(super) const DOT: u64 = 1;
pub(super) const DOT_DOT: u64 = 2;

#[derive(Default)]
pub(super) struct Listings {
    kept: Mutex<HashMap<Ino, (Instant, Arc<Listing>)>>,
}

pub(super) struct Listing {
    /// By cookie.
    entries: Vec<Entry>,
}

pub(super) struct Entry {
    pub(super) cookie: u64,
    pub(super) name: OsString,
    pub(super) ino: Ino,
}

impl Listings {
    /// `going_on`: it may be the one of a moment ago.
    pub(super) fn of(&self, tree: &dyn FileSystem, folder: Ino, going_on: bool) -> Result<Arc<Listing>> {
        if let Some((taken, listing)) = self.kept().get(&folder)
            && going_on
            && taken.elapsed() < KEPT_FOR
        {
            return Ok(listing.clone());
        }
        let listing = Arc::new(Listing::new(tree.readdir(folder)?));
        let mut kept = self.kept();
        if kept.len() >= MOST_KEPT {
            let oldest = kept.iter().min_by_key(|(_, (taken, _))| *taken).map(|(folder, _)| *folder);
            oldest.and_then(|folder| kept.remove(&folder));
        }
        kept.insert(folder, (Instant::now(), listing.clone()));
        Ok(listing)
    }

    /// What was read to the end is of no more use.
    pub(super) fn done(&self, folder: Ino) {
        self.kept().remove(&folder);
    }

    pub(super) fn sweep(&self) {
        self.kept().retain(|_, (taken, _)| taken.elapsed() < KEPT_FOR);
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<Ino, (Instant, Arc<Listing>)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listing {
    fn new(entries: Vec<nixbox_engine::Entry>) -> Self {
        let mut entries: Vec<_> = entries
            .into_iter()
            .map(|entry| Entry { cookie: cookie(&entry.name), name: entry.name, ino: entry.attr.ino })
            .collect();
        entries.sort_unstable_by(|a, b| (a.cookie, &a.name).cmp(&(b.cookie, &b.name)));
        // Two names of one cookie would be one to a client that goes on between them.
        for next in 1..entries.len() {
            entries[next].cookie = entries[next].cookie.max(entries[next - 1].cookie + 1);
        }
        Self { entries }
    }

    pub(super) fn after(&self, cookie: u64) -> &[Entry] {
        &self.entries[self.entries.partition_point(|entry| entry.cookie <= cookie)..]
    }

    pub(super) fn named(&self, fits: impl Fn(Ino) -> bool) -> impl Iterator<Item = &OsStr> {
        self.entries.iter().filter(move |entry| fits(entry.ino)).map(|entry| entry.name.as_os_str())
    }
}

/// Some clients keep cookies with a sign; and above them there is room for those that two names would share.
fn cookie(name: &OsStr) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    (hasher.finish() >> 2).max(DOT_DOT + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nixbox_engine::{Attr, Kind, Time};

    fn listing(names: impl Iterator<Item = u32>) -> Listing {
        let time = Time::default();
        let attr = |ino| Attr {
            ino,
            kind: Kind::File,
            perm: 0,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            size: 0,
            atime: time,
            mtime: time,
            ctime: time,
        };
        let entry = |n: u32| nixbox_engine::Entry { name: format!("f{n}").into(), attr: attr(u64::from(n)) };
        Listing::new(names.map(entry).collect())
    }

    #[test]
    fn what_comes_and_goes_meanwhile_changes_nothing_for_the_others() {
        let before = listing(0..1000);
        let (mut seen, mut cookie) = (Vec::new(), 0);
        for entry in before.after(cookie).iter().take(500) {
            seen.push(entry.ino);
            cookie = entry.cookie;
        }
        // The even ones go, as many others come.
        let after = listing((1..1000).step_by(2).chain(2000..2500));
        seen.extend(after.after(cookie).iter().map(|entry| entry.ino));
        for stayed in (1..1000).step_by(2) {
            assert_eq!(seen.iter().filter(|ino| **ino == stayed).count(), 1, "{stayed}");
        }
        assert!(after.after(u64::MAX).is_empty());
    }
}
