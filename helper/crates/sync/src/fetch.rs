//! Content of the remote on its way into the copy: in parts, of which some are asked for while the one before is stored.

use std::sync::mpsc::sync_channel;
use std::sync::{Mutex, PoisonError};

use nixbox_remote::{Batch, Remote, Rows, Step, Value};
use rusqlite::{Connection, OptionalExtension};

use crate::company::{Company, Phase, Progress, go_on};
use crate::error::{Error, Result};
use crate::mirror::{Bound, DATA, SUM, insert, text};

/// What is asked for at a time.
const DATA_AT_ONCE: u64 = 4 << 20;
/// Of files that do not follow each other, one statement for each.
const RUNS_AT_ONCE: usize = 200;
/// One is read here while the server works at the other's.
const ASKED_AT_ONCE: usize = 2;

/// A piece of a large file, or many small ones.
struct Part {
    steps: Vec<Step>,
    /// How many files are whole with it.
    files: u64,
}

/// Of `changed`, inodes in order, with their sizes. `sum`: of the remote as it was when they were read. How many bytes came.
pub(crate) fn pull_content(
    remote: &Remote,
    change: &Connection,
    changed: &[(i64, u64)],
    sum: &str,
    company: &dyn Company,
) -> Result<u64> {
    let chunk: u64 = change
        .query_row("SELECT CAST(value AS INTEGER) FROM fs_config WHERE key = 'chunk_size'", [], |row| row.get(0))
        .optional()?
        .and_then(|size: i64| u64::try_from(size).ok())
        .filter(|size| (1..=16 << 20).contains(size))
        .unwrap_or(4096);
    let mut old = change.prepare("DELETE FROM fs_data WHERE ino = ?")?;
    for (ino, _) in changed {
        old.execute([ino])?;
    }
    let mut insert = change.prepare(&insert(DATA, &["ino", "chunk_index", "data"], 1))?;
    let mut far = Progress {
        of_things: changed.len() as u64,
        of_bytes: changed.iter().map(|(_, size)| size).sum(),
        ..Progress::at(Phase::Fetching)
    };
    let parts = Mutex::new(parts(changed, chunk).into_iter());
    let next = || parts.lock().unwrap_or_else(PoisonError::into_inner).next();
    // Each has one in hand at most.
    let (sender, answers) = sync_channel(0);
    std::thread::scope(|scope| {
        for _ in 0..ASKED_AT_ONCE {
            let sender = sender.clone();
            scope.spawn(move || {
                while let Some(Part { steps, files }) = next() {
                    let answer = ask(remote, steps, sum);
                    let is_last = answer.is_err();
                    if sender.send((answer, files)).is_err() || is_last {
                        return;
                    }
                }
            });
        }
        drop(sender);
        // Moved in, so that whoever still asks finds nobody when this ends early.
        let answers = answers;
        go_on(company, far)?;
        for (answer, files) in answers {
            for row in answer?.into_iter().flat_map(|rows| rows.rows) {
                insert.execute(rusqlite::params_from_iter(row.iter().map(Bound)))?;
                if let Some(Value::Blob { base64 }) = row.get(2) {
                    far.bytes += base64.len() as u64;
                }
            }
            far.things += files;
            go_on(company, far)?;
        }
        Ok(far.bytes)
    })
}

/// What was changed since the tables were read is read anew, with them.
fn ask(remote: &Remote, steps: Vec<Step>, sum: &str) -> Result<Vec<Rows>> {
    let batch = Batch::of([Step::new(format!("SELECT {SUM}"))].into_iter().chain(steps));
    let mut answers = remote.ask_all(&batch)?.into_iter();
    if answers.next().map(|now| text(&now)).transpose()?.as_deref() != Some(sum) {
        return Err(Error::Overtaken);
    }
    Ok(answers.collect())
}

/// A run of numbers is asked for as one: a server takes a statement for each file in many times as long.
fn parts(changed: &[(i64, u64)], chunk: u64) -> Vec<Part> {
    const SELECT: &str = "SELECT ino, chunk_index, data FROM fs_data WHERE ino";
    let (mut parts, mut runs, mut files, mut bytes) = (Vec::new(), Vec::<(i64, i64)>::new(), 0, 0);
    let together = |runs: &mut Vec<(i64, i64)>, files: &mut u64| {
        let step = |(first, last): (i64, i64)| match first == last {
            true => Step::with(format!("{SELECT} = ?"), [first.into()]),
            false => Step::with(format!("{SELECT} >= ? AND ino <= ?"), [first.into(), last.into()]),
        };
        Part { steps: runs.drain(..).map(step).collect(), files: std::mem::take(files) }
    };
    for (ino, size) in changed.iter().copied() {
        if size > DATA_AT_ONCE {
            let (chunks, at_once) = (size.div_ceil(chunk), (DATA_AT_ONCE / chunk).max(1));
            let mut begin = 0;
            while begin < chunks {
                let end = begin + at_once;
                let sql = format!("{SELECT} = ? AND chunk_index >= {begin} AND chunk_index < {end}");
                parts.push(Part { steps: vec![Step::with(sql, [ino.into()])], files: u64::from(end >= chunks) });
                begin = end;
            }
            continue;
        }
        if runs.len() == RUNS_AT_ONCE || bytes + size > DATA_AT_ONCE {
            parts.push(together(&mut runs, &mut files));
            bytes = 0;
        }
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == ino => *last = ino,
            _ => runs.push((ino, ino)),
        }
        files += 1;
        bytes += size;
    }
    parts.push(together(&mut runs, &mut files));
    parts.retain(|part| !part.steps.is_empty());
    parts
}
