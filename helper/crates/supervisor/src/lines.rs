use std::collections::VecDeque;
use std::io::{self, PipeReader, Read};
use std::os::fd::{AsFd, BorrowedFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};

/// What is kept of a child's output, for when it ends badly.
pub(crate) const KEPT: usize = 20;
/// A child that writes no newline must not fill our memory.
const LONGEST: usize = 16 * 1024;

/// A child's output, read as it comes and cut into lines.
#[derive(Debug)]
pub(crate) struct Lines {
    pipe: PipeReader,
    partial: Vec<u8>,
    pub(crate) last: VecDeque<String>,
    open: bool,
}

impl Lines {
    pub(crate) fn new(pipe: PipeReader) -> io::Result<Self> {
        fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Self { pipe, partial: Vec::new(), last: VecDeque::new(), open: true })
    }

    /// The descriptor to wait on, until the other side has closed.
    pub(crate) fn pending(&self) -> Option<BorrowedFd<'_>> {
        self.open.then(|| self.pipe.as_fd())
    }

    /// What has come so far. With `finish` a last line without newline counts too.
    pub(crate) fn read(&mut self, finish: bool) -> Vec<String> {
        let mut found = Vec::new();
        let mut buffer = [0; 64 * 1024];
        while self.open {
            match self.pipe.read(&mut buffer) {
                Ok(0) => self.open = false,
                Ok(n) => {
                    self.take(&buffer[..n], &mut found);
                    // Somebody who writes without pause must not keep the others waiting.
                    if found.len() > 1024 && !finish {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => self.open = false,
            }
        }
        if (finish || !self.open) && !self.partial.is_empty() {
            self.flush(&mut found);
        }
        found
    }

    fn take(&mut self, bytes: &[u8], found: &mut Vec<String>) {
        for piece in bytes.split_inclusive(|&b| b == b'\n') {
            self.partial.extend_from_slice(piece.strip_suffix(b"\n").unwrap_or(piece));
            if piece.ends_with(b"\n") || self.partial.len() >= LONGEST {
                self.flush(found);
            }
        }
    }

    fn flush(&mut self, found: &mut Vec<String>) {
        let line = String::from_utf8_lossy(&self.partial).trim_end_matches('\r').to_owned();
        self.partial.clear();
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back(line.clone());
        found.push(line);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::Write;

    #[test]
    fn lines_come_whole_however_they_were_written() {
        let (reader, mut writer) = io::pipe().unwrap();
        let mut lines = Lines::new(reader).unwrap();
        writer.write_all(b"one\r\ntw").unwrap();
        assert_eq!(lines.read(false), ["one"]);
        writer.write_all("o\n\nünfinished".as_bytes()).unwrap();
        assert_eq!(lines.read(false), ["two", ""]);
        drop(writer);
        assert_eq!(lines.read(false), ["ünfinished"]);
        assert!(lines.pending().is_none());
    }

    #[test]
    fn a_line_without_end_is_cut_and_only_the_last_lines_are_kept() {
        let (reader, mut writer) = io::pipe().unwrap();
        let mut lines = Lines::new(reader).unwrap();
        writer.write_all(&vec![b'x'; LONGEST + 10]).unwrap();
        assert_eq!(lines.read(false).len(), 1);
        for i in 0..50 {
            writeln!(writer, "{i}").unwrap();
        }
        assert!(lines.read(false).len() >= 50);
        assert_eq!(lines.last.len(), KEPT);
        assert_eq!(lines.last.back().unwrap(), "49");
    }
}
