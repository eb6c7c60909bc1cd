//! What the kernel has to hear: it keeps what it has learnt for an hour, and changes that did not come through the
//! mount make some of that untrue.

use std::ffi::OsStr;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fuser::{INodeNo, Notifier};
use nixbox_engine::{Ino, Witness};
use nixbox_mounts::within;

use crate::front::Link;

/// Who asked waits so long at most for what programs have mapped.
const SETTLES_WITHIN: Duration = Duration::from_secs(2);

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

    /// To forget its pages, the kernel has to write those that were changed, and waits for that.
    fn settle(&self, ino: Option<Ino>) {
        let unwritten = self.link.unwritten(ino);
        if unwritten.is_empty() || self.link.closed.load(Ordering::Acquire) {
            return;
        }
        let kernel = self.clone();
        let told = within(SETTLES_WITHIN, move || unwritten.into_iter().for_each(|ino| kernel.inode_changed(ino)));
        if told.is_none() {
            tracing::warn!("what is mapped was not written back in time");
        }
    }

    fn inode_changed(&self, ino: Ino) {
        // From the beginning to the end: all of its pages, and its attributes.
        self.tell(|kernel| kernel.inval_inode(INodeNo(ino), 0, 0));
    }
}
