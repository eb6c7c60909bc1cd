//! The failures found so far, each with its place in the file.

use std::cell::RefCell;
use std::path::PathBuf;

use nixbox_report::{Failure, Place};

/// Shared by every reader of one file, so that all problems come out together.
#[derive(Debug)]
pub(crate) struct Problems {
    file: PathBuf,
    failures: RefCell<Vec<Failure>>,
}

impl Problems {
    pub fn new(file: PathBuf) -> Self {
        Self { file, failures: RefCell::default() }
    }

    /// A problem that sits on a key.
    pub fn at(&self, line: usize, key: &str, failure: Failure) {
        let place = Place { file: self.file.clone(), line: Some(line), key: Some(key.to_owned()) };
        self.push(failure.at(place));
    }

    /// A problem of the text, where the key may not be known.
    pub fn in_text(&self, line: Option<usize>, key: Option<String>, failure: Failure) {
        self.push(failure.at(Place { file: self.file.clone(), line, key }));
    }

    /// A problem that has no place in the file.
    pub fn push(&self, failure: Failure) {
        self.failures.borrow_mut().push(failure);
    }

    /// Something is wrong with that very key.
    pub fn has_key(&self, key: &str) -> bool {
        self.failures.borrow().iter().any(|failure| {
            failure.place.as_ref().and_then(|place| place.key.as_deref()).is_some_and(|found| found == key)
        })
    }

    pub fn count(&self) -> usize {
        self.failures.borrow().len()
    }

    pub fn is_empty(&self) -> bool {
        self.failures.borrow().is_empty()
    }

    /// In the order of the file.
    pub fn into_failures(self) -> Vec<Failure> {
        let mut failures = self.failures.into_inner();
        failures.sort_by_key(|failure| failure.place.as_ref().and_then(|place| place.line));
        // A parser that stumbles says the same of one line many times.
        failures.dedup();
        failures
    }
}
