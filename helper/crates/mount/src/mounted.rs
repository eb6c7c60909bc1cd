//! One mount, from the moment the kernel shows it until it is gone.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use fuser::{Config, Session, SessionACL};
use nix::sys::statvfs::statvfs;
use nixbox_engine::FileSystem;
use nixbox_mounts::{Health, MountEntry, User, detach, mount_at, users_of, within};

use crate::attach::attach;
use crate::error::{Error, Result};
use crate::front::{Front, Link};
use crate::notices::Notices;
use crate::options::{Access, Options};

/// Measured: two clearly beat one, more gained nothing.
const THREADS: usize = 2;

/// How long those who use the mount may finish; they were most often told to stop together with us.
const GRACE: Duration = Duration::from_millis(1000);
const RETRY: Duration = Duration::from_millis(20);
/// How long writing back what is mapped may take when the mount is taken away from under its users.
const WRITE_BACK: Duration = Duration::from_millis(500);
/// How long the last answers may take after that.
const LAST_ANSWERS: Duration = Duration::from_millis(500);

/// A mount that this process answers for. Dropping it takes the mount away, without grace.
pub struct Mounted {
    path: PathBuf,
    entry: MountEntry,
    link: Arc<Link>,
    notices: Notices,
    /// Set, then told, when the kernel has let go.
    over: Arc<AtomicBool>,
    ended: Receiver<()>,
    gone: bool,
}

/// How a mount went away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unmounted {
    Cleanly,
    /// Somebody else had unmounted it.
    Already,
    /// From under these.
    Forced(Vec<User>),
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
    let entry = match mount_at(mountpoint) {
        Ok(Some(entry)) => entry,
        Ok(None) => return Err(Error::Refused { reason: "the mount vanished at once".into() }),
        Err(error) => return Err(refused(error)),
    };
    Ok(Mounted { path: mountpoint.to_owned(), entry, link, notices, over, ended, gone: false })
}

impl Mounted {
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many files were opened so that the kernel reads them by itself.
    pub fn backed(&self) -> u64 {
        self.link.backed.load(Ordering::Relaxed)
    }

    /// For whoever changes the tree by another way.
    pub fn notices(&self) -> Notices {
        self.notices.clone()
    }

    /// Proves that the mount is there and answers: mountinfo shows ours on top, and statfs, which only we can
    /// answer, comes back.
    pub fn prove(&self, time: Duration) -> Result<()> {
        if !self.is_ours() {
            return Err(Error::Refused { reason: "another mount covers it".into() });
        }
        let path = self.path.clone();
        match within(time, move || statvfs(&path).map(drop)) {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(Error::Refused { reason: error.desc().to_owned() }),
            None => Err(Error::Silent),
        }
    }

    /// Takes the mount away. Those who use it get a moment, unless `hurry` says that there is none; then it goes away
    /// from under them. After this the tree is asked nothing more.
    pub fn unmount(mut self, hurry: impl Fn() -> bool) -> Result<Unmounted> {
        let how = self.take_away(&hurry)?;
        if !matches!(how, Unmounted::Forced(_)) {
            // Copies of the mount in other namespaces can keep the connection open.
            if self.ended.recv_timeout(LAST_ANSWERS).is_err() {
                let _ = detach::abort(&self.entry.device);
            }
        }
        self.link.closed.store(true, Ordering::Release);
        Ok(how)
    }

    fn take_away(&mut self, hurry: &dyn Fn() -> bool) -> Result<Unmounted> {
        self.gone = true;
        let patience = Instant::now() + GRACE;
        loop {
            if !self.is_ours() {
                return Ok(Unmounted::Already);
            }
            match detach::politely(&self.path) {
                Ok(()) => return Ok(Unmounted::Cleanly),
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {}
                Err(error) => tracing::warn!(%error, "unmounting failed, trying harder"),
            }
            if hurry() || Instant::now() >= patience {
                break;
            }
            thread::sleep(RETRY);
        }
        let users = users_of(&self.path, 8);
        self.force()?;
        Ok(Unmounted::Forced(users))
    }

    fn force(&self) -> Result<()> {
        self.write_back();
        self.link.closed.store(true, Ordering::Release);
        detach::forcibly(&self.path, &self.entry.device)
            .map_err(|source| Error::Stale { path: self.path.clone(), source })?;
        let _ = self.ended.recv_timeout(LAST_ANSWERS);
        Ok(())
    }

    /// What programs have written through a mapping is only in the kernel's memory yet. On Linux 6.18 syncfs was seen
    /// only to begin writing it back to a FUSE mount, not to wait; so the end is when no more writes come.
    fn write_back(&self) {
        let deadline = Instant::now() + WRITE_BACK;
        let path = self.path.clone();
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

    /// Not so when somebody has unmounted it, or mounted something else over it: that is then not ours to unmount.
    /// When the kernel has let go, the mount is most often gone, and the number of its device is given to the next one
    /// at once. But it can also be there still, dead: when the connection was aborted.
    fn is_ours(&self) -> bool {
        matches!(mount_at(&self.path), Ok(Some(entry)) if entry == self.entry)
            && (!self.over.load(Ordering::Acquire) || self.entry.health() == Health::Dead)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if !self.gone && self.is_ours() {
            let _ = self.force();
        }
    }
}
