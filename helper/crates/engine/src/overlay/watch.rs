//! Changes of the base that did not come through the view. The kernel tells of them by inotify, and they are passed on
//! to whoever remembers the view. What is watched may therefore be believed for a moment; what is not, never.
//!
//! A folder is watched from the first lookup in it on, before the lookup looks, so that no change falls in between.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};

use super::base::Base;
use super::nodes::Below;
use super::{Overlay, State};
use crate::by_path::Witness;
use crate::filesystem::{Ino, Kind, ROOT, UNTIL_TOLD};

/// Changes that the kernel does not tell of, those through a mapping, are seen after this; and whatever a race between
/// an answer and the news of a change has left wrong.
const WATCHED: Duration = Duration::from_secs(1);

/// A watch takes about a kilobyte of the kernel's memory, and the number of them is the user's, for all programs.
const SHARE: usize = 4;
const MOST: usize = 32 * 1024;

pub(super) struct Watches {
    inotify: Arc<Inotify>,
    by_folder: HashMap<Ino, WatchDescriptor>,
    by_watch: HashMap<WatchDescriptor, Ino>,
    /// How many there may be.
    room: usize,
    /// What was found to have changed without a word.
    distrusted: Vec<Ino>,
    /// Names that had better be forgotten.
    surplus: Vec<(Ino, OsString)>,
    wake: Arc<EventFd>,
}

impl Watches {
    fn add(&mut self, base: &Base, folder: Ino, below: &Below) {
        if self.by_folder.contains_key(&folder) || self.by_folder.len() >= self.room {
            return;
        }
        let Some(inside) = base.inside(&below.path).filter(|inside| inside.identity() == Some(below.id)) else {
            return;
        };
        let path = format!("/proc/self/fd/{}", inside.as_fd().as_raw_fd());
        match self.inotify.add_watch(path.as_str(), EVENTS) {
            Ok(watch) => {
                // The same folder at another place, before it was moved.
                if let Some(former) = self.by_watch.insert(watch, folder) {
                    self.by_folder.remove(&former);
                }
                self.by_folder.insert(folder, watch);
            }
            Err(Errno::ENOSPC | Errno::ENOMEM) => self.room = self.by_folder.len(),
            Err(error) => tracing::debug!(path = %below.path.display(), %error, "not watched"),
        }
    }

    /// Nobody remembers anything of that folder any more.
    pub fn remove(&mut self, folder: Ino) {
        if let Some(watch) = self.by_folder.remove(&folder) {
            self.by_watch.remove(&watch);
            let _ = self.inotify.rm_watch(watch);
        }
    }

    fn distrust(&mut self, ino: Ino) {
        self.distrusted.push(ino);
        let _ = self.wake.write(1);
    }
}

impl Drop for Watches {
    fn drop(&mut self) {
        // The thread finds the view gone.
        let _ = self.wake.write(1);
    }
}

impl Overlay {
    pub(super) fn start_watching(&self, witness: Arc<dyn Witness>) -> nix::Result<()> {
        let inotify = Arc::new(Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?);
        let wake = Arc::new(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?);
        let watcher =
            Watcher { state: Arc::downgrade(&self.state), inotify: inotify.clone(), wake: wake.clone(), witness };
        let room = if self.base.is_local() { room() } else { 0 };
        let thread = std::thread::Builder::new().name("watch".into()).spawn(move || watcher.run());
        thread.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EAGAIN)))?;
        let (by_folder, by_watch) = (HashMap::new(), HashMap::new());
        self.state().watches =
            Some(Watches { inotify, by_folder, by_watch, room, distrusted: Vec::new(), surplus: Vec::new(), wake });
        Ok(())
    }

    /// Before something in a folder is looked at.
    pub(super) fn watch(&self, state: &mut State, folder: Ino) {
        let State { watches: Some(watches), nodes, .. } = state else { return };
        let Some(node) = nodes.get(folder).filter(|node| node.kind == Kind::Directory) else { return };
        // What is mounted in the base may be anything.
        if let Some(below) = node.below.as_ref().filter(|below| below.id.dev == nodes.root_device()) {
            watches.add(&self.base, folder, below);
        }
    }

    pub(super) fn believable(state: &State, number: Ino) -> Duration {
        let Some(below) = state.nodes.get(number).and_then(|node| node.below.as_ref()) else { return UNTIL_TOLD };
        if below.linked {
            return Duration::ZERO;
        }
        match below.path.parent() {
            None => Self::names_believable(state, ROOT),
            Some(parent) => {
                state.nodes.at(parent).map_or(Duration::ZERO, |parent| Self::names_believable(state, parent))
            }
        }
    }

    /// Of the names in a folder.
    pub(super) fn names_believable(state: &State, folder: Ino) -> Duration {
        if state.nodes.get(folder).is_none_or(|node| node.below.is_none()) {
            return UNTIL_TOLD;
        }
        let is_watched = state.watches.as_ref().is_some_and(|watches| watches.by_folder.contains_key(&folder));
        if is_watched { WATCHED } else { Duration::ZERO }
    }

    /// After something was looked up that was not known before.
    pub(super) fn relieve(state: &mut State) {
        let State { watches: Some(watches), nodes, .. } = state else { return };
        let before = watches.surplus.len();
        watches.surplus.extend(nodes.surplus());
        if watches.surplus.len() > before {
            let _ = watches.wake.write(1);
        }
    }

    /// The content of an open file was seen to be another than the one that may be remembered.
    pub(super) fn distrust(state: &mut State, number: Ino) {
        if let Some(watches) = &mut state.watches {
            watches.distrust(number);
        }
    }
}

const EVENTS: AddWatchFlags = AddWatchFlags::IN_CREATE
    .union(AddWatchFlags::IN_DELETE)
    .union(AddWatchFlags::IN_MOVE)
    .union(AddWatchFlags::IN_MODIFY)
    .union(AddWatchFlags::IN_ATTRIB)
    .union(AddWatchFlags::IN_MOVE_SELF);
const NAMES: AddWatchFlags = AddWatchFlags::IN_CREATE.union(AddWatchFlags::IN_DELETE).union(AddWatchFlags::IN_MOVE);

fn room() -> usize {
    let most = std::fs::read_to_string("/proc/sys/fs/inotify/max_user_watches").ok();
    most.and_then(|most| most.trim().parse::<usize>().ok()).map_or(0, |most| (most / SHARE).min(MOST))
}

/// The thread that listens.
struct Watcher {
    state: Weak<Mutex<State>>,
    inotify: Arc<Inotify>,
    wake: Arc<EventFd>,
    witness: Arc<dyn Witness>,
}

/// What is to be told, once no lock is held.
enum News {
    Name(Ino, OsString),
    Inode(Ino),
}

impl Watcher {
    fn run(self) {
        loop {
            let mut fds = [
                PollFd::new(self.inotify.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.wake.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut fds, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return tracing::warn!(%error, "changes of the base are noticed later from now on"),
            }
            let _ = self.wake.read();
            let events = self.inotify.read_events().unwrap_or_default();
            let Some(state) = self.state.upgrade() else { return };
            let news = self.digest(lock(&state), &events);
            drop(state);
            for news in news {
                match news {
                    News::Name(folder, name) => self.witness.entry_changed(folder, &name),
                    News::Inode(ino) => self.witness.inode_changed(ino),
                }
            }
        }
    }

    fn digest(&self, mut state: MutexGuard<'_, State>, events: &[InotifyEvent]) -> Vec<News> {
        let State { watches: Some(watches), nodes, .. } = &mut *state else { return Vec::new() };
        let mut news: Vec<_> = watches.distrusted.drain(..).map(News::Inode).collect();
        news.extend(watches.surplus.drain(..).map(|(folder, name)| News::Name(folder, name)));
        for event in events {
            if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
                // Names and attributes are asked for again in a moment; what is open and mapped would not be.
                news.extend(nodes.open_below().map(News::Inode));
                continue;
            }
            let Some(folder) = watches.by_watch.get(&event.wd).copied() else { continue };
            if event.mask.intersects(AddWatchFlags::IN_IGNORED | AddWatchFlags::IN_MOVE_SELF) {
                watches.remove(folder);
            }
            let Some(name) = &event.name else {
                news.push(News::Inode(folder));
                continue;
            };
            if event.mask.intersects(NAMES) {
                news.push(News::Name(folder, name.clone()));
                news.push(News::Inode(folder));
            }
            news.extend(child(nodes, folder, name).map(News::Inode));
        }
        news.dedup_by(|a, b| matches!((a, b), (News::Inode(a), News::Inode(b)) if a == b));
        news
    }
}

fn child(nodes: &super::Nodes, folder: Ino, name: &OsStr) -> Option<Ino> {
    nodes.at(&nodes.get(folder)?.below.as_ref()?.path.join(name))
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
