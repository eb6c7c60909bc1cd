//! Changes that belong together: nobody else looks or changes anything meanwhile, and where they fail, the view is again
//! what it was.

use std::collections::HashSet;
use std::sync::PoisonError;

use super::attrs::Attrs;
use super::nodes::Nodes;
use super::whiteouts::Whiteouts;
use super::{Overlay, State};
use crate::error::Result;
use crate::filesystem::Ino;

/// What a change of the view may change of the state.
struct Before {
    nodes: Nodes,
    whiteouts: Whiteouts,
    opaque: HashSet<Ino>,
    attrs: Attrs,
}

impl Overlay {
    /// See [`FileSystem::together`](crate::FileSystem::together). What `work` does to the database is its own to undo.
    pub(super) fn alone(&self, work: impl FnOnce() -> Result<()>) -> Result<()> {
        if self.state().alone.is_some() {
            // A part of something larger.
            return work();
        }
        // Nobody is in the middle of copying a file, and to take this for the copies made here would wait for ever.
        let _nobody_copies = self.copying.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.state();
        let State { nodes, whiteouts, opaque, attrs, .. } = &*state;
        let (nodes, whiteouts) = (nodes.clone(), whiteouts.clone());
        let before = Before { nodes, whiteouts, opaque: opaque.clone(), attrs: attrs.clone() };
        state.alone = Some(std::thread::current().id());
        drop(state);
        let mut turn = Turn { overlay: self, before: Some(before) };
        let done = work();
        if done.is_ok() {
            turn.before = None;
        }
        done
    }
}

struct Turn<'a> {
    overlay: &'a Overlay,
    /// What to go back to.
    before: Option<Before>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.overlay.state();
        if let Some(Before { nodes, whiteouts, opaque, attrs }) = self.before.take() {
            (state.nodes, state.whiteouts, state.opaque, state.attrs) = (nodes, whiteouts, opaque, attrs);
        }
        state.alone = None;
        drop(state);
        self.overlay.turn.notify_all();
    }
}
