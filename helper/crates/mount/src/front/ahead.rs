//! Small files are given to the kernel whole when they are opened: what is opened is read, and each question that it
//! has to ask costs more than reading the file.
//!
//! What is given goes over what the kernel has. So nobody else may have the file open, nor change it meanwhile; and the
//! kernel must not have asked for its pages, because it would wait for the answer before it took them. One file at a
//! time is given: somebody always has to be there to answer.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use fuser::{INodeNo, Notifier};
use nixbox_engine::{FileSystem, Ino, Opened};

/// What the kernel itself reads ahead, by default.
const SMALL: u64 = 128 * 1024;

#[derive(Debug, Default)]
pub(crate) struct Ahead {
    kernel: OnceLock<Notifier>,
    state: Mutex<State>,
    given: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// How often each file is open.
    open: HashMap<Ino, u64>,
    giving: Option<Ino>,
}

/// The right to give one file.
pub(super) struct Turn<'a> {
    ahead: &'a Ahead,
    kernel: &'a Notifier,
    ino: Ino,
}

impl Ahead {
    pub(crate) fn connect(&self, kernel: Notifier) {
        let _ = self.kernel.set(kernel);
    }

    /// Before a file is opened, or changed by who need not have it open. `reads`: its opener wants to.
    pub(super) fn open(&self, ino: Ino, reads: bool) -> Option<Turn<'_>> {
        let mut state = self.state();
        while state.giving == Some(ino) {
            state = self.given.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let count = state.open.entry(ino).or_default();
        *count += 1;
        let is_first = *count == 1;
        let kernel = self.kernel.get().filter(|_| reads && is_first && state.giving.is_none())?;
        state.giving = Some(ino);
        Some(Turn { ahead: self, kernel, ino })
    }

    /// Closed, or not opened after all.
    pub(super) fn close(&self, ino: Ino) {
        let mut state = self.state();
        if let Some(count) = state.open.get_mut(&ino) {
            *count -= 1;
            if *count == 0 {
                state.open.remove(&ino);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change of it is one step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// Says whether the kernel may keep what it has of the file now. `opened`: by who has the turn.
    pub(super) fn give(self, tree: &dyn FileSystem, opened: Opened) -> bool {
        let size = opened.unread.filter(|size| (1..=SMALL).contains(size));
        let (Some(size), Some(before)) = (size, tree.version(self.ino)) else { return opened.same_content };
        match tree.read(self.ino, 0, size as u32) {
            Ok(content) if content.len() as u64 == size => {
                let given = self.kernel.store(INodeNo(self.ino), 0, &content);
                // Changed while it was on its way, past the mount: whoever told the kernel so may have told it too early.
                opened.same_content && given.is_ok() && tree.version(self.ino) == Some(before)
            }
            _ => opened.same_content,
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.ahead.state().giving = None;
        self.ahead.given.notify_all();
    }
}
