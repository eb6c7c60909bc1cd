//! What the kernel has to hear: it keeps what it has learnt for an hour, and changes that did not come through the
//! mount make some of that untrue.

use std::ffi::OsStr;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use fuser::{INodeNo, Notifier};
use nixbox_engine::{Ino, Witness};

use crate::front::Link;

/// Tells the kernel. Waits for it, and it may have questions of its own before it is done: never call this from a
/// thread that answers them, or with a lock held that answering takes.
#[derive(Clone)]
pub struct Notices {
    notifier: Notifier,
    link: Arc<Link>,
}

impl Notices {
    pub(crate) fn new(notifier: Notifier, link: Arc<Link>) -> Self {
        Self { notifier, link }
    }

    fn tell(&self, tell: impl FnOnce(&Notifier) -> io::Result<()>) {
        if self.link.closed.load(Ordering::Acquire) {
            return;
        }
        match tell(&self.notifier) {
            // Unmounted meanwhile: there is nobody left who believes something old.
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => {}
            Err(error) => tracing::warn!(%error, "the kernel could not be told of a change"),
            Ok(()) => {}
        }
    }
}

impl Witness for Notices {
    fn entry_changed(&self, directory: Ino, name: &OsStr) {
        self.tell(|kernel| kernel.inval_entry(INodeNo(directory), name));
    }

    fn inode_changed(&self, ino: Ino) {
        // From the beginning to the end: all of its pages, and its attributes.
        self.tell(|kernel| kernel.inval_inode(INodeNo(ino), 0, 0));
    }
}
