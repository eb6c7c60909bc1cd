use std::ffi::{OsStr, OsString};
use std::ops::Range;

use crate::filesystem::{Attr, Entry, Ino, Kind};

/// What a directory held at one moment, without `.` and `..` and in the order of the names. No reference is counted.
#[derive(Debug, Default)]
pub struct Listing {
    pub(crate) names: Vec<Name>,
    /// The number of changes to the database before that moment.
    pub(crate) changes: u64,
}

#[derive(Debug)]
pub struct Name {
    pub name: OsString,
    pub ino: Ino,
    pub kind: Kind,
    /// Of what the database has: these are its attributes for as long as nothing there has changed.
    pub(crate) attr: Option<Attr>,
}

impl Listing {
    pub fn names(&self) -> &[Name] {
        &self.names
    }

    pub(crate) fn of(&self, some: &Range<usize>) -> &[Name] {
        self.names.get(some.clone()).unwrap_or_default()
    }
}

impl From<Vec<Entry>> for Listing {
    fn from(entries: Vec<Entry>) -> Self {
        let name = |Entry { name, attr }: Entry| Name { name, ino: attr.ino, kind: attr.kind, attr: None };
        Self { names: entries.into_iter().map(name).collect(), changes: 0 }
    }
}

/// In ascending order.
pub(crate) fn as_str(names: &[Name]) -> impl DoubleEndedIterator<Item = &str> {
    // What is not UTF-8 is in no database.
    names.iter().filter_map(|name| OsStr::to_str(&name.name))
}
