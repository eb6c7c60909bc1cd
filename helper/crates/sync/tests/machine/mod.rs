//! A machine that syncs: a folder with a database, a remote, and a claim to its lease.
#![allow(dead_code)]

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::Duration;

use nixbox_engine::{ByPath, Caller, Database, Options};
use nixbox_remote::{Claim, Held, Lease};
use nixbox_sync::{Conflict, Done, Error, Local, Room, Settled};

use crate::common::{claim, remote};

pub const OWNER: Caller = Caller { uid: 1000, gid: 1000 };

pub struct Machine {
    pub folder: tempfile::TempDir,
    /// `None` while a test has closed it.
    pub database: Option<Database>,
    pub url: String,
    pub claim: Claim,
    pub partial: bool,
}

impl Machine {
    pub fn in_folder(name: &str, url: &str, folder: tempfile::TempDir, options: &Options) -> Self {
        let database = Database::open_or_create(&folder.path().join("a.db"), options).unwrap();
        let claim = claim(name, Duration::from_secs(60));
        Self { folder, database: Some(database), url: url.into(), claim, partial: false }
    }

    pub fn database(&self) -> &Database {
        self.database.as_ref().unwrap()
    }

    pub fn files(&self) -> ByPath {
        ByPath::new(self.database().tree(), Arc::new(()), OWNER)
    }

    pub fn local(&self) -> Local {
        let database = self.database();
        Local {
            tree: database.tree(),
            kv: database.kv(),
            absent: database.absent(),
            agreed: database.agreed(),
            snapshots: database.snapshots(),
            witness: Arc::new(()),
        }
    }

    pub fn room(&self) -> Room {
        Room::open(&self.folder.path().join("sync"), remote(&self.url)).unwrap().partial(self.partial)
    }

    pub fn lease(&self) -> Held {
        match self.claim.take(&remote(&self.url), false).unwrap() {
            Lease::Ours(held) => held,
            Lease::Theirs(standing) => panic!("{standing}"),
        }
    }

    pub fn pull(&self) -> Result<Done, Error> {
        self.room().pull(&self.local(), &|_| None)
    }

    pub fn push(&self) -> Result<Done, Error> {
        self.push_settled(&|_| None)
    }

    pub fn push_settled(&self, settled: &dyn Fn(&Conflict) -> Option<Settled>) -> Result<Done, Error> {
        let held = self.lease();
        let done = self.room().push(&self.local(), &self.claim, held, settled);
        self.claim.release(&remote(&self.url), held).unwrap();
        done
    }

    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let mut writing = self.files().write(OsStr::new(path), false).unwrap();
        writing.push(content.as_ref()).unwrap();
        writing.finish().unwrap();
    }

    pub fn read(&self, path: &str) -> Result<Vec<u8>, nixbox_engine::Error> {
        let mut reading = self.files().read(OsStr::new(path))?;
        let mut content = Vec::new();
        loop {
            match reading.next(1 << 20)? {
                piece if piece.is_empty() => return Ok(content),
                piece => content.extend(piece),
            }
        }
    }
}
