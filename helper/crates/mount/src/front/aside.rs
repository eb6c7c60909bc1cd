//! Asking the tree, and where that may have to wait for a remote, on a thread of its own: those that the kernel is
//! answered from are few, and others want to go on meanwhile.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use fuser::{Errno, ReplyAttr};
use nixbox_engine::{Attr, FileSystem, Ino, Result};

use super::link::Link;
use super::translate::{Shown, errno};

#[derive(Clone)]
pub(crate) struct Asking {
    pub(super) tree: Arc<dyn FileSystem>,
    pub(super) shown: Shown,
    pub(super) link: Arc<Link>,
    /// Some of those whom the kernel lets in are turned away here, so it must ask each time.
    pub(super) asks_each_time: bool,
}

impl Asking {
    pub(super) fn ask<T>(&self, question: impl FnOnce(&dyn FileSystem) -> Result<T>) -> Result<T, Errno> {
        if self.link.closed.load(Ordering::Acquire) {
            return Err(Errno::ENODEV);
        }
        question(&*self.tree).map_err(errno)
    }

    pub(super) fn valid_for(&self, ino: Ino) -> Duration {
        if self.asks_each_time { Duration::ZERO } else { self.tree.valid_for(ino) }
    }

    pub(super) fn shown(&self, attr: &Attr) -> fuser::FileAttr {
        fuser::FileAttr { blocks: self.tree.blocks(attr), ..self.shown.attr(attr) }
    }

    pub(super) fn attr(&self, reply: ReplyAttr, answer: Result<Attr, Errno>) {
        match answer {
            Ok(attr) => reply.attr(&self.valid_for(attr.ino), &self.shown(&attr)),
            Err(error) => reply.error(error),
        }
    }

    /// `work` needs the content of a file, which may have to be fetched. Where no thread can be had, its reply is dropped,
    /// and that is an answer to the kernel.
    pub(super) fn with_content(&self, ino: Ino, work: impl FnOnce(&Self) + Send + 'static) {
        if !self.tree.may_wait(ino) {
            return work(self);
        }
        let asking = self.clone();
        let begun = thread::Builder::new().name("absent".into()).spawn(move || work(&asking));
        if let Err(error) = begun {
            tracing::warn!(%error, ino, "content was not loaded");
        }
    }
}
