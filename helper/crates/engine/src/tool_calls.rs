//! The tool log: the table `tool_calls` as upstream's SDKs read and write it, which is with `status`, and with times
//! in seconds. Times of our own are whole seconds, since upstream's CLI shows a fraction as 1970; those of others
//! are read either way.
//!
//! So that a call's duration is known in milliseconds, the start of one that is still running is kept in a table
//! beside it until it ends.

mod filter;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::Result;
use crate::files::Files;
use crate::store::{Arg, Row, Store, first};

pub use filter::Filter;

/// The tool log of one open database.
#[derive(Clone)]
pub struct ToolCalls {
    files: Arc<Files>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ToolCall {
    pub id: i64,
    pub name: String,
    /// JSON, in the words of whoever stored it.
    pub parameters: Option<String>,
    pub result: Option<String>,
    pub error: Option<String>,
    pub status: String,
    /// Seconds since 1970.
    pub started_at: f64,
    pub completed_at: Option<f64>,
    pub duration_ms: Option<f64>,
}

/// How a call ended. `result` is JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome<'a> {
    Success { result: Option<&'a str> },
    Error { error: &'a str },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finished {
    Now,
    /// It had an outcome already, and keeps it.
    Before,
    NoSuchCall,
}

const COLUMNS: &str =
    "SELECT id, name, parameters, result, error, status, started_at, completed_at, duration_ms FROM tool_calls";
const STARTS: &str =
    "CREATE TABLE IF NOT EXISTS nixbox_tool_starts (id INTEGER PRIMARY KEY, started_ms INTEGER NOT NULL)";

impl ToolCalls {
    pub(crate) fn new(files: Arc<Files>) -> Self {
        Self { files }
    }

    /// Nothing is put on record in a database that is open only for reading.
    pub fn is_read_only(&self) -> bool {
        self.files.is_read_only()
    }

    /// Puts a call that is over on record. On disk with the next batch, at the latest.
    pub fn record(&self, name: &str, parameters: Option<&str>, outcome: Outcome<'_>, duration_ms: u64) -> Result<i64> {
        let ended = now_ms();
        let started = ended.saturating_sub(i64::try_from(duration_ms).unwrap_or(i64::MAX)) / 1000;
        let (status, result, error) = columns_of(outcome);
        let bytes = name.len() + parameters.map_or(0, str::len) + result.map_or(0, str::len);
        self.files.change_store(bytes, |store| {
            store.execute(
                "INSERT INTO tool_calls (name, parameters, result, error, status, started_at, completed_at, \
                 duration_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                &[
                    name.into(),
                    parameters.into(),
                    result.into(),
                    error.into(),
                    status.into(),
                    started.into(),
                    (ended / 1000).into(),
                    duration_ms.into(),
                ],
            )?;
            last_id(store)
        })
    }

    pub fn start(&self, name: &str, parameters: Option<&str>) -> Result<i64> {
        let now = now_ms();
        self.files.change_store(name.len() + parameters.map_or(0, str::len), |store| {
            store.execute(STARTS, &[])?;
            store.execute(
                "INSERT INTO tool_calls (name, parameters, status, started_at) VALUES (?, ?, 'pending', ?)",
                &[name.into(), parameters.into(), (now / 1000).into()],
            )?;
            let id = last_id(store)?;
            let sql = "INSERT OR REPLACE INTO nixbox_tool_starts (id, started_ms) VALUES (?, ?)";
            store.execute(sql, &[id.into(), now.into()])?;
            Ok(id)
        })
    }

    pub fn finish(&self, id: i64, outcome: Outcome<'_>) -> Result<Finished> {
        let now = now_ms();
        let (status, result, error) = columns_of(outcome);
        self.files.change_store(result.map_or(0, str::len), |store| {
            let sql = "SELECT status, started_at FROM tool_calls WHERE id = ?";
            let found = first(store, sql, &[id.into()], |row| Ok((row.text(0)? == "pending", row.real(1)?)))?;
            let started = match found {
                None => return Ok(Finished::NoSuchCall),
                Some((false, _)) => return Ok(Finished::Before),
                Some((true, started)) => started,
            };
            store.execute(STARTS, &[])?;
            let sql = "SELECT started_ms FROM nixbox_tool_starts WHERE id = ?";
            let exactly = first(store, sql, &[id.into()], |row| row.int(0))?;
            let started = exactly.unwrap_or((started * 1000.0) as i64);
            store.execute(
                "UPDATE tool_calls SET result = ?, error = ?, status = ?, completed_at = ?, duration_ms = ? WHERE id = ?",
                &[
                    result.into(),
                    error.into(),
                    status.into(),
                    (now / 1000).into(),
                    // A clock may have been set back meanwhile.
                    now.saturating_sub(started).max(0).into(),
                    id.into(),
                ],
            )?;
            store.execute("DELETE FROM nixbox_tool_starts WHERE id = ?", &[id.into()])?;
            Ok(Finished::Now)
        })
    }

    /// Takes over the calls of another log, behind those of this one and with numbers of this one, and says how many.
    /// Not flushed.
    pub fn adopt(&self, other: &Self) -> Result<u64> {
        let (mut adopted, mut after) = (0, 0);
        let next = format!("{COLUMNS} WHERE id > ? ORDER BY id LIMIT 1");
        while let Some(call) = other.files.read_store(|store| first(store, &next, &[after.into()], call))? {
            after = call.id;
            // As whole as they were: upstream's CLI shows a fraction as 1970.
            let number = |number: f64| if number.fract() == 0.0 { Arg::Int(number as i64) } else { Arg::Real(number) };
            let args = [
                call.name.as_str().into(),
                call.parameters.as_deref().into(),
                call.result.as_deref().into(),
                call.error.as_deref().into(),
                call.status.as_str().into(),
                number(call.started_at),
                call.completed_at.map_or(Arg::Null, number),
                call.duration_ms.map_or(Arg::Null, number),
            ];
            let bytes = call.name.len()
                + call.parameters.as_deref().map_or(0, str::len)
                + call.result.as_deref().map_or(0, str::len);
            let sql = "INSERT INTO tool_calls (name, parameters, result, error, status, started_at, completed_at, \
                       duration_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
            self.files.change_store(bytes, |store| store.execute(sql, &args))?;
            adopted += 1;
        }
        Ok(adopted)
    }

    /// Puts what was recorded on disk.
    pub fn flush(&self) -> Result<()> {
        self.files.flush()
    }

    pub fn get(&self, id: i64) -> Result<Option<ToolCall>> {
        let sql = format!("{COLUMNS} WHERE id = ?");
        self.files.read_store(|store| first(store, &sql, &[id.into()], call))
    }

    /// The highest number that a call has.
    pub fn newest(&self) -> Result<i64> {
        let newest = self
            .files
            .read_store(|store| first(store, "SELECT coalesce(max(id), 0) FROM tool_calls", &[], |row| row.int(0)))?;
        Ok(newest.unwrap_or(0))
    }
}

fn columns_of(outcome: Outcome<'_>) -> (&'static str, Option<&str>, Option<&str>) {
    match outcome {
        Outcome::Success { result } => ("success", result, None),
        Outcome::Error { error } => ("error", None, Some(error)),
    }
}

fn last_id(store: &mut dyn Store) -> Result<i64> {
    Ok(first(store, "SELECT last_insert_rowid()", &[], |row| row.int(0))?.unwrap_or(0))
}

fn call(row: &dyn Row) -> Result<ToolCall> {
    // Upstream's Rust SDK writes nothing as an empty text.
    let text = |column| match row.is_null(column) {
        true => Ok(None),
        false => row.text(column).map(|text| (!text.is_empty()).then(|| text.to_owned())),
    };
    let number = |column| if row.is_null(column) { Ok(None) } else { row.real(column).map(Some) };
    Ok(ToolCall {
        id: row.int(0)?,
        name: row.text(1)?.to_owned(),
        parameters: text(2)?,
        result: text(3)?,
        error: text(4)?,
        status: row.text(5)?.to_owned(),
        started_at: row.real(6)?,
        completed_at: number(7)?,
        duration_ms: number(8)?,
    })
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
