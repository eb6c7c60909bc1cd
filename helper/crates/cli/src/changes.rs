//! Being told that something happened in the folders where owners show themselves.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use nixbox_config::{Instance, Project};
use nixbox_report::{Failure, Report, codes};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};

/// Counts changes, from the first call of `begin` on. One watch for all who wait: a user may have few.
pub struct Changes {
    folders: Vec<PathBuf>,
    place: Place,
    watch: Mutex<Option<Watch>>,
    count: Arc<(Mutex<u64>, Condvar)>,
}

/// The kernel takes some 15 ms to let go of a watch, and a process that has one takes that long to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Here,
    /// In a process of its own, for a verb whose end somebody waits for. It ends with us, a little later.
    Apart,
}

enum Watch {
    Here {
        _watcher: RecommendedWatcher,
    },
    /// What it writes comes in a byte for each change; it ends when its input does.
    Apart {
        _child: std::process::Child,
    },
}

impl Changes {
    pub fn new(project: &Project, instances: &[&Instance], place: Place) -> Result<Self, Report> {
        let runtime = &project.runtime_dir;
        nixbox_state::create_private_dir(runtime).map_err(|error| {
            Failure::new(&codes::OWNER_RUNTIME_DIR, format!("{} cannot be used", runtime.display()))
                .why(error)
                .help("set `runtime_dir` to a folder of your own")
        })?;
        // An owner that was started in another environment shows itself only by its lock.
        let locks = instances.iter().filter_map(|instance| instance.paths.lock.parent());
        let folders = [runtime.as_path()].into_iter().chain(locks.filter(|folder| folder.is_dir()));
        Ok(Self {
            folders: folders.map(Path::to_owned).collect(),
            place,
            watch: Mutex::default(),
            count: Arc::default(),
        })
    }

    /// Watches from now on at the latest, and tells how much was seen so far.
    pub fn begin(&self) -> io::Result<u64> {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        if watch.is_none() {
            let count = Arc::clone(&self.count);
            let more = move || {
                *count.0.lock().unwrap_or_else(PoisonError::into_inner) += 1;
                count.1.notify_all();
            };
            *watch = Some(match self.place {
                Place::Here => Watch::Here { _watcher: watch_here(&self.folders, more)? },
                Place::Apart => Watch::Apart { _child: watch_apart(&self.folders, more)? },
            });
        }
        Ok(self.seen())
    }

    pub fn seen(&self) -> u64 {
        *self.count.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// False when the deadline came first.
    pub fn more_than(&self, seen: u64, deadline: Option<Instant>) -> bool {
        let mut count = self.count.0.lock().unwrap_or_else(PoisonError::into_inner);
        while *count == seen {
            count = match deadline.map(|at| at.saturating_duration_since(Instant::now())) {
                None => self.count.1.wait(count).unwrap_or_else(PoisonError::into_inner),
                Some(left) if left.is_zero() => return false,
                Some(left) => self.count.1.wait_timeout(count, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
        true
    }
}

fn watch_here(folders: &[PathBuf], more: impl Fn() + Send + 'static) -> io::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Our own look at the lock file is an event too, and would wake us for ever.
        if !event.is_ok_and(|event| event.kind.is_access()) {
            more();
        }
    })
    .map_err(io::Error::other)?;
    for folder in folders {
        watcher.watch(folder, RecursiveMode::NonRecursive).map_err(io::Error::other)?;
    }
    Ok(watcher)
}

fn watch_apart(folders: &[PathBuf], more: impl Fn() + Send + 'static) -> io::Result<std::process::Child> {
    let mut command = Command::new("/proc/self/exe");
    command.arg("watch-folders").args(folders);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut bytes = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    // The first says that the watch stands: whatever happens from now on is seen.
    bytes.read_exact(&mut [0])?;
    std::thread::Builder::new().stack_size(256 * 1024).spawn(move || {
        while bytes.read_exact(&mut [0]).is_ok() {
            more();
        }
    })?;
    Ok(child)
}

/// The other side of `watch_apart`: until nobody listens any more.
pub fn tell(folders: &[PathBuf]) -> io::Result<()> {
    let told = || {
        let mut out = io::stdout().lock();
        let _ = out.write_all(b".").and_then(|()| out.flush());
    };
    let _watcher = watch_here(folders, told)?;
    told();
    io::copy(&mut io::stdin().lock(), &mut io::sink()).map(drop)
}
