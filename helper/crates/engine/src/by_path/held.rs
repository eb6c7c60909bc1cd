//! References to inodes that are given back.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::filesystem::{Attr, FileSystem, Ino, Kind};

use super::{ByPath, Links};
use std::ffi::OsStr;

/// An inode that was looked up or made, which counts until it is forgotten.
pub(super) struct Held {
    pub attr: Attr,
    files: Arc<dyn FileSystem>,
    references: u64,
}

impl Held {
    pub fn new(files: &Arc<dyn FileSystem>, attr: Attr) -> Self {
        Self { attr, files: files.clone(), references: 1 }
    }

    /// One that was not counted: the root, or what another has.
    pub fn borrowed(mut self) -> Self {
        self.references = 0;
        self
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.references > 0 {
            self.files.forget(self.attr.ino, self.references);
        }
    }
}

/// A file being read. It keeps its content though it is removed meanwhile.
pub struct Reading {
    files: Arc<dyn FileSystem>,
    ino: Ino,
    offset: u64,
    held: Held,
}

impl ByPath {
    pub fn read(&self, path: &OsStr) -> Result<Reading> {
        let (_, held) = self.existing(path, Links::Follow)?;
        match held.attr.kind {
            Kind::File => {
                self.witness.settle(Some(held.attr.ino));
                self.files.open(held.attr.ino)?;
            }
            Kind::Directory => return Err(Error::Errno(libc::EISDIR)),
            _ => return Err(Error::Errno(libc::ENXIO)),
        }
        Ok(Reading { files: self.files.clone(), ino: held.attr.ino, offset: 0, held })
    }
}

impl Reading {
    /// As it was when it was found.
    pub fn attr(&self) -> Attr {
        self.held.attr
    }

    /// What is read next begins here.
    pub fn go_to(&mut self, offset: u64) {
        self.offset = offset;
    }

    /// The next piece; none at the end.
    pub fn next(&mut self, size: u32) -> Result<Vec<u8>> {
        let piece = self.files.read(self.ino, self.offset, size)?;
        self.offset += piece.len() as u64;
        Ok(piece)
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.files.release(self.ino);
    }
}
