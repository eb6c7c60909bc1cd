//! The encoding of RPC and NFS (RFC 4506), as far as they need it. What a message says of its own lengths is believed
//! only within the message.

/// A message that is not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

pub(super) type Read<T> = Result<T, Malformed>;

#[derive(Debug, Clone)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    fn take(&mut self, length: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Malformed)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| Malformed)
    }

    pub(super) fn u32(&mut self) -> Read<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Read<u64> {
        self.array().map(u64::from_be_bytes)
    }

    pub(super) fn flag(&mut self) -> Read<bool> {
        match self.u32()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed),
        }
    }

    /// What may be missing.
    pub(super) fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<Option<T>> {
        if self.flag()? { read(self).map(Some) } else { Ok(None) }
    }

    pub(super) fn opaque(&mut self, longest: usize) -> Read<&'a [u8]> {
        let length = self.u32()? as usize;
        if length > longest {
            return Err(Malformed);
        }
        let bytes = self.take(length)?;
        self.take(length.next_multiple_of(4) - length)?;
        Ok(bytes)
    }

    /// Nothing may be left over.
    pub(super) fn end(&self) -> Read<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

#[derive(Debug, Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn truncate(&mut self, length: usize) {
        self.bytes.truncate(length);
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn u64(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn flag(&mut self, value: bool) {
        self.u32(u32::from(value));
    }

    /// Nothing is longer than a message, which is shorter than 4 GiB.
    pub(super) fn opaque(&mut self, value: &[u8]) {
        self.u32(value.len() as u32);
        self.bytes.extend_from_slice(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

/// How many bytes an opaque of that length takes.
pub(super) fn opaque_size(length: usize) -> usize {
    4 + length.next_multiple_of(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() -> Read<()> {
        let mut out = Writer::default();
        out.u32(7);
        out.u64(u64::MAX);
        out.flag(true);
        for text in ["", "a", "abc", "abcd"] {
            let before = out.len();
            out.opaque(text.as_bytes());
            assert_eq!(out.len() - before, opaque_size(text.len()));
        }
        let bytes = out.into_bytes();
        let mut reader = Reader::new(&bytes);
        assert_eq!((reader.u32()?, reader.u64()?, reader.flag()?), (7, u64::MAX, true));
        for text in ["", "a", "abc", "abcd"] {
            assert_eq!(reader.opaque(4)?, text.as_bytes());
        }
        reader.end()
    }

    #[test]
    fn a_length_is_believed_only_within_the_message() {
        for bytes in [&[0xff; 4][..], &[0, 0, 0, 5, 1, 2, 3, 4], &[0, 0, 0, 1, 9], &[0, 0, 0]] {
            assert_eq!(Reader::new(bytes).opaque(usize::MAX), Err(Malformed), "{bytes:?}");
        }
        assert_eq!(Reader::new(&[0, 0, 0, 4, 1, 2, 3, 4]).opaque(3), Err(Malformed));
        assert_eq!(Reader::new(&[0, 0, 0, 2]).flag(), Err(Malformed));
        assert_eq!(Reader::new(&[1]).end(), Err(Malformed));
    }
}
