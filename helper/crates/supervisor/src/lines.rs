use std::io::{self, PipeReader, Read};
use std::os::fd::{AsFd, BorrowedFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};

/// What is kept of a child's output, for when it ends badly.
pub(crate) const KEPT: usize = 20;
/// A child that writes no newline must not fill our memory.
const LONGEST: usize = 16 * 1024;
/// So much is read at once.
const PIECE: usize = 64 * 1024;
/// Somebody who writes without pause must not keep the others waiting.
const MOST: usize = 512 * 1024;
/// What a pipe of somebody who fills it is made to hold: he waits for us less often.
const WIDE: i32 = 1024 * 1024;

/// A child's output, read as it comes and cut into lines.
#[derive(Debug)]
pub(crate) struct Lines {
    pipe: PipeReader,
    /// The end of what has come, without a newline.
    partial: Vec<u8>,
    /// The last lines that have come, each with its newline.
    last: String,
    open: bool,
    is_wide: bool,
}

impl Lines {
    pub(crate) fn new(pipe: PipeReader) -> io::Result<Self> {
        fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Self { pipe, partial: Vec::new(), last: String::new(), open: true, is_wide: false })
    }

    /// The descriptor to wait on, until the other side has closed.
    pub(crate) fn pending(&self) -> Option<BorrowedFd<'_>> {
        self.open.then(|| self.pipe.as_fd())
    }

    /// What was said last.
    pub(crate) fn last(&self) -> Vec<String> {
        self.last.lines().map(str::to_owned).collect()
    }

    /// The lines that have come so far, each with a newline. With `finish` a last one without counts too.
    pub(crate) fn read(&mut self, finish: bool) -> String {
        let mut found = String::new();
        let mut buffer = [0; PIECE];
        while self.open {
            match self.pipe.read(&mut buffer) {
                Ok(0) => self.open = false,
                Ok(n) => {
                    self.take(&buffer[..n], &mut found);
                    if n == PIECE && !self.is_wide {
                        self.is_wide = true;
                        // A user has only so much of this; then it stays as it is.
                        let _ = fcntl(&self.pipe, FcntlArg::F_SETPIPE_SZ(WIDE));
                    }
                    if found.len() > MOST && !finish {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => self.open = false,
            }
        }
        if (finish || !self.open) && !self.partial.is_empty() {
            let rest = std::mem::take(&mut self.partial);
            push(&rest, &mut found);
        }
        self.remember(&found);
        found
    }

    fn take(&mut self, bytes: &[u8], found: &mut String) {
        // Whole lines go through at once; a line is looked at by itself only where it must be.
        let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        let (lines, rest) = bytes.split_at(whole);
        match (self.partial.is_empty(), lines.is_empty()) {
            (true, false) => push(lines, found),
            (false, false) => {
                self.partial.extend_from_slice(lines);
                let lines = std::mem::take(&mut self.partial);
                push(&lines, found);
            }
            (_, true) => {}
        }
        self.partial.extend_from_slice(rest);
        while self.partial.len() >= LONGEST {
            push(&self.partial[..LONGEST], found);
            self.partial.drain(..LONGEST);
        }
    }

    fn remember(&mut self, found: &str) {
        let from_end = |text: &str| text.rmatch_indices('\n').nth(KEPT).map_or(0, |(at, _)| at + 1);
        match from_end(found) {
            0 => self.last.push_str(found),
            from => self.last.replace_range(.., &found[from..]),
        }
        self.last.drain(..from_end(&self.last));
    }
}

/// Lines as they came; the last one may lack its newline.
fn push(lines: &[u8], found: &mut String) {
    let text = String::from_utf8_lossy(lines);
    if !text.contains('\r') && !has_long_line(&text) {
        found.push_str(&text);
    } else {
        for line in text.lines() {
            let mut line = line.trim_end_matches('\r');
            while line.len() > LONGEST {
                let end = (0..=LONGEST).rev().find(|&at| line.is_char_boundary(at)).unwrap_or(line.len());
                let (piece, rest) = line.split_at(end);
                found.push_str(piece);
                found.push('\n');
                line = rest;
            }
            found.push_str(line);
            found.push('\n');
        }
    }
    if !found.ends_with('\n') {
        found.push('\n');
    }
}

fn has_long_line(text: &str) -> bool {
    let mut rest = text.as_bytes();
    while rest.len() > LONGEST {
        match rest[..=LONGEST].iter().rposition(|&byte| byte == b'\n') {
            Some(at) => rest = &rest[at + 1..],
            None => return true,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::Write;

    #[test]
    fn lines_come_whole_and_the_last_without_newline_too() {
        let (reader, mut writer) = io::pipe().unwrap();
        let mut lines = Lines::new(reader).unwrap();
        writer.write_all(b"one\r\ntw").unwrap();
        assert_eq!(lines.read(false), "one\n");
        writer.write_all("o\n\nünfinished".as_bytes()).unwrap();
        assert_eq!(lines.read(false), "two\n\n");
        drop(writer);
        assert_eq!(lines.read(false), "ünfinished\n");
        assert!(lines.pending().is_none());
        assert_eq!(lines.last(), ["one", "two", "", "ünfinished"]);
    }

    #[test]
    fn a_line_without_end_is_cut_and_only_the_last_lines_are_kept() {
        let (reader, mut writer) = io::pipe().unwrap();
        let mut lines = Lines::new(reader).unwrap();
        writer.write_all(&vec![b'x'; LONGEST + 10]).unwrap();
        assert_eq!(lines.read(false), "x".repeat(LONGEST) + "\n");
        writer.write_all(b"\n").unwrap();
        assert_eq!(lines.read(false), "x".repeat(10) + "\n");
        for i in 0..50 {
            writeln!(writer, "{i}").unwrap();
        }
        assert_eq!(lines.read(false).lines().count(), 50);
        assert_eq!(lines.last(), (30..50).map(|i| i.to_string()).collect::<Vec<_>>());
        writeln!(writer, "50").unwrap();
        lines.read(false);
        assert_eq!(lines.last(), (31..51).map(|i| i.to_string()).collect::<Vec<_>>());
    }

    /// However the pieces fall, and whatever is in them, what comes out is what went in.
    #[test]
    fn nothing_is_lost_between_two_pieces() {
        let (reader, mut writer) = io::pipe().unwrap();
        let mut lines = Lines::new(reader).unwrap();
        let said: String = (0..3000).map(|n| format!("{n} {}\n", "é".repeat(n % 97))).collect();
        let bytes = said.clone().into_bytes();
        let writing = std::thread::spawn(move || {
            for piece in bytes.chunks(1013) {
                writer.write_all(piece).unwrap();
            }
        });
        let mut found = String::new();
        while lines.pending().is_some() {
            found += &lines.read(false);
        }
        writing.join().unwrap();
        assert!(found == said);
    }
}
