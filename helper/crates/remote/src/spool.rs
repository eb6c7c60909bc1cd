//! A batch that may be larger than memory: it lies in a file, as it is to be sent, and goes out from there.

use std::fs::File;
use std::io::{BufWriter, Result as IoResult, Seek};

use crate::batch::{Bound, Step};

/// Being put together.
pub struct Spool {
    bound: Bound<BufWriter<File>>,
    /// What went wrong first: nothing is written after it.
    failed: Option<std::io::Error>,
}

/// Ready to be sent.
pub struct Spooled {
    pub(crate) file: File,
    pub(crate) steps: usize,
    pub(crate) bytes: u64,
}

impl Spool {
    /// `file`: empty, and nobody else's.
    pub fn new(file: File) -> IoResult<Self> {
        let bound = Bound::new(BufWriter::with_capacity(256 << 10, file), "BEGIN IMMEDIATE")?;
        Ok(Self { bound, failed: None })
    }

    pub fn push(&mut self, step: Step) {
        if self.failed.is_none() {
            self.failed = self.bound.push(&step).err();
        }
    }

    pub fn end(self) -> IoResult<Spooled> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let (out, steps) = self.bound.end()?;
        let mut file = out.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        let bytes = file.stream_position()?;
        file.rewind()?;
        Ok(Spooled { file, steps, bytes })
    }
}

impl Spooled {
    /// As it goes over the wire.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}
