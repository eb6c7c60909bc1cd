//! What the front end refers to of a real folder: each file once, by the numbers that the system gives it, with the
//! names under which it was found. A name is only a hint: it is compared with the file's own numbers each time.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use crate::filesystem::{Attr, Ino, Kind, ROOT};
use crate::overlay::{Identity, Version};

#[derive(Debug)]
pub(super) struct Node {
    pub id: Identity,
    pub lookups: u64,
    pub opens: u32,
    /// The last one found comes last.
    pub names: Vec<(Ino, OsString)>,
    /// How many names lie in it: while there are any, it is the way to them, though nobody refers to it.
    below: u64,
    /// While it is open; also what is left of a file without a name.
    pub file: Option<Handle>,
    /// What the kernel may have pages of.
    pub seen: Option<Version>,
    /// What is still known of one whose last name was taken away here.
    pub ghost: Option<Attr>,
    /// The name that a draft has until it gets its own, where it has to have one.
    pub draft: Option<(Ino, OsString)>,
}

#[derive(Debug, Clone)]
pub(super) struct Handle {
    pub file: Arc<File>,
    pub writes: bool,
}

#[derive(Debug)]
pub(super) struct Nodes {
    by_number: HashMap<Ino, Node>,
    numbers: HashMap<Identity, Ino>,
    root: Identity,
    next: Ino,
    /// Those whose making opened them, and that nobody may ever open.
    fresh: VecDeque<Ino>,
    /// What is on record as not whole yet.
    pub parts: HashSet<PathBuf>,
}

/// Numbers that the system does not give, for what lies on another device or under a number that is taken.
const OTHERS: Ino = 1 << 52;

impl Nodes {
    pub fn new(root: Identity) -> Self {
        let mut nodes = Self {
            by_number: HashMap::new(),
            numbers: HashMap::new(),
            root,
            next: OTHERS,
            fresh: VecDeque::new(),
            parts: HashSet::new(),
        };
        nodes.hold(root, None);
        nodes
    }

    pub fn get(&self, number: Ino) -> Option<&Node> {
        self.by_number.get(&number)
    }

    pub fn get_mut(&mut self, number: Ino) -> Option<&mut Node> {
        self.by_number.get_mut(&number)
    }

    /// How a file is numbered outside: as the system does, where that is possible.
    pub fn number(&self, id: &Identity) -> Ino {
        if *id == self.root {
            return ROOT;
        }
        match self.numbers.get(id) {
            Some(number) => *number,
            None if id.dev == self.root.dev && id.ino > ROOT && id.ino < OTHERS && !self.is_taken(id.ino) => id.ino,
            None => self.next,
        }
    }

    fn is_taken(&self, number: Ino) -> bool {
        self.by_number.contains_key(&number)
    }

    /// Counts a reference to what was found under a name.
    pub fn hold(&mut self, id: Identity, name: Option<(Ino, &OsStr)>) -> Ino {
        let number = self.number(&id);
        if number == self.next {
            self.next += 1;
        }
        self.numbers.insert(id, number);
        let node = self.by_number.entry(number).or_insert_with(|| Node {
            id,
            lookups: 0,
            opens: 0,
            names: Vec::new(),
            below: 0,
            file: None,
            seen: None,
            ghost: None,
            draft: None,
        });
        node.lookups += 1;
        if let Some((parent, name)) = name {
            node.ghost = None;
            let before = node.names.len();
            node.names.retain(|(at, known)| (*at, known.as_os_str()) != (parent, name));
            let is_new = node.names.len() == before;
            node.names.push((parent, name.to_owned()));
            if is_new {
                self.leads_on(parent);
            }
        }
        number
    }

    /// Keeps the descriptor by which a file was made, for the opening that most often follows: its mode may forbid that
    /// to everybody. Not for long, as it may not follow at all.
    pub fn made(&mut self, number: Ino, handle: Handle) {
        if let Some(node) = self.by_number.get_mut(&number) {
            node.file = Some(handle);
            self.fresh.push_back(number);
        }
        let old = if self.fresh.len() > FRESH { self.fresh.pop_front() } else { None };
        if let Some(node) = old.and_then(|old| self.by_number.get_mut(&old)).filter(|node| node.opens == 0) {
            node.file = None;
        }
    }

    /// Where it may be, the likeliest first.
    pub fn paths(&self, number: Ino) -> Vec<PathBuf> {
        if number == ROOT {
            return vec![PathBuf::new()];
        }
        let Some(node) = self.get(number) else { return Vec::new() };
        node.names.iter().rev().filter_map(|(parent, name)| Some(self.folder(*parent, 0)?.join(name))).collect()
    }

    fn folder(&self, number: Ino, depth: usize) -> Option<PathBuf> {
        if number == ROOT {
            return Some(PathBuf::new());
        }
        // Folders have one name; one that another program moved around may seem to lie in itself.
        let (parent, name) = self.get(number).filter(|_| depth < DEEPEST)?.names.last()?;
        Some(self.folder(*parent, depth + 1)?.join(name))
    }

    pub fn parent(&self, number: Ino) -> Option<Ino> {
        self.get(number)?.names.last().map(|(parent, _)| *parent)
    }

    /// One that had none has a name.
    pub fn named(&mut self, number: Ino, parent: Ino, name: &OsStr) {
        if let Some(node) = self.by_number.get_mut(&number) {
            node.names.push((parent, name.to_owned()));
            self.leads_on(parent);
        }
    }

    fn leads_on(&mut self, folder: Ino) {
        if let Some(folder) = self.by_number.get_mut(&folder) {
            folder.below += 1;
        }
    }

    pub fn lost(&mut self, number: Ino, parent: Ino, name: &OsStr) {
        let Some(node) = self.by_number.get_mut(&number) else { return };
        let before = node.names.len();
        node.names.retain(|(at, known)| (*at, known.as_os_str()) != (parent, name));
        if node.names.len() < before {
            self.leads_no_more(parent);
        }
    }

    fn leads_no_more(&mut self, folder: Ino) {
        if let Some(folder) = self.by_number.get_mut(&folder) {
            folder.below = folder.below.saturating_sub(1);
        }
        self.let_go(folder);
    }

    pub fn moved(&mut self, number: Ino, from: (Ino, &OsStr), to: (Ino, &OsStr)) {
        if let Some(node) = self.by_number.get_mut(&number) {
            node.names.push((to.0, to.1.to_owned()));
            self.leads_on(to.0);
        }
        self.lost(number, from.0, from.1);
    }

    /// Forgets what nobody refers to, and the way there.
    pub fn let_go(&mut self, number: Ino) {
        let mut left = vec![number];
        while let Some(number) = left.pop() {
            let Some(node) = self.by_number.get(&number) else { continue };
            if number == ROOT || node.lookups > 0 || node.opens > 0 || node.below > 0 {
                continue;
            }
            let (id, above) = (node.id, node.names.iter().map(|(parent, _)| *parent).collect::<Vec<_>>());
            self.numbers.remove(&id);
            self.by_number.remove(&number);
            for folder in above {
                if let Some(folder) = self.by_number.get_mut(&folder) {
                    folder.below = folder.below.saturating_sub(1);
                }
                left.push(folder);
            }
        }
    }
}

const FRESH: usize = 16;
/// Linux has paths of 4096 bytes.
const DEEPEST: usize = 2048;

impl Node {
    pub fn is_folder(&self) -> bool {
        self.id.kind == Kind::Directory
    }
}
