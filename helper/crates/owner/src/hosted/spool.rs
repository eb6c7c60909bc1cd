//! A body on its way, kept here while one side is slow: in memory as long as it is small, else in a file without a name.
//! The server has one connection for everybody, and gets a body only when all of it is here.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Bytes;
use http_body::{Body, Frame, SizeHint};

const IN_MEMORY: usize = 256 << 10;
const PIECE: u64 = 64 << 10;

#[derive(Debug)]
pub(super) struct Spool {
    folder: PathBuf,
    kept: Kept,
    length: u64,
}

#[derive(Debug)]
enum Kept {
    Memory(Vec<u8>),
    File(File),
}

impl Spool {
    /// `folder`: where there is room for what is large.
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), kept: Kept::Memory(Vec::new()), length: 0 }
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Kept::Memory(memory) = &mut self.kept {
            if memory.len() + bytes.len() <= IN_MEMORY {
                memory.extend_from_slice(bytes);
                self.length += bytes.len() as u64;
                return Ok(());
            }
            let mut file = tempfile::tempfile_in(&self.folder)?;
            file.write_all(memory)?;
            self.kept = Kept::File(file);
        }
        if let Kept::File(file) = &mut self.kept {
            file.write_all(bytes)?;
            self.length += bytes.len() as u64;
        }
        Ok(())
    }

    /// From its beginning. Nothing more may be pushed afterwards.
    pub(super) fn read(&mut self) -> io::Result<Box<dyn Read + '_>> {
        Ok(match &mut self.kept {
            Kept::Memory(memory) => Box::new(memory.as_slice()),
            Kept::File(file) => {
                file.seek(SeekFrom::Start(0))?;
                Box::new(file)
            }
        })
    }

    pub(super) fn into_body(mut self) -> io::Result<Spooled> {
        if let Kept::File(file) = &mut self.kept {
            file.seek(SeekFrom::Start(0))?;
        }
        Ok(Spooled { left: self.length, kept: self.kept })
    }
}

/// What is told of it, piece by piece, as it is taken.
#[derive(Debug)]
pub(super) struct Spooled {
    kept: Kept,
    left: u64,
}

impl Body for Spooled {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let piece = match &mut self.kept {
            Kept::Memory(memory) => Ok(Bytes::from(std::mem::take(memory))),
            Kept::File(file) => {
                let mut piece = Vec::with_capacity(PIECE as usize);
                file.take(PIECE).read_to_end(&mut piece).map(|_| Bytes::from(piece))
            }
        };
        let piece = piece.and_then(|piece| match piece.len() as u64 {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            length => {
                self.left = self.left.saturating_sub(length);
                Ok(Frame::data(piece))
            }
        });
        Poll::Ready(Some(piece))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_was_pushed_comes_back_from_memory_and_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        for (pieces, is_file) in [(1, false), (4, false), (5, true), (100, true)] {
            let mut spool = Spool::new(folder.path());
            let mut whole = Vec::new();
            for piece in 0..pieces {
                let bytes = vec![piece as u8; 64 << 10];
                spool.push(&bytes).unwrap();
                whole.extend(bytes);
            }
            assert_eq!((matches!(spool.kept, Kept::File(_)), spool.length()), (is_file, whole.len() as u64));
            for _ in 0..2 {
                let mut read = Vec::new();
                spool.read().unwrap().read_to_end(&mut read).unwrap();
                assert!(read == whole);
            }
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
