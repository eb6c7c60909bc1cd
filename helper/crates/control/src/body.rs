//! Bodies: frames of bytes, each with its length before it.

use std::io::{self, Read, Write};

/// What one frame may hold: both sides keep one of them in memory and no more.
pub const MAX_FRAME: usize = 256 * 1024;
/// In place of a length: there will be no more, and this was not all.
pub const BROKEN_OFF: u32 = u32::MAX;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// The buffer holds this much.
    Bytes(usize),
    End,
    BrokenOff,
}

impl Frame {
    /// What a header announces; an error where that is too much.
    pub fn announced(header: [u8; 4]) -> io::Result<Self> {
        match u32::from_be_bytes(header) {
            0 => Ok(Self::End),
            BROKEN_OFF => Ok(Self::BrokenOff),
            length if length as usize <= MAX_FRAME => Ok(Self::Bytes(length as usize)),
            length => Err(io::Error::new(io::ErrorKind::InvalidData, format!("a frame of {length} bytes"))),
        }
    }
}

pub fn frame_header(length: usize) -> [u8; 4] {
    // Longer pieces are cut before they come here.
    u32::try_from(length).unwrap_or(BROKEN_OFF).to_be_bytes()
}

/// Writes `bytes` as one frame, or as several where they are too long for one. No bytes, no frame.
pub fn write_frame(to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    for piece in bytes.chunks(MAX_FRAME) {
        to.write_all(&frame_header(piece.len()))?;
        to.write_all(piece)?;
    }
    Ok(())
}

/// The next frame, in place of what `buffer` held.
pub fn read_frame(from: &mut impl Read, buffer: &mut Vec<u8>) -> io::Result<Frame> {
    let mut header = [0; 4];
    from.read_exact(&mut header)?;
    let frame = Frame::announced(header)?;
    buffer.clear();
    if let Frame::Bytes(length) = frame {
        buffer.resize(length, 0);
        from.read_exact(buffer)?;
    }
    Ok(frame)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_body_comes_out_as_it_went_in() {
        let bytes: Vec<u8> = (0..MAX_FRAME * 2 + 5).map(|i| i as u8).collect();
        let mut wire = Vec::new();
        write_frame(&mut wire, &bytes).unwrap();
        write_frame(&mut wire, b"").unwrap();
        wire.extend(frame_header(0));
        let (mut from, mut buffer, mut got) = (&wire[..], Vec::new(), Vec::new());
        while let Frame::Bytes(length) = read_frame(&mut from, &mut buffer).unwrap() {
            assert_eq!(length, buffer.len());
            got.extend_from_slice(&buffer);
        }
        assert!(got == bytes && from.is_empty());
    }

    #[test]
    fn what_breaks_off_is_not_the_end() {
        let mut buffer = Vec::new();
        assert_eq!(read_frame(&mut &BROKEN_OFF.to_be_bytes()[..], &mut buffer).unwrap(), Frame::BrokenOff);
        for cut in [&b""[..], &[0, 0], &[0, 0, 0, 2, b'x']] {
            let error = read_frame(&mut &*cut, &mut buffer).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
        let long = (MAX_FRAME as u32 + 1).to_be_bytes();
        assert_eq!(read_frame(&mut &long[..], &mut buffer).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
