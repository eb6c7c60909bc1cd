//! Several changes as one.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::sync::{Arc, Mutex, PoisonError};

use super::{ByPath, Witness};
use crate::error::Error;
use crate::filesystem::Ino;

impl ByPath {
    /// All that `work` does by what it is given happens, or nothing: see [`FileSystem::together`]. Without `keep` it is only
    /// seen whether it can be done. On disk when this returns.
    ///
    /// [`FileSystem::together`]: crate::FileSystem::together
    pub fn together<E: From<Error>>(&self, keep: bool, work: impl FnOnce(&Self) -> Result<(), E>) -> Result<(), E> {
        if !self.files.undoes() {
            return Err(Error::Errno(libc::EOPNOTSUPP).into());
        }
        self.witness.settle(None);
        let heard = Arc::new(Heard::default());
        let inside = Self { files: self.files.clone(), witness: heard.clone(), caller: self.caller };
        let (mut work, mut outcome) = (Some(work), None);
        let done = self.files.together(&mut || {
            let worked = work.take().map_or(Ok(()), |work| work(&inside));
            let stays = keep && worked.is_ok();
            outcome = Some(worked);
            if stays { Ok(()) } else { Err(Error::Errno(libc::ECANCELED)) }
        });
        match (outcome, done) {
            (Some(Err(error)), _) => Err(error),
            (Some(Ok(())), _) if !keep => Ok(()),
            (_, Err(error)) => Err(error.into()),
            (_, Ok(())) => {
                heard.pass_on(&*self.witness);
                Ok(self.sync()?)
            }
        }
    }
}

/// What is to be told when it has happened.
#[derive(Default)]
struct Heard(Mutex<News>);

#[derive(Default)]
struct News {
    /// As they came; a name that changes often is told of once.
    entries: Vec<(Ino, OsString)>,
    known: HashSet<(Ino, OsString)>,
    inodes: HashSet<Ino>,
}

impl Witness for Heard {
    fn entry_changed(&self, directory: Ino, name: &OsStr) {
        let mut news = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = (directory, name.to_owned());
        if news.known.insert(entry.clone()) {
            news.entries.push(entry);
        }
    }

    fn inode_changed(&self, ino: Ino) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).inodes.insert(ino);
    }
}

impl Heard {
    fn pass_on(&self, witness: &dyn Witness) {
        let news = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for (directory, name) in news.entries {
            witness.entry_changed(directory, &name);
        }
        for ino in news.inodes {
            witness.inode_changed(ino);
        }
    }
}
