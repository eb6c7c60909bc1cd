//! What the remote says of the content of its files: `nixbox_content` has the hash of each, and the times at which it had
//! that. Whoever pushes writes it. So a side can be looked at without its content, and content that is not here is asked
//! for by its hash, wherever it lies at the remote by then.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

use nixbox_engine::{Ino, Origin, Piece, Unfetched};
use nixbox_remote::{Batch, Remote, Rows, Step, Value};
use rusqlite::Connection;

use crate::error::Result;
use crate::look::{Mark, What};
use crate::scan::Scan;

pub(crate) const CONTENT: &str = "nixbox_content";
pub(crate) const COLUMNS: &[&str] = &["ino", "size", "mtime", "mtime_nsec", "ctime", "ctime_nsec", "hash"];
pub(crate) const TABLE: &str = "CREATE TABLE IF NOT EXISTS nixbox_content (ino INTEGER PRIMARY KEY, \
                                size INTEGER NOT NULL, mtime INTEGER NOT NULL, mtime_nsec INTEGER NOT NULL, \
                                ctime INTEGER NOT NULL, ctime_nsec INTEGER NOT NULL, hash TEXT NOT NULL)";

/// A line holds for as long as nobody has changed the file since: other programs know nothing of it.
pub(crate) const HOLDS: &str = "c.ino = i.ino AND c.size = i.size AND c.mtime = i.mtime AND c.mtime_nsec = i.mtime_nsec \
                                AND c.ctime = i.ctime AND c.ctime_nsec = i.ctime_nsec";

/// The lines that hold, by inode.
pub(crate) fn known(connection: &Connection) -> Result<BTreeMap<i64, String>> {
    let sql = format!("SELECT c.ino, c.hash FROM {CONTENT} AS c JOIN fs_inode AS i ON {HOLDS}");
    let mut select = connection.prepare(&sql)?;
    let all = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(all.collect::<rusqlite::Result<_>>()?)
}

/// Every file that has content has its line, and no other has one.
pub(crate) fn write(connection: &mut Connection, scan: &Scan) -> Result<()> {
    let change = connection.transaction()?;
    change.execute(&format!("DELETE FROM {CONTENT}"), [])?;
    {
        let mut insert = change.prepare(&crate::mirror::insert(CONTENT, COLUMNS, 1))?;
        for (Mark { ino, size, mtime, ctime }, hash) in scan.contents() {
            insert.execute(rusqlite::params![ino as i64, size as i64, mtime.0, mtime.1, ctime.0, ctime.1, hash])?;
        }
    }
    // In a copy of the remote, that is where it is.
    change.execute("UPDATE nixbox_absent SET place = ino", [])?;
    Ok(change.commit()?)
}

impl Scan {
    fn contents(&self) -> impl Iterator<Item = (Mark, &str)> {
        self.looks.iter().filter_map(|(key, look)| match &look.what {
            What::File { size: 1.., hash } => Some((*self.marks.get(key)?, hash.as_str())),
            _ => None,
        })
    }

    /// Whether the remote says of each of these what is in it.
    pub(crate) fn is_said_by(&self, connection: &Connection) -> Result<bool> {
        let known = known(connection)?;
        Ok(self.contents().all(|(mark, hash)| known.get(&(mark.ino as i64)).is_some_and(|said| said == hash)))
    }
}

/// The remote as the place where absent content is.
pub struct RemoteContent<F> {
    name: String,
    remote: F,
    chunk: OnceLock<u64>,
    /// Of content that was found elsewhere than where it was seen last.
    moved: Mutex<HashMap<String, Ino>>,
}

impl<F: Fn() -> std::result::Result<Remote, String> + Send + Sync + 'static> RemoteContent<F> {
    pub fn new(name: String, remote: F) -> Self {
        Self { name, remote, chunk: OnceLock::new(), moved: Mutex::default() }
    }

    fn place(&self, piece: &Piece) -> Ino {
        let moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        moved.get(&piece.missing.hash).copied().unwrap_or(piece.missing.place)
    }

    fn chunk_size(&self, remote: &Remote) -> std::result::Result<u64, Unfetched> {
        if let Some(size) = self.chunk.get() {
            return Ok(*size);
        }
        let step = Step::new("SELECT CAST(value AS INTEGER) FROM fs_config WHERE key = 'chunk_size'");
        let rows = remote.ask(&step).map_err(unreachable)?;
        let size = rows.rows.first().map_or(Ok(4096), |row| Rows::int(row, 0)).map_err(unreachable)?;
        let size = u64::try_from(size).ok().filter(|size| (1..=16 << 20).contains(size));
        let size = size.ok_or_else(|| Unfetched::Unreachable("the remote's chunks have no possible size".into()))?;
        Ok(*self.chunk.get_or_init(|| size))
    }

    /// None of a piece that is not where it was said to be.
    fn ask(&self, remote: &Remote, pieces: &[Piece], chunk: u64) -> nixbox_remote::Result<Vec<Option<Vec<u8>>>> {
        let is_there = format!(
            "SELECT count(*) FROM fs_inode AS i JOIN {CONTENT} AS c ON {HOLDS} \
             WHERE i.ino = ? AND c.ino = ? AND c.hash = ? AND i.size = ?"
        );
        let data = "SELECT chunk_index, data FROM fs_data WHERE ino = ? AND chunk_index >= ? AND chunk_index < ?";
        let mut batch = Batch::default();
        for piece in pieces {
            let place = self.place(piece) as i64;
            let (from, to) = (piece.range.start / chunk, piece.range.end.div_ceil(chunk));
            let hash = piece.missing.hash.as_str().into();
            batch.push(Step::with(&*is_there, [place.into(), place.into(), hash, (piece.size as i64).into()]));
            batch.push(Step::with(data, [place.into(), (from as i64).into(), (to as i64).into()]));
        }
        let answers = remote.ask_all(&batch)?;
        let mut contents = Vec::with_capacity(pieces.len());
        for (piece, answer) in pieces.iter().zip(answers.chunks(2)) {
            contents.push(match answer {
                [there, rows] if count(there)? > 0 => Some(assemble(piece, rows, chunk)?),
                _ => None,
            });
        }
        Ok(contents)
    }

    /// Wherever there is a file with that content now.
    fn find(&self, remote: &Remote, piece: &Piece) -> std::result::Result<(), Unfetched> {
        let sql = format!("SELECT c.ino FROM {CONTENT} AS c JOIN fs_inode AS i ON {HOLDS} WHERE c.hash = ? LIMIT 1");
        let rows = remote.ask(&Step::with(sql, [piece.missing.hash.as_str().into()])).map_err(unreachable)?;
        let Some(row) = rows.rows.first() else {
            let why =
                "the remote has no file with this content any more; `nixbox-helper sync pull` brings what it has now";
            return Err(Unfetched::Gone(why.into()));
        };
        let place = Rows::int(row, 0).map_err(unreachable)? as Ino;
        let mut moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        moved.insert(piece.missing.hash.clone(), place);
        Ok(())
    }
}

fn count(rows: &Rows) -> nixbox_remote::Result<i64> {
    rows.rows.first().map_or(Ok(0), |row| Rows::int(row, 0))
}

/// Chunks that the remote has not are holes.
fn assemble(piece: &Piece, rows: &Rows, chunk: u64) -> nixbox_remote::Result<Vec<u8>> {
    let mut content = vec![0; (piece.range.end - piece.range.start) as usize];
    for row in &rows.rows {
        let Some(Value::Blob { base64 }) = row.get(1) else { continue };
        let begin = (Rows::int(row, 0)? as u64).saturating_mul(chunk);
        let end = begin.saturating_add((base64.len() as u64).min(chunk));
        let (from, to) = (begin.max(piece.range.start), end.min(piece.range.end));
        if from < to {
            let target = (from - piece.range.start) as usize..(to - piece.range.start) as usize;
            content[target].copy_from_slice(&base64[(from - begin) as usize..(to - begin) as usize]);
        }
    }
    Ok(content)
}

fn unreachable(error: nixbox_remote::Error) -> Unfetched {
    Unfetched::Unreachable(error.to_string())
}

impl<F: Fn() -> std::result::Result<Remote, String> + Send + Sync + 'static> Origin for RemoteContent<F> {
    fn fetch(&self, pieces: &[Piece], until: Instant) -> std::result::Result<Vec<Vec<u8>>, Unfetched> {
        let remote = (self.remote)().map_err(Unfetched::Unreachable)?;
        let remote = || remote.within(until.saturating_duration_since(Instant::now()));
        let chunk = self.chunk_size(&remote())?;
        let mut contents = self.ask(&remote(), pieces, chunk).map_err(unreachable)?;
        if contents.iter().any(Option::is_none) {
            for (piece, _) in pieces.iter().zip(&contents).filter(|(_, content)| content.is_none()) {
                self.find(&remote(), piece)?;
            }
            contents = self.ask(&remote(), pieces, chunk).map_err(unreachable)?;
        }
        let again = || Unfetched::Gone("the remote was changed while it was asked".into());
        contents.into_iter().map(|content| content.ok_or_else(again)).collect()
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}
