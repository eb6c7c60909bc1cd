//! What a command says, kept for an answer.

use std::io::{self, PipeReader, Read};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// So much of each stream is kept; the rest is read and counted.
pub const MOST: usize = 4 << 20;
/// What the command has started and left behind may hold its output open; it is not waited for longer than this.
const LAST_WORDS: Duration = Duration::from_millis(500);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Captured {
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    /// How much was said beyond what is kept.
    pub dropped: u64,
}

#[derive(Debug, Default)]
struct Kept {
    bytes: Vec<u8>,
    dropped: u64,
}

pub(super) struct Capturing {
    kept: Arc<Mutex<Kept>>,
    reader: JoinHandle<()>,
}

impl Capturing {
    pub(super) fn begin(from: PipeReader) -> io::Result<Self> {
        let kept = Arc::<Mutex<Kept>>::default();
        let to = kept.clone();
        let reader = thread::Builder::new().name("output".into()).spawn(move || keep(from, &to))?;
        Ok(Self { kept, reader })
    }

    pub(super) fn end(self) -> (Vec<u8>, u64) {
        let until = Instant::now() + LAST_WORDS;
        while !self.reader.is_finished() && Instant::now() < until {
            thread::sleep(Duration::from_millis(2));
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        (std::mem::take(&mut kept.bytes), kept.dropped)
    }
}

fn keep(mut from: impl Read, to: &Mutex<Kept>) {
    let mut piece = [0; 16 * 1024];
    loop {
        match from.read(&mut piece) {
            Ok(0) => return,
            Ok(length) => {
                let mut kept = to.lock().unwrap_or_else(PoisonError::into_inner);
                let room = length.min(MOST - kept.bytes.len());
                kept.bytes.extend_from_slice(&piece[..room]);
                kept.dropped += (length - room) as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_is_counted() {
        let kept = Mutex::default();
        keep(io::repeat(b'x').take(MOST as u64 + 5), &kept);
        let kept = kept.into_inner().unwrap_or_else(PoisonError::into_inner);
        assert_eq!((kept.bytes.len(), kept.dropped), (MOST, 5));
    }
}
