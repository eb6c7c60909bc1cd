//! The tree over NFS version 3, for whoever has a client for it: programs of their own, or a kernel without FUSE.
//!
//! Own code down to the wire, because what listens on a port is spoken to by anybody: nothing is taken for what is
//! only announced, and what a client claims to be is held against the mode bits.

mod access;
mod change;
mod connection;
mod handles;
mod listings;
mod look;
mod mount_program;
mod pages;
mod program;
mod rpc;
mod server;
mod words;
mod xdr;

use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use nixbox_engine::{Attr, FileSystem, Ino, Witness};

use access::Identity;
use handles::{Handle, Handles};
use listings::Listings;
use words::Status;

pub use server::Served;

/// What is read or written at once.
const LARGEST_TRANSFER: u32 = 1024 * 1024;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    pub address: SocketAddr,
    /// Whose file handles these are.
    pub database: PathBuf,
    pub read_only: bool,
    /// Show every file as this user's, whatever the tree says.
    pub uid: Option<u32>,
    pub gid: Option<u32>,
}

/// Serves `tree` until the answer is dropped. `witness` hears of what clients change.
pub fn serve(tree: Arc<dyn FileSystem>, witness: Arc<dyn Witness>, options: &Options) -> io::Result<Served> {
    server::start(Export::new(tree, witness, options)?, options.address)
}

/// What clients are shown.
struct Export {
    tree: Arc<dyn FileSystem>,
    witness: Arc<dyn Witness>,
    /// Under which a kernel mounts it, so that mountinfo names the database.
    name: PathBuf,
    read_only: bool,
    uid: Option<u32>,
    gid: Option<u32>,
    handles: Handles,
    listings: Listings,
    /// Another one tells clients that what they have not committed may be lost.
    verifier: u64,
    /// The tree may no longer be asked.
    closed: AtomicBool,
}

/// What a request is about: found, and with its attributes as they are shown.
struct Subject {
    handle: Handle,
    attr: Attr,
}

impl Export {
    fn new(tree: Arc<dyn FileSystem>, witness: Arc<dyn Witness>, options: &Options) -> io::Result<Self> {
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // One that is kept in memory is another one each time.
        let file = std::fs::metadata(&options.database).map(|file| (file.dev(), file.ino()));
        let mut hasher = DefaultHasher::new();
        (&options.database, file.map_err(|_| started)).hash(&mut hasher);
        Ok(Self {
            tree,
            witness,
            name: nixbox_mounts::export_of(&options.database),
            read_only: options.read_only,
            uid: options.uid,
            gid: options.gid,
            handles: Handles::new(hasher.finish()),
            listings: Listings::default(),
            verifier: started.as_nanos() as u64,
            closed: AtomicBool::new(false),
        })
    }

    fn tree(&self) -> &dyn FileSystem {
        &*self.tree
    }

    fn shown(&self, attr: Attr) -> Attr {
        Attr { uid: self.uid.unwrap_or(attr.uid), gid: self.gid.unwrap_or(attr.gid), ..attr }
    }

    fn attr(&self, ino: Ino) -> Result<Attr, Status> {
        Ok(self.shown(self.tree.getattr(ino)?))
    }

    /// What a client's handle stands for. What has lost its last name is gone for clients.
    fn subject(&self, handle: &[u8]) -> Result<Subject, Status> {
        let handle = self.handles.decode(handle)?;
        self.handles.find(self.tree(), &self.listings, &handle)?;
        match self.attr(handle.ino) {
            Ok(attr) if attr.nlink > 0 => Ok(Subject { handle, attr }),
            Ok(_) | Err(Status::NoEnt) => Err(Status::Stale),
            Err(status) => Err(status),
        }
    }

    /// The attributes now, for an answer that is to bring them along where they are to be had.
    fn again(&self, handle: &[u8]) -> Option<Attr> {
        self.subject(handle).ok().map(|subject| subject.attr)
    }

    fn child(&self, who: &Identity, folder: &Subject, name: &[u8]) -> Result<Subject, Status> {
        if !who.may(&folder.attr, access::EXECUTE) {
            return Err(Status::Access);
        }
        match name {
            b"." => return Ok(Subject { handle: folder.handle.clone(), attr: folder.attr }),
            b".." => {
                let handle = self.handles.parent(self.tree(), &folder.handle)?;
                let attr = self.attr(handle.ino)?;
                return Ok(Subject { handle, attr });
            }
            _ => {}
        }
        let attr = self.tree.lookup(folder.handle.ino, name_of(name))?;
        Ok(self.kept(folder, attr))
    }

    /// What was looked up or made, with the reference that came with it.
    fn kept(&self, folder: &Subject, attr: Attr) -> Subject {
        Subject { handle: self.handles.keep(self.tree(), &folder.handle, attr.ino), attr: self.shown(attr) }
    }

    fn entry_changed(&self, folder: Ino, name: &[u8]) {
        self.witness.entry_changed(folder, name_of(name));
        self.witness.inode_changed(folder);
    }

    /// Lets go what clients have not asked about for a while.
    fn sweep(&self) {
        self.handles.sweep(self.tree());
        self.listings.sweep();
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

fn name_of(bytes: &[u8]) -> &OsStr {
    std::os::unix::ffi::OsStrExt::from_bytes(bytes)
}
