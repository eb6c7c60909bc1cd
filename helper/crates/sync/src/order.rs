//! What is to be done to a tree so that it becomes what it is to be.

use std::collections::{BTreeMap, BTreeSet};

use crate::beside::Beside;
use crate::look::{Key, Look, What};
use crate::scan::Scan;

/// What is to become of a target.
#[derive(Debug, Default)]
pub(crate) struct Order {
    pub(crate) remove: Vec<Key>,
    pub(crate) put: Vec<(Key, Look)>,
    /// Where a file comes from that the target has already, under a name that it is to have no more.
    pub(crate) moves: BTreeMap<String, String>,
}

impl Order {
    /// `now`: the target. `wanted`: what all is to be.
    pub(crate) fn of(now: &Scan, wanted: &BTreeMap<Key, Look>) -> Self {
        let mut order = Self::default();
        let mut rewritten: BTreeSet<&str> = BTreeSet::new();
        for (key, look) in wanted {
            let there = now.looks.get(key);
            let same = there == Some(look)
                // Another name for what is made anew has to be made anew, too.
                && !matches!(&look.what, What::Same { first } if rewritten.contains(first.as_str()));
            if same {
                continue;
            }
            if there.is_some_and(|there| there.sort() != look.sort()) {
                order.remove.push(key.clone());
            }
            if let (Key::File(path), What::File { .. }) = (key, &look.what) {
                rewritten.insert(path);
            }
            order.put.push((key.clone(), look.clone()));
        }
        order.remove.extend(now.looks.keys().filter(|key| !wanted.contains_key(key)).cloned());
        // What is in a folder goes before it.
        order.remove.sort();
        order.remove.reverse();
        order
    }

    /// These come besides.
    pub(crate) fn with(mut self, beside: &[Beside]) -> Self {
        self.put.extend(beside.iter().map(|it| (it.to.clone(), it.look.clone())));
        self
    }

    /// Of the files that are written.
    pub(crate) fn bytes(&self) -> u64 {
        let size = |look: &Look| if let What::File { size, .. } = look.what { size } else { 0 };
        self.put.iter().map(|(_, look)| size(look)).sum()
    }

    /// A file that only got another name is not brought again. `now`: the target; `was`: by what name it was agreed on
    /// what is at a name of the source.
    pub(crate) fn with_moves<'a>(mut self, now: &Scan, was: impl Fn(&Key) -> Option<&'a str>) -> Self {
        let gone: BTreeSet<&Key> = self.remove.iter().collect();
        let is_file = |look: &Look| matches!(look.what, What::File { .. });
        let mut taken = BTreeSet::new();
        let mut moves = BTreeMap::new();
        for (key, _) in self.put.iter().filter(|(key, look)| is_file(look) && !now.looks.contains_key(key)) {
            let (Key::File(to), Some(from)) = (key, was(key)) else { continue };
            let from_key = Key::File(from.to_owned());
            if gone.contains(&from_key) && now.looks.get(&from_key).is_some_and(is_file) && taken.insert(from) {
                moves.insert(to.clone(), from.to_owned());
            }
        }
        self.moves = moves;
        self
    }

    /// Something that the target has is another afterwards, or gone. `now`: the target.
    pub(crate) fn replaces(&self, now: &Scan) -> bool {
        let mut there = self.keys().filter_map(|key| now.looks.get(key));
        there.any(|look| !look.only_leads())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.put.is_empty()
    }

    /// How many things somebody would say that it changes.
    pub(crate) fn len(&self) -> usize {
        let put: BTreeSet<&Key> = self.put.iter().filter(|(_, look)| !look.only_leads()).map(|(key, _)| key).collect();
        let all: BTreeSet<&Key> = self.put.iter().map(|(key, _)| key).collect();
        put.len() + self.remove.iter().filter(|key| !all.contains(key)).count()
    }

    pub(crate) fn put(&self) -> &[(Key, Look)] {
        &self.put
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.remove.iter().chain(self.put.iter().map(|(key, _)| key))
    }
}
