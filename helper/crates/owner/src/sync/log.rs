//! What was synced, when, and what came of it: a line each in a file beside the database, on disk when it was told. Only
//! so many are kept. What failed the same way as the last time is the same line once more.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use nixbox_control::SyncEntry;

/// How many lines are left when there were twice as many.
const KEPT: usize = 500;
const LONGEST: u64 = 4 << 20;

pub(crate) struct Log {
    path: PathBuf,
    writing: Mutex<()>,
}

impl Log {
    /// `folder`: the instance's own.
    pub(crate) fn of(folder: &Path) -> Self {
        Self { path: folder.join("sync").join("log.jsonl"), writing: Mutex::new(()) }
    }

    /// Newest first.
    pub(crate) fn last(&self, limit: usize) -> io::Result<Vec<SyncEntry>> {
        let mut all = self.all()?;
        all.reverse();
        all.truncate(limit);
        Ok(all)
    }

    /// Whether it is something else than the last time.
    pub(crate) fn add(&self, entry: SyncEntry) -> io::Result<bool> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = self.all()?;
        let again = all.pop_if(|last| is_the_same_again(last, &entry));
        if again.is_none() && all.len() + 1 < 2 * KEPT {
            return self.append(&entry).map(|()| true);
        }
        let is_new = again.is_none();
        let times = again.map_or(0, |last| last.times.max(1) + 1);
        all.push(SyncEntry { times, ..entry });
        if all.len() >= 2 * KEPT {
            all.drain(..all.len() - KEPT);
        }
        let lines = all.iter().map(nixbox_control::encode).collect::<Vec<_>>().concat();
        nixbox_state::write_atomic(&self.path, &lines, 0o600)?;
        Ok(is_new)
    }

    fn append(&self, entry: &SyncEntry) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let is_new = !self.path.exists();
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&self.path)?;
        // A line that a kill cut short must not take this one with it.
        let mut last = [b'\n'];
        if file.metadata()?.len() > 0 {
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
        }
        let mut line = if last == [b'\n'] { Vec::new() } else { vec![b'\n'] };
        line.extend(nixbox_control::encode(entry));
        file.write_all(&line)?;
        file.sync_data()?;
        match self.path.parent().filter(|_| is_new) {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    }

    fn all(&self) -> io::Result<Vec<SyncEntry>> {
        let mut text = Vec::new();
        match File::open(&self.path) {
            Ok(file) => file.take(LONGEST).read_to_end(&mut text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        Ok(text.split(|byte| *byte == b'\n').filter_map(|line| nixbox_control::decode(line).ok()).collect())
    }
}

fn is_the_same_again(last: &SyncEntry, entry: &SyncEntry) -> bool {
    entry.code.is_some()
        && (&last.code, &last.did, &last.remote, &last.message, &last.conflicts)
            == (&entry.code, &entry.did, &entry.remote, &entry.message, &entry.conflicts)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn pull(at: f64, code: Option<&str>) -> SyncEntry {
        SyncEntry { at, did: "pull".into(), remote: "team".into(), code: code.map(str::to_owned), ..Default::default() }
    }

    #[test]
    fn what_a_kill_cut_short_costs_only_its_own_line() {
        let dir = tempfile::tempdir().unwrap();
        let log = Log::of(dir.path());
        assert!(log.last(9).unwrap().is_empty());
        log.add(pull(1.0, None)).unwrap();
        OpenOptions::new().append(true).open(&log.path).unwrap().write_all(b"{\"at\": 2.0, \"di").unwrap();
        log.add(pull(3.0, None)).unwrap();
        let times: Vec<_> = log.last(9).unwrap().iter().map(|entry| entry.at).collect();
        assert_eq!(times, [3.0, 1.0]);
    }

    #[test]
    fn the_same_failure_is_one_line_and_there_are_only_so_many() {
        let dir = tempfile::tempdir().unwrap();
        let log = Log::of(dir.path());
        for at in 0..3 {
            log.add(pull(f64::from(at), Some("nixbox::sync::unreachable"))).unwrap();
        }
        let [only] = log.last(9).unwrap().try_into().unwrap();
        assert_eq!((only.at, only.times), (2.0, 3));
        for at in 0..2 * KEPT {
            log.add(pull(at as f64, None)).unwrap();
        }
        let kept = log.last(usize::MAX).unwrap();
        assert!((KEPT..2 * KEPT).contains(&kept.len()), "{}", kept.len());
        assert_eq!(kept[0].at, (2 * KEPT - 1) as f64);
    }
}
