//! Bringing absent content here. The remote is asked by one at a time, and with nothing held but that turn: whoever reads
//! what is here goes on meanwhile. Who reads goes before who only loads ahead. A reader waits for [`DEADLINE`] at most, and
//! where nobody answered the next ones are told so at once, for [`PAUSE`].

use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::Files;
use super::absent::Gap;
use crate::absent::{Origin, Piece, Unfetched};
use crate::error::{Error, Result};
use crate::filesystem::Ino;

pub(super) const DEADLINE: Duration = Duration::from_secs(10);
/// A program that reads a whole tree must not wait for the deadline at each file.
const PAUSE: Duration = Duration::from_secs(2);
/// What is asked for at a time around what is read; a read of a mebibyte must come within one deadline.
const LEAST: u64 = 4 << 10;
const MOST: u64 = 1 << 20;
/// So much is asked for at a time, at most.
const AT_ONCE: u64 = 4 << 20;
/// While somebody may want to go first.
const POLITELY: u64 = 1 << 20;
const GAPS_AT_ONCE: usize = 100;
/// Content that comes and goes while it is looked at.
const TRIES: usize = 8;

#[derive(Default)]
pub(super) struct Loads {
    source: OnceLock<Source>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Clone)]
struct Source {
    origin: Arc<dyn Origin>,
    segment: u64,
}

#[derive(Default)]
struct State {
    busy: bool,
    /// Readers that wait for their turn.
    readers: usize,
    failed: Option<(Instant, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Reader,
    Ahead,
}

struct Turn<'a>(&'a Loads);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.state().busy = false;
        self.0.changed.notify_all();
    }
}

impl Loads {
    fn state(&self) -> MutexGuard<'_, State> {
        // Each change of it is one step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self, who: Who, until: Instant) -> Result<Turn<'_>, String> {
        let mut state = self.state();
        state.readers += usize::from(who == Who::Reader);
        let turn = loop {
            if let Some((_, why)) = state.failed.as_ref().filter(|(since, _)| since.elapsed() < PAUSE) {
                break Err(why.clone());
            }
            let after_readers = who == Who::Ahead && state.readers > 0;
            if !state.busy && !after_readers {
                state.busy = true;
                break Ok(Turn(self));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break Err("others are loading content, and it did not come to be its turn".into());
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        };
        state.readers -= usize::from(who == Who::Reader);
        if who == Who::Reader {
            self.changed.notify_all();
        }
        turn
    }
}

impl Files {
    pub(crate) fn comes_from(&self, origin: Arc<dyn Origin>, segment: u64) {
        let _ = self.loads.source.set(Source { origin, segment: segment.clamp(LEAST, MOST) });
    }

    /// A copy of this database has its content from where this one has it.
    pub(crate) fn share_origin(&self, copy: &Self) {
        if let Some(source) = self.loads.source.get() {
            let _ = copy.loads.source.set(source.clone());
        }
    }

    pub(crate) fn is_any_absent(&self) -> bool {
        self.has_origin() && self.journal.note(|memory| !memory.absent.is_empty())
    }

    pub(super) fn has_origin(&self) -> bool {
        self.loads.source.get().is_some()
    }

    /// Asks again when what was absent has come.
    pub(super) fn loading<T>(&self, ask: impl Fn() -> Result<T>) -> Result<T> {
        for _ in 0..TRIES {
            match ask() {
                Err(Error::Absent { ino, range }) => self.fetch_for(ino, &range)?,
                answer => return answer,
            }
        }
        Err(Error::Errno(libc::EIO))
    }

    fn fetch_for(&self, ino: Ino, range: &Range<u64>) -> Result<()> {
        let segment = self.loads.source.get().map_or(1, |source| source.segment.max(1));
        let from = range.start / segment * segment;
        let range = from..range.end.div_ceil(segment).saturating_mul(segment);
        // What is here of it may have been loaded before a kill, and not been looked at.
        while !self.step(&[(ino, range.clone())], Who::Reader, AT_ONCE)?.1 {}
        Ok(())
    }

    pub(crate) fn load_all(&self, wanted: &[Ino], go_on: &mut dyn FnMut(u64) -> bool) -> Result<u64> {
        let mut loaded = 0;
        for some in wanted.chunks(GAPS_AT_ONCE) {
            let some: Vec<_> = some.iter().map(|ino| (*ino, 0..u64::MAX)).collect();
            loop {
                let (bytes, done) = self.step(&some, Who::Ahead, POLITELY)?;
                loaded += bytes;
                if !go_on(bytes) {
                    return Ok(loaded);
                }
                if done {
                    break;
                }
            }
        }
        Ok(loaded)
    }

    /// Loads a part of what is wanted, and answers how much, and whether nothing more is.
    fn step(&self, wanted: &[(Ino, Range<u64>)], who: Who, limit: u64) -> Result<(u64, bool)> {
        let gaps = self.gaps(wanted, limit)?;
        let Some(first) = gaps.first().map(|gap| gap.ino) else {
            wanted.iter().try_for_each(|(ino, _)| self.finish(*ino))?;
            return Ok((0, true));
        };
        let fetched = self.fetch(wanted, who, limit).map_err(|why| self.told(first, &why, who))?;
        let mut bytes = 0;
        for (gap, content) in &fetched {
            bytes += content.len() as u64;
            self.keep(gap, content)?;
        }
        Ok((bytes, false))
    }

    fn gaps(&self, wanted: &[(Ino, Range<u64>)], limit: u64) -> Result<Vec<Gap>> {
        self.read_tree(|tree| {
            let (mut gaps, mut left) = (Vec::new(), limit);
            for (ino, range) in wanted {
                let some = match tree.gaps(*ino, range, left) {
                    Err(Error::Errno(libc::ENOENT)) => continue,
                    some => some?,
                };
                left = left.saturating_sub(some.iter().map(|gap| gap.range.end - gap.range.start).sum());
                gaps.extend(some);
                if left == 0 || gaps.len() >= GAPS_AT_ONCE {
                    break;
                }
            }
            Ok(gaps)
        })
    }

    fn fetch(&self, wanted: &[(Ino, Range<u64>)], who: Who, limit: u64) -> Result<Vec<(Gap, Vec<u8>)>, Why> {
        let source = self.loads.source.get().ok_or(Why::NoSource)?;
        if self.journal.is_alone_here() {
            return Err(Why::Alone);
        }
        let until = Instant::now() + DEADLINE;
        let turn = self.loads.turn(who, until).map_err(Why::Paused)?;
        // Whoever had the turn before may have brought the same.
        let gaps = self.gaps(wanted, limit).map_err(Why::Here)?;
        let piece = |gap: &Gap| Piece { missing: gap.missing.clone(), size: gap.size, range: gap.range.clone() };
        let pieces: Vec<_> = gaps.iter().map(piece).collect();
        let fetched = if pieces.is_empty() { Ok(Vec::new()) } else { source.origin.fetch(&pieces, until) };
        let as_asked = |contents: &[Vec<u8>]| {
            contents.len() == pieces.len()
                && contents
                    .iter()
                    .zip(&pieces)
                    .all(|(content, piece)| content.len() as u64 == piece.range.end - piece.range.start)
        };
        let failed = match fetched {
            Ok(contents) if as_asked(&contents) => {
                drop(turn);
                return Ok(gaps.into_iter().zip(contents).collect());
            }
            Ok(_) => Unfetched::Gone("what came is not as long as what was asked for".into()),
            Err(failed) => failed,
        };
        if let Unfetched::Unreachable(why) = &failed {
            self.loads.state().failed = Some((Instant::now(), why.clone()));
        }
        drop(turn);
        Err(Why::Failed(failed))
    }

    fn keep(&self, gap: &Gap, content: &[u8]) -> Result<()> {
        let whole = gap.is_whole();
        if whole && blake3::hash(content).to_hex().as_str() != gap.missing.hash {
            return Err(self.told(gap.ino, &Why::Other, Who::Reader));
        }
        self.grow_tree(content.len(), |tree| {
            tree.fill_gap(gap, content)?;
            if whole && tree.has_all(gap.ino)? { tree.no_longer_absent(gap.ino) } else { Ok(()) }
        })
    }

    /// Where all of a file is here, it is looked at whether it is what was promised.
    fn finish(&self, ino: Ino) -> Result<()> {
        let whole = self.read_tree(|tree| match tree.missing(ino)? {
            Some(missing) if tree.has_all(ino)? => Ok(Some((missing, tree.attr(ino)?.size))),
            _ => Ok(None),
        });
        let (missing, size) = match whole {
            Ok(Some(whole)) => whole,
            Ok(None) | Err(Error::Errno(libc::ENOENT)) => return Ok(()),
            Err(error) => return Err(error),
        };
        let (mut hasher, mut offset) = (blake3::Hasher::new(), 0);
        while offset < size {
            let piece = self.read_tree(|tree| tree.read(ino, offset, POLITELY as u32))?;
            if piece.is_empty() {
                // It has changed, and with that is whole.
                return Ok(());
            }
            hasher.update(&piece);
            offset += piece.len() as u64;
        }
        let is_same = hasher.finalize().to_hex().as_str() == missing.hash;
        self.change_tree(|tree| match tree.missing(ino)? {
            Some(now) if now == missing && is_same => tree.no_longer_absent(ino),
            Some(now) if now == missing => tree.empty_again(ino),
            _ => Ok(()),
        })?;
        if is_same { Ok(()) } else { Err(self.told(ino, &Why::Other, Who::Reader)) }
    }

    /// Of what cannot be kept: the copy of a database is only read.
    pub(super) fn read_through(&self, ino: Ino, offset: u64, size: u32) -> Result<Vec<u8>> {
        let range = match self.read_tree(|tree| tree.read(ino, offset, size)) {
            Err(Error::Absent { range, .. }) => range,
            answer => return answer,
        };
        let fetched = self.fetch(&[(ino, range.clone())], Who::Reader, u64::MAX);
        let mut fetched = fetched.map_err(|why| self.told(ino, &why, Who::Reader))?;
        self.read_tree(|tree| {
            let mut content = Vec::new();
            let mut at = range.start;
            // Stretches that are here lie between those that have come.
            fetched.sort_by_key(|(gap, _)| gap.range.start);
            for (gap, piece) in &fetched {
                if at < gap.range.start {
                    content.extend(tree.read(ino, at, (gap.range.start - at) as u32)?);
                }
                let from = at.max(gap.range.start) - gap.range.start;
                let to = range.end.min(gap.range.end) - gap.range.start;
                content.extend_from_slice(piece.get(from as usize..to as usize).unwrap_or_default());
                at = range.end.min(gap.range.end);
            }
            if at < range.end {
                content.extend(tree.read(ino, at, (range.end - at) as u32)?);
            }
            Ok(content)
        })
    }

    /// In one line; then the answer to who asked.
    fn told(&self, ino: Ino, why: &Why, who: Who) -> Error {
        if let Why::Here(error) = why {
            tracing::warn!(%error, "content could not be loaded");
            return Error::Errno(error.errno());
        }
        let path = self.read_tree(|tree| tree.path_of(ino)).unwrap_or_default();
        let remote = self.loads.source.get().map_or_else(|| "none".into(), |source| source.origin.name());
        match (why, who) {
            // The first one has been told of.
            (Why::Paused(reason), _) => tracing::debug!(path, remote, reason, "content is not loaded"),
            (_, Who::Ahead) => tracing::debug!(path, remote, reason = %why, "content is not loaded ahead"),
            _ => tracing::warn!(path, remote, reason = %why, "content could not be loaded"),
        }
        Error::NotLoaded { path, remote, reason: why.to_string() }
    }
}

#[derive(Debug, thiserror::Error)]
enum Why {
    #[error("nothing says where it is: the instance is declared without the remote that it came from")]
    NoSource,
    #[error("it is needed for changes that belong together, which wait for nobody")]
    Alone,
    #[error("{0}")]
    Paused(String),
    #[error("{0}")]
    Failed(Unfetched),
    #[error("what came has another hash than what was promised")]
    Other,
    #[error("{0}")]
    Here(Error),
}
