//! One log, file after file, however often it is put aside meanwhile. Each file is opened before it can go away, so who
//! reads slowly misses nothing.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use nixbox_supervisor::aside;
use notify::{RecommendedWatcher, RecursiveMode, Watcher};

/// More than are ever kept.
const MOST: u32 = 101;

/// Which file it is, whatever it is called by now.
type Identity = (u64, u64);

#[derive(Debug, Default)]
struct Coming {
    files: VecDeque<File>,
    /// The newest that was opened.
    last: Option<Identity>,
    /// Counted up by whatever happens in the folder.
    news: u64,
}

/// Each log with what has come of it.
type Chains = Arc<Mutex<Vec<(PathBuf, Arc<Shared>)>>>;

/// Those who look at one folder for logs to grow and to be put aside.
pub struct Watched {
    chains: Chains,
    _watcher: RecommendedWatcher,
}

#[derive(Debug, Default)]
struct Shared {
    coming: Mutex<Coming>,
    happened: Condvar,
}

/// The lines of one log, the oldest that is kept first.
pub struct Chain {
    shared: Arc<Shared>,
    now: Option<BufReader<File>>,
    partial: Vec<u8>,
    /// Whether `shared` hears of what comes.
    is_watched: bool,
}

impl Watched {
    pub fn folder(folder: &Path) -> io::Result<Self> {
        let chains = Chains::default();
        let told = chains.clone();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| event.kind.is_access()) {
                return;
            }
            for (path, shared) in told.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                shared.look(path);
            }
        })
        .map_err(io::Error::other)?;
        watcher.watch(folder, RecursiveMode::NonRecursive).map_err(io::Error::other)?;
        Ok(Self { chains, _watcher: watcher })
    }

    pub fn chain(&self, path: &Path) -> Chain {
        let chain = Chain { is_watched: true, ..Chain::of(path) };
        self.chains.lock().unwrap_or_else(PoisonError::into_inner).push((path.to_owned(), chain.shared.clone()));
        // It may have been put aside between the two.
        chain.shared.look(path);
        chain
    }
}

impl Shared {
    /// Opens what has come since.
    fn look(&self, path: &Path) {
        let mut coming = self.coming.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = VecDeque::new();
        for number in 0..MOST {
            let name = if number == 0 { path.to_owned() } else { aside(path, number) };
            let Ok(file) = File::open(&name) else {
                // While one is put aside there is none of its name for a moment.
                if number == 0 {
                    continue;
                }
                break;
            };
            let Ok(meta) = file.metadata() else { continue };
            let identity = (meta.dev(), meta.ino());
            if coming.last == Some(identity) {
                break;
            }
            found.push_front((file, identity));
        }
        if let Some((_, newest)) = found.back() {
            coming.last = Some(*newest);
        }
        coming.files.extend(found.into_iter().map(|(file, _)| file));
        coming.news += 1;
        drop(coming);
        self.happened.notify_all();
    }
}

impl Chain {
    /// What is kept of it now.
    pub fn of(path: &Path) -> Self {
        let shared = Arc::new(Shared::default());
        shared.look(path);
        Self { shared, now: None, partial: Vec::new(), is_watched: false }
    }

    /// The next whole line that is there, without its newline.
    pub fn next(&mut self) -> io::Result<Option<String>> {
        loop {
            let Some(file) = &mut self.now else {
                match self.shared.coming.lock().unwrap_or_else(PoisonError::into_inner).files.pop_front() {
                    Some(file) => self.now = Some(BufReader::with_capacity(64 * 1024, file)),
                    None => return Ok(None),
                }
                continue;
            };
            // Looked up before the end is read: nobody writes to a file that has a successor.
            let is_final = !self.shared.coming.lock().unwrap_or_else(PoisonError::into_inner).files.is_empty();
            if file.read_until(b'\n', &mut self.partial)? > 0 && self.partial.last() == Some(&b'\n') {
                self.partial.pop();
                let line = String::from_utf8_lossy(&self.partial).into_owned();
                self.partial.clear();
                return Ok(Some(line));
            }
            if !is_final {
                return Ok(None);
            }
            self.now = None;
        }
    }

    /// The same, waiting for one.
    pub fn wait(&mut self) -> io::Result<String> {
        loop {
            let news = self.shared.coming.lock().unwrap_or_else(PoisonError::into_inner).news;
            if let Some(line) = self.next()? {
                return Ok(line);
            }
            if !self.is_watched {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let coming = self.shared.coming.lock().unwrap_or_else(PoisonError::into_inner);
            drop(self.shared.happened.wait_while(coming, |coming| coming.news == news));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use nixbox_supervisor::{Log, LogFile};

    use super::*;

    /// As much as the disk takes, put aside all the time, and read slower than it is written.
    #[test]
    fn a_slow_reader_misses_nothing_however_often_it_is_put_aside() {
        const LINES: usize = 60_000;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        let watched = Watched::folder(dir.path()).unwrap();
        let mut log = Log::open(LogFile { path: path.clone(), max_size: 64 * 1024, keep: 5 }).unwrap();
        let mut chain = watched.chain(&path);
        let (shared, newest) = (chain.shared.clone(), path.clone());
        let writer = std::thread::spawn(move || {
            for number in 0..LINES {
                log.write(&format!("{number} {}", "x".repeat(50))).unwrap();
                if number % 500 == 0 {
                    // The watcher gets its turn between two of them.
                    let meta = std::fs::metadata(&newest).unwrap();
                    while shared.coming.lock().unwrap().last != Some((meta.dev(), meta.ino())) {
                        std::thread::sleep(std::time::Duration::from_millis(1));
                    }
                }
            }
        });
        for number in 0..LINES {
            let line = chain.wait().unwrap();
            let said: usize = line.split(' ').nth(1).unwrap().parse().unwrap();
            assert_eq!(said, number);
            if number % 1000 == 0 {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
        }
        writer.join().unwrap();
        assert_eq!(chain.next().unwrap(), None);
    }

    #[test]
    fn what_is_kept_is_read_from_the_oldest_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        for (name, text) in [("a.log.2", "1\n2\n"), ("a.log.1", "3\n"), ("a.log", "4\nunfinished")] {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let mut chain = Chain::of(&path);
        let mut lines = Vec::new();
        while let Some(line) = chain.next().unwrap() {
            lines.push(line);
        }
        assert_eq!(lines, ["1", "2", "3", "4"]);
    }
}
