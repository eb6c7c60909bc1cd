//! The side that content comes from.

use std::collections::BTreeMap;
use std::sync::Arc;

use nixbox_engine::{FileSystem, Kv};

use crate::beside::Beside;
use crate::company::Company;
use crate::error::{Error, Result};
use crate::look::{Key, Mark};
use crate::scan::{AllMissing, Scan};

pub(crate) struct Source<'a> {
    pub(crate) tree: &'a Arc<dyn FileSystem>,
    pub(crate) kv: &'a Kv,
    pub(crate) absent: &'a AllMissing,
    pub(crate) company: &'a dyn Company,
    marks: &'a BTreeMap<Key, Mark>,
    /// What has another name here than there, by the name that it gets there.
    files: BTreeMap<&'a str, &'a str>,
    values: BTreeMap<&'a str, &'a str>,
}

impl<'a> Source<'a> {
    pub(crate) fn new(
        (tree, kv, absent): (&'a Arc<dyn FileSystem>, &'a Kv, &'a AllMissing),
        scan: &'a Scan,
        beside: &'a [Beside],
        company: &'a dyn Company,
    ) -> Self {
        let (mut files, mut values) = (BTreeMap::new(), BTreeMap::new());
        for it in beside {
            match (&it.to, &it.from) {
                (Key::File(to), Key::File(from)) => drop(files.insert(&**to, &**from)),
                (Key::Value(to), Key::Value(from)) => drop(values.insert(&**to, &**from)),
                _ => {}
            }
        }
        Self { tree, kv, absent, company, marks: &scan.marks, files, values }
    }

    pub(crate) fn path_of<'p>(&'p self, path: &'p str) -> &'p str {
        self.files.get(path).copied().unwrap_or(path)
    }

    /// What it has for `path`: nobody changes it meanwhile, so it is what it was when it was looked at.
    pub(crate) fn at(&self, path: &str) -> Result<&'a Mark> {
        self.marks.get(&Key::File(self.path_of(path).to_owned())).ok_or(Error::Moved)
    }

    pub(crate) fn key_of<'k>(&'k self, key: &'k str) -> &'k str {
        self.values.get(key).copied().unwrap_or(key)
    }
}
