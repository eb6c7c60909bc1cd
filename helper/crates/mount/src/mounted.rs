//! One mount, from the moment the kernel shows it until it is gone.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use fuser::{Config, Session, SessionACL};
use nixbox_engine::FileSystem;
use nixbox_mounts::{Health, detach, within};

use crate::attach::attach;
use crate::error::{Error, Result};
use crate::front::{Front, Link};
use crate::notices::Notices;
use crate::options::{Access, Options};
use crate::place::{Place, RETRY, Unmounted};

/// Measured: two clearly beat one, more gained nothing.
const THREADS: usize = 2;

const READ_AHEAD_KIB: &str = "1024";

/// How long writing back what is mapped may take when the mount is taken away from under its users.
const WRITE_BACK: Duration = Duration::from_millis(500);
/// How long the last answers may take after that.
const LAST_ANSWERS: Duration = Duration::from_millis(500);

/// A mount that this process answers for. Dropping it takes the mount away, without grace.
pub struct Mounted {
    place: Place,
    link: Arc<Link>,
    notices: Notices,
    /// Set, then told, when the kernel has let go.
    over: Arc<AtomicBool>,
    ended: Receiver<()>,
    gone: bool,
}

/// Mounts `tree` at a prepared mountpoint. `on_end` is called once, on another thread, when the kernel has let go of
/// the mount, whoever asked it to.
pub fn mount(
    tree: Arc<dyn FileSystem>,
    mountpoint: &Path,
    options: &Options,
    on_end: impl FnOnce(io::Result<()>) + Send + 'static,
) -> Result<Mounted> {
    let link = Arc::new(Link::new(options.read_only));
    let front = Front::new(tree.clone(), options, link.clone());
    let mut config = Config::default();
    config.n_threads = Some(THREADS);
    config.clone_fd = true;
    let acl = match options.access {
        Access::Owner => SessionACL::Owner,
        Access::OwnerAndRoot => SessionACL::RootAndOwner,
        Access::All => SessionACL::All,
    };
    let device = attach(mountpoint, options)?;
    let refused = |error: io::Error| {
        let _ = detach::lazily(mountpoint);
        Error::Refused { reason: error.to_string() }
    };
    let session = Session::from_fd(front, device, acl, config).map_err(refused)?;
    link.ahead.connect(session.notifier());
    let notices = Notices::new(session.notifier(), link.clone());
    tree.tell(Arc::new(notices.clone()));
    let (tell, ended) = mpsc::channel();
    let over = Arc::new(AtomicBool::new(false));
    let is_over = over.clone();
    thread::Builder::new()
        .name("mount".into())
        .spawn(move || {
            let end = session.run();
            is_over.store(true, Ordering::Release);
            let _ = tell.send(());
            on_end(end);
        })
        .map_err(refused)?;
    let place = Place::of(mountpoint)?;
    read_further_ahead(&place.entry.device);
    Ok(Mounted { place, link, notices, over, ended, gone: false })
}

/// The kernel reads 128 KiB ahead of a program by itself, in as many questions as that makes; in one of the largest
/// size there are eight times fewer. Only root may change it.
fn read_further_ahead(device: &str) {
    let _ = std::fs::write(format!("/sys/class/bdi/{device}/read_ahead_kb"), READ_AHEAD_KIB);
}

impl Mounted {
    pub fn path(&self) -> &Path {
        &self.place.path
    }

    /// How many files were opened so that the kernel reads them by itself.
    pub fn backed(&self) -> u64 {
        self.link.backed.load(Ordering::Relaxed)
    }

    /// For whoever changes the tree by another way.
    pub fn notices(&self) -> Notices {
        self.notices.clone()
    }

    /// Proves that the mount is there and answers.
    pub fn prove(&self, time: Duration) -> Result<()> {
        self.place.prove(time)
    }

    /// Takes the mount away. Those who use it get a moment, unless `hurry` says that there is none; then it goes away
    /// from under them. After this the tree is asked nothing more.
    pub fn unmount(mut self, hurry: impl Fn() -> bool) -> Result<Unmounted> {
        self.gone = true;
        let how = self.place.leave(|| self.is_ours(), hurry, || self.force())?;
        if !matches!(how, Unmounted::Forced(_)) {
            // Copies of the mount in other namespaces can keep the connection open.
            if self.ended.recv_timeout(LAST_ANSWERS).is_err() {
                let _ = detach::abort(&self.place.entry.device);
            }
        }
        self.link.closed.store(true, Ordering::Release);
        Ok(how)
    }

    fn force(&self) -> Result<()> {
        self.write_back();
        self.link.closed.store(true, Ordering::Release);
        let Place { path, entry } = &self.place;
        detach::forcibly(path, &entry.device).map_err(|source| Error::Stale { path: path.clone(), source })?;
        let _ = self.ended.recv_timeout(LAST_ANSWERS);
        Ok(())
    }

    /// What programs have written through a mapping is only in the kernel's memory yet. On Linux 6.18 syncfs was seen
    /// only to begin writing it back to a FUSE mount, not to wait; so the end is when no more writes come.
    fn write_back(&self) {
        let deadline = Instant::now() + WRITE_BACK;
        let path = self.place.path.clone();
        if within(WRITE_BACK, move || File::open(path).map(|root| nix::unistd::syncfs(&root))).is_none() {
            return;
        }
        let mut before = None;
        loop {
            let writes = self.link.writes.load(Ordering::Acquire);
            if before == Some(writes) || Instant::now() >= deadline {
                return;
            }
            before = Some(writes);
            thread::sleep(RETRY);
        }
    }

    /// When the kernel has let go, the mount is most often gone, and the number of its device is given to the next one
    /// at once. But it can also be there still, dead: when the connection was aborted.
    fn is_ours(&self) -> bool {
        self.place.is_shown() && (!self.over.load(Ordering::Acquire) || self.place.entry.health() == Health::Dead)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if !self.gone && self.is_ours() {
            let _ = self.force();
        }
    }
}
