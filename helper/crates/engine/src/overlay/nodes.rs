//! What the front end refers to that the database alone could not answer for: entries of the base, folders that both
//! layers have a share in, and what was copied up and keeps the number it had.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use super::base::{Identity, Version};
use crate::filesystem::{Attr, Ino, Kind, ROOT};

/// Numbers of base entries have this bit and none above it. A program that keeps inode numbers in floating point,
/// as JavaScript does, keeps them exactly.
const BASE_BIT: u64 = 1 << 52;

#[derive(Debug, Clone)]
pub(super) struct Node {
    pub kind: Kind,
    pub lookups: u64,
    pub opens: u32,
    /// Its inode in the database, to which this node holds one reference.
    pub delta: Option<Ino>,
    /// Where it is in the base: of a file only until it is copied up, of a folder as long as the base has a share.
    pub below: Option<Below>,
    /// The base's file while it is open.
    pub file: Option<Arc<File>>,
    /// What the kernel may have pages of.
    pub seen: Option<Version>,
    /// What the kernel may have the attributes of.
    pub told: Option<Version>,
    /// It was asked to look again.
    pub asked: bool,
    /// What is still known of an entry of the base whose name was taken away.
    pub ghost: Option<Attr>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Below {
    pub path: Arc<Path>,
    pub id: Identity,
    /// See [`Stat`](super::base::Stat).
    pub linked: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Nodes {
    by_number: HashMap<Ino, Node>,
    by_path: BTreeMap<ByBytes, Ino>,
    /// The numbers of what was copied up, by inode of the database.
    shown: HashMap<Ino, Ino>,
    taken: HashSet<Ino>,
    /// Where the base itself is.
    device: u64,
    /// Files of the base, those first that have been known for longest; some are known no more.
    order: VecDeque<Ino>,
    /// How many of them to remember: some hundred bytes each.
    room: usize,
}

const ROOM: usize = 128 * 1024;

/// A path of the base, in the order of its bytes: `Path` has an order of its own, for which it takes each apart.
#[derive(Debug, Clone)]
struct ByBytes(Arc<Path>);

impl Borrow<OsStr> for ByBytes {
    fn borrow(&self) -> &OsStr {
        self.0.as_os_str()
    }
}

impl Ord for ByBytes {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.as_os_str().cmp(other.0.as_os_str())
    }
}

impl PartialOrd for ByBytes {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for ByBytes {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for ByBytes {}

impl Nodes {
    pub fn new(root: Identity, shown: HashMap<Ino, Ino>) -> Self {
        let taken = shown.values().copied().collect();
        let mut nodes = Self {
            by_number: HashMap::new(),
            by_path: BTreeMap::new(),
            shown,
            taken,
            device: root.dev,
            order: VecDeque::new(),
            room: ROOM,
        };
        let below = Below { path: Path::new("").into(), id: root, linked: false };
        nodes.hold(ROOT, Kind::Directory, Some(ROOT), Some(below));
        nodes
    }

    pub fn get(&self, number: Ino) -> Option<&Node> {
        self.by_number.get(&number)
    }

    pub fn get_mut(&mut self, number: Ino) -> Option<&mut Node> {
        self.by_number.get_mut(&number)
    }

    pub fn at(&self, path: &Path) -> Option<Ino> {
        self.by_path.get(path.as_os_str()).copied()
    }

    /// How an inode of the database is numbered outside.
    pub fn shown(&self, delta: Ino) -> Ino {
        self.shown.get(&delta).copied().unwrap_or(delta)
    }

    pub fn show(&mut self, delta: Ino, number: Ino) {
        self.shown.insert(delta, number);
        self.taken.insert(number);
    }

    /// The number of an entry of the base: the same as long as it is the same file at the same place, also after a
    /// restart, so that `git status` finds its index still true.
    pub fn number(&self, path: &Path, id: &Identity) -> Ino {
        if let Some(number) = self.at(path)
            && self.get(number).and_then(|node| node.below.as_ref()).is_some_and(|below| below.id == *id)
        {
            return number;
        }
        let mut number = first_number(path, id);
        while self.by_number.contains_key(&number) || self.taken.contains(&number) {
            number = ((number + 1) % BASE_BIT) | BASE_BIT;
        }
        number
    }

    /// Counts a reference. Says whether the node is new and its inode in the database is to be held.
    pub fn hold(&mut self, number: Ino, kind: Kind, delta: Option<Ino>, below: Option<Below>) -> bool {
        let is_new = !self.by_number.contains_key(&number);
        let node = self.by_number.entry(number).or_insert_with(|| Node {
            kind,
            lookups: 0,
            opens: 0,
            delta,
            below: None,
            file: None,
            seen: None,
            told: None,
            asked: false,
            ghost: None,
        });
        node.lookups += 1;
        if is_new && delta.is_none() && kind != Kind::Directory {
            self.order.push_back(number);
        }
        if node.below != below {
            self.place(number, below);
        }
        is_new && delta.is_some()
    }

    /// Where in the base a node is from now on.
    pub fn place(&mut self, number: Ino, below: Option<Below>) {
        let Some(node) = self.by_number.get_mut(&number) else { return };
        if let Some(old) = node.below.take()
            && self.by_path.get(old.path.as_os_str()) == Some(&number)
        {
            self.by_path.remove(old.path.as_os_str());
        }
        let Some(below) = below else { return };
        node.below = Some(below.clone());
        // Another file has taken the place of the one that was there.
        if let Some(former) = self.by_path.insert(ByBytes(below.path), number)
            && former != number
            && let Some(former) = self.by_number.get_mut(&former)
        {
            former.below = None;
        }
    }

    /// A file that the kernel had better forget, where more are known than should be: it does so by itself only when
    /// it runs out of memory, and would have us remember a million. One that is in use stays.
    pub fn surplus(&mut self) -> Option<(Ino, OsString)> {
        while self.order.len() > self.room {
            let number = self.order.pop_front()?;
            let Some(node) = self.by_number.get(&number) else { continue };
            self.order.push_back(number);
            let below = node.below.as_ref().filter(|_| node.opens == 0 && node.delta.is_none())?;
            let folder = self.at(below.path.parent()?)?;
            return Some((folder, below.path.file_name()?.to_owned()));
        }
        None
    }

    pub fn root_device(&self) -> u64 {
        self.device
    }

    /// The files of the base that are open.
    pub fn open_below(&self) -> impl Iterator<Item = Ino> + '_ {
        self.by_number.iter().filter(|(_, node)| node.opens > 0 && node.delta.is_none()).map(|(number, _)| *number)
    }

    /// The nodes at a path of the base and below it.
    pub fn within(&self, path: &Path) -> Vec<Ino> {
        let mut below = path.as_os_str().to_owned();
        below.push("/");
        let from: (Bound<&OsStr>, _) = (Bound::Included(&below), Bound::Unbounded);
        let below = self.by_path.range::<OsStr, _>(from).take_while(|(at, _)| at.0.starts_with(path));
        self.at(path).into_iter().chain(below.map(|(_, number)| *number)).collect()
    }

    /// Forgets a node that nobody refers to. Answers the inode in the database that it held.
    pub fn let_go(&mut self, number: Ino) -> Option<Ino> {
        let node = self.by_number.get(&number)?;
        if number == ROOT || node.lookups > 0 || node.opens > 0 {
            return None;
        }
        let delta = node.delta;
        self.place(number, None);
        self.by_number.remove(&number);
        delta
    }
}

/// The number of an entry of the base, unless another has it.
pub(super) fn first_number(path: &Path, id: &Identity) -> Ino {
    let mut hasher = DefaultHasher::new();
    (path, id).hash(&mut hasher);
    (hasher.finish() % BASE_BIT) | BASE_BIT
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn known(nodes: &mut Nodes, name: &str) -> Ino {
        let id = Identity { dev: 1, ino: 100 + name.len() as u64, kind: Kind::File };
        let number = nodes.number(Path::new(name), &id);
        nodes.hold(number, Kind::File, None, Some(Below { path: Path::new(name).into(), id, linked: false }));
        number
    }

    #[test]
    fn what_lies_below_a_path_is_found_past_names_that_only_begin_like_it() {
        let mut nodes = Nodes::new(Identity { dev: 1, ino: 1, kind: Kind::Directory }, HashMap::new());
        let [a, _, inner, deep, _] = ["a", "a-b", "a/b", "a/b/cc", "ab/ddd"].map(|path| known(&mut nodes, path));
        assert_eq!(nodes.within(Path::new("a")), [a, inner, deep]);
        assert!(nodes.within(Path::new("c")).is_empty());
    }

    #[test]
    fn what_is_known_for_longest_is_to_be_forgotten_unless_it_is_open() {
        let mut nodes = Nodes::new(Identity { dev: 1, ino: 1, kind: Kind::Directory }, HashMap::new());
        nodes.room = 3;
        let first = known(&mut nodes, "open");
        nodes.get_mut(first).unwrap().opens = 1;
        let mut numbers = HashMap::new();
        for round in 0..1000 {
            let name = format!("f{round}");
            numbers.insert(name.clone(), known(&mut nodes, &name));
            for _ in 0..2 {
                if let Some((folder, name)) = nodes.surplus() {
                    assert_eq!(folder, ROOT);
                    let number = numbers[name.to_str().unwrap()];
                    // As the kernel does when it is told so.
                    nodes.get_mut(number).unwrap().lookups = 0;
                    nodes.let_go(number);
                }
            }
            assert!(nodes.by_number.len() <= 8 && nodes.order.len() <= 8, "{}", nodes.by_number.len());
        }
        assert!(nodes.get(first).is_some());
        // The same file has its number again.
        assert_eq!(known(&mut nodes, "f0"), numbers["f0"]);
    }
}
