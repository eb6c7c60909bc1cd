//! What is in a file of a target.

use nixbox_engine::{Attr, AttrChange, Ino, Missing};

use super::Target;
use crate::error::{Error, Result};
use crate::look::Mark;
use crate::source::Source;

const PIECE: u32 = 256 << 10;

impl Target<'_> {
    /// What the other side itself has not here.
    pub(super) fn missing<'s>(&self, path: &str, source: &Source<'s>) -> Result<Option<&'s Missing>> {
        if source.absent.is_empty() {
            return Ok(None);
        }
        Ok(source.absent.get(&source.at(path)?.ino))
    }

    /// An empty file gets what the other side has at `path`: what is absent there is absent here, too.
    pub(super) fn fill(&self, ino: Ino, path: &str, source: &Source<'_>) -> Result<()> {
        let from = source.at(path)?;
        if let Some(missing) = source.absent.get(&from.ino) {
            return Ok(self.absent.put(ino, from.size, missing)?);
        }
        pieces(from, source, |offset, piece| self.write(ino, offset, piece))
    }

    /// Only what differs is written.
    pub(super) fn write_over(&self, there: &Attr, path: &str, source: &Source<'_>) -> Result<()> {
        let from = source.at(path)?;
        if self.absent.get(there.ino)?.is_some() {
            self.tree.setattr(there.ino, AttrChange { size: Some(0), ..AttrChange::default() })?;
            return self.fill(there.ino, path, source);
        }
        pieces(from, source, |offset, piece| match self.tree.read(there.ino, offset, PIECE)? == piece {
            true => Ok(()),
            false => self.write(there.ino, offset, piece),
        })?;
        if there.size > from.size {
            self.tree.setattr(there.ino, AttrChange { size: Some(from.size), ..AttrChange::default() })?;
        }
        Ok(())
    }

    pub(super) fn write(&self, ino: Ino, offset: u64, mut left: &[u8]) -> Result<()> {
        let mut offset = offset;
        while !left.is_empty() {
            let written = self.tree.write(ino, offset, left)? as usize;
            offset += written as u64;
            left = left.get(written..).unwrap_or_default();
        }
        Ok(())
    }
}

/// All that a file of the other side holds, until it is called off.
fn pieces(from: &Mark, source: &Source<'_>, mut take: impl FnMut(u64, &[u8]) -> Result<()>) -> Result<()> {
    let mut offset = 0;
    while offset < from.size {
        if source.company.is_called_off() {
            return Err(Error::CalledOff);
        }
        let piece = source.tree.read(from.ino, offset, PIECE)?;
        if piece.is_empty() {
            return Err(Error::Moved);
        }
        take(offset, &piece)?;
        offset += piece.len() as u64;
    }
    Ok(())
}
