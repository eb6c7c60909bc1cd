//! A unit's output as a file: a time and a line each. What has grown too large is put aside as `NAME.log.1`, what was
//! there as `NAME.log.2`, and so on.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::unit::LogFile;

#[derive(Debug)]
pub struct Log {
    to: LogFile,
    file: File,
    length: u64,
    /// Not written yet.
    pending: Vec<u8>,
    /// When the first of that was said.
    since: Option<String>,
}

/// So much is written at once.
const MOST_PENDING: usize = 256 * 1024;

/// The one that was put aside that many times ago.
pub fn aside(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

impl Log {
    pub fn open(to: LogFile) -> io::Result<Self> {
        let file = begin(&to.path)?;
        let length = file.metadata()?.len();
        Ok(Self { to, file, length, pending: Vec::new(), since: None })
    }

    /// Lines, each with a newline, to be written with what comes at the same moment, at the latest by `flush`. Those that came
    /// together have one time.
    pub fn add(&mut self, mut text: &str) -> io::Result<()> {
        while !text.is_empty() {
            let (line, rest) = text.split_at(text.find('\n').map_or(text.len(), |at| at + 1));
            let now = self.since.get_or_insert_with(|| format!("{:.3} ", jiff::Timestamp::now()));
            let length = now.len() + line.len();
            let is_full = self.length + (self.pending.len() + length) as u64 > self.to.max_size;
            if !self.pending.is_empty() && (is_full || self.pending.len() > MOST_PENDING) {
                self.flush()?;
                continue;
            }
            self.pending.extend_from_slice(now.as_bytes());
            self.pending.extend_from_slice(line.as_bytes());
            text = rest;
        }
        Ok(())
    }

    pub fn flush(&mut self) -> io::Result<()> {
        self.since = None;
        if self.pending.is_empty() {
            return Ok(());
        }
        let text = std::mem::take(&mut self.pending);
        if self.length > 0 && self.length + text.len() as u64 > self.to.max_size {
            self.put_aside()?;
        }
        self.file.write_all(&text)?;
        self.length += text.len() as u64;
        // Its room is used again.
        self.pending = text;
        self.pending.clear();
        Ok(())
    }

    /// Now.
    pub fn write(&mut self, line: &str) -> io::Result<()> {
        self.add(&format!("{line}\n"))?;
        self.flush()
    }

    fn put_aside(&mut self) -> io::Result<()> {
        let forgive = |done: io::Result<()>| match done {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        };
        let (path, keep) = (&self.to.path, self.to.keep);
        forgive(fs::remove_file(aside(path, keep)))?;
        for number in (1..keep).rev() {
            forgive(fs::rename(aside(path, number), aside(path, number + 1)))?;
        }
        match keep {
            0 => forgive(fs::remove_file(path))?,
            _ => forgive(fs::rename(path, aside(path, 1)))?,
        }
        self.file = begin(path)?;
        self.length = 0;
        Ok(())
    }
}

fn begin(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_full_is_put_aside_and_no_line_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        let mut log = Log::open(LogFile { path: path.clone(), max_size: 400, keep: 3 }).unwrap();
        for number in 0..40 {
            log.write(&format!("line {number}")).unwrap();
        }
        let files: Vec<_> = [aside(&path, 3), aside(&path, 2), aside(&path, 1), path.clone()].into();
        assert!(files.iter().all(|file| file.metadata().unwrap().len() <= 400));
        assert!(!aside(&path, 4).exists());
        let text: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
        let found: Vec<_> = text.lines().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect();
        let last: Vec<_> = (40 - found.len()..40).map(|number| format!("line {number}")).collect();
        assert_eq!(found, last);
        assert!(found.len() > 30, "{}", found.len());
        drop(log);
        // What is there is gone on with.
        Log::open(LogFile { path: path.clone(), max_size: 4000, keep: 3 }).unwrap().write("more").unwrap();
        assert!(fs::read_to_string(&path).unwrap().lines().count() > 1);
    }
}
