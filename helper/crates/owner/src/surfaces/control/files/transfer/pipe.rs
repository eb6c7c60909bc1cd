//! A pipe between a thread that blocks and a conversation that does not, some pieces deep.

use std::io::{self, Read, Write};

use tokio::sync::mpsc;

use super::super::PIECE;

const DEEP: usize = 4;

pub(super) enum Piece {
    Bytes(Vec<u8>),
    /// That was all. A pipe that closes without it has broken off.
    End,
}

pub(super) fn pipe() -> (mpsc::Sender<Piece>, mpsc::Receiver<Piece>) {
    mpsc::channel(DEEP)
}

/// The thread's end of one that it writes to.
pub(super) struct Outward {
    to: mpsc::Sender<Piece>,
    piece: Vec<u8>,
}

impl Outward {
    pub fn new(to: mpsc::Sender<Piece>) -> Self {
        Self { to, piece: Vec::new() }
    }

    pub fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        self.send(Piece::End)
    }

    fn send(&self, piece: Piece) -> io::Result<()> {
        self.to.blocking_send(piece).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for Outward {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = (PIECE as usize).saturating_sub(self.piece.len()).min(bytes.len());
        self.piece.extend_from_slice(&bytes[..room]);
        if self.piece.len() >= PIECE as usize {
            self.flush()?;
        }
        Ok(room)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::take(&mut self.piece);
        self.send(Piece::Bytes(piece))
    }
}

/// The thread's end of one that it reads from.
pub(super) struct Inward {
    from: mpsc::Receiver<Piece>,
    piece: Vec<u8>,
    at: usize,
    ended: bool,
}

impl Inward {
    pub fn new(from: mpsc::Receiver<Piece>) -> Self {
        Self { from, piece: Vec::new(), at: 0, ended: false }
    }
}

impl Read for Inward {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.piece.len() && !self.ended {
            match self.from.blocking_recv() {
                Some(Piece::Bytes(piece)) => (self.piece, self.at) = (piece, 0),
                Some(Piece::End) => self.ended = true,
                None => return Err(io::ErrorKind::BrokenPipe.into()),
            }
        }
        let length = buffer.len().min(self.piece.len() - self.at);
        buffer[..length].copy_from_slice(&self.piece[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}
