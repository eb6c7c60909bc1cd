//! What turns one database into another, as statements: so the remote is changed by the engine's own hand, on a copy,
//! and gets only the rows that came of it.

use std::path::Path;

use nixbox_engine::ABSENT_TABLE;
use nixbox_remote::{Spool, Step, Value};
use rusqlite::Connection;
use rusqlite::types::ValueRef;

use crate::content::{self, CONTENT, HOLDS};
use crate::error::{Error, Result};
use crate::mirror::{DATA, insert, tables};

/// `before`: none where there is no database yet. `layer`: of one over a base.
pub(crate) fn difference(before: Option<&Path>, after: &Path, layer: bool, steps: &mut Spool) -> Result<()> {
    let connection = Connection::open(after)?;
    steps.push(Step::new(content::TABLE));
    match before {
        Some(before) => {
            let before = before.to_string_lossy();
            connection.execute("ATTACH DATABASE ? AS before", [before.as_ref()])?;
        }
        None => {
            connection.execute("ATTACH DATABASE ':memory:' AS before", [])?;
            for table in [ABSENT_TABLE, content::TABLE] {
                connection.execute_batch(&table.replacen("EXISTS ", "EXISTS before.", 1))?;
            }
            for sql in schema(&connection, layer)? {
                // The same tables, empty, to compare with.
                if let Some(rest) = sql.strip_prefix("CREATE TABLE ") {
                    connection.execute_batch(&format!("CREATE TABLE before.{rest}"))?;
                }
                steps.push(Step::new(sql.replacen("CREATE TABLE ", "CREATE TABLE IF NOT EXISTS ", 1).replacen(
                    "CREATE INDEX ",
                    "CREATE INDEX IF NOT EXISTS ",
                    1,
                )));
            }
        }
    }
    absent(&connection, steps)?;
    for (table, columns) in tables(layer).chain([(CONTENT, content::COLUMNS)]) {
        rows_of(&connection, table, columns, steps)?;
    }
    sequences(&connection, steps)
}

/// What is absent in what is to come lies at the remote already, perhaps as the content of another file, which may go in
/// this very batch: so it is copied there, first. Where content has come to what was absent, all that the remote has of it
/// goes.
fn absent(connection: &Connection, steps: &mut Spool) -> Result<()> {
    let sql = format!(
        "SELECT a.ino, a.hash, (SELECT c.ino FROM before.{CONTENT} AS c JOIN before.fs_inode AS i ON {HOLDS} \
         WHERE c.hash = a.hash LIMIT 1) FROM main.nixbox_absent AS a \
         WHERE NOT EXISTS (SELECT 1 FROM before.nixbox_absent AS b WHERE b.ino = a.ino AND b.hash = a.hash)"
    );
    let mut lost = None;
    each(connection, &sql, 3, |args| match args.as_slice() {
        [ino, _, from @ Value::Integer { .. }] => {
            let copy = "INSERT OR REPLACE INTO fs_data (ino, chunk_index, data) \
                        SELECT ?, chunk_index, data FROM fs_data WHERE ino = ?";
            steps.push(Step::with(copy, [ino.clone(), from.clone()]));
        }
        [Value::Integer { value }, ..] => lost = Some(*value),
        _ => {}
    })?;
    if let Some(ino) = lost {
        let sql = "WITH RECURSIVE up(ino, path) AS (SELECT ?1, '' UNION ALL \
                   SELECT d.parent_ino, '/' || d.name || up.path FROM up JOIN main.fs_dentry AS d ON d.ino = up.ino \
                   WHERE up.ino <> 1 LIMIT 256) SELECT path FROM up WHERE ino = 1";
        let path = connection.query_row(sql, [ino], |row| row.get(0)).unwrap_or_else(|_| format!("inode {ino}"));
        return Err(Error::Gone(path));
    }
    let come = "SELECT ino FROM before.nixbox_absent WHERE ino NOT IN (SELECT ino FROM main.nixbox_absent)";
    each(connection, come, 1, |args| steps.push(Step::with("DELETE FROM fs_data WHERE ino = ?", args)))
}

/// Content is compared only of what was written to: everything else has the same times.
const WRITTEN: &str = "ino IN (SELECT ino FROM (SELECT * FROM main.fs_inode EXCEPT SELECT * FROM before.fs_inode) \
                       UNION SELECT ino FROM (SELECT * FROM before.fs_inode EXCEPT SELECT * FROM main.fs_inode))";

/// A server takes a statement with many rows in half of the time, or less, of as many statements.
const ROWS_AT_ONCE: usize = 60;
const BYTES_AT_ONCE: usize = 512 << 10;

fn rows_of(connection: &Connection, table: &str, columns: &[&str], steps: &mut Spool) -> Result<()> {
    let list = columns.join(", ");
    let came = if table == DATA {
        content_gone(connection, steps)?;
        // A row for itself is looked up; EXCEPT would sort all content of both sides.
        format!(
            "SELECT {list} FROM main.fs_data AS now WHERE {WRITTEN} AND NOT EXISTS (SELECT 1 FROM before.fs_data AS old \
             WHERE old.ino = now.ino AND old.chunk_index = now.chunk_index AND old.data IS now.data)"
        )
    } else {
        let key = columns[0];
        // First what goes: a name that goes and comes again under another number would be there twice.
        let gone = format!("SELECT {key} FROM before.{table} EXCEPT SELECT {key} FROM main.{table}");
        let delete = |rows: usize| format!("DELETE FROM {table} WHERE {key} IN ({})", vec!["?"; rows].join(", "));
        together(connection, &gone, 1, delete, steps)?;
        format!("SELECT {list} FROM main.{table} EXCEPT SELECT {list} FROM before.{table}")
    };
    together(connection, &came, columns.len(), |rows| insert(table, columns, rows), steps)
}

/// Content behind the new end of a file goes as one, whether or not there is a file any more; and then what is a hole now.
fn content_gone(connection: &Connection, steps: &mut Spool) -> Result<()> {
    let last = "coalesce((SELECT max(chunk_index) FROM main.fs_data AS now WHERE now.ino = old.ino), -1)";
    let ends = format!(
        "SELECT ino, {last} AS last FROM before.fs_data AS old WHERE {WRITTEN} GROUP BY ino \
         HAVING max(chunk_index) > last"
    );
    let delete = "DELETE FROM fs_data WHERE ino = ? AND chunk_index > ?";
    each(connection, &ends, 2, |args| steps.push(Step::with(delete, args)))?;
    let holes = format!(
        "SELECT ino, chunk_index FROM before.fs_data AS old WHERE {WRITTEN} AND chunk_index < {last} AND NOT EXISTS \
         (SELECT 1 FROM main.fs_data AS now WHERE now.ino = old.ino AND now.chunk_index = old.chunk_index)"
    );
    let delete = "DELETE FROM fs_data WHERE ino = ? AND chunk_index = ?";
    each(connection, &holes, 2, |args| steps.push(Step::with(delete, args)))
}

/// A statement for many rows: `sql` says it for so many.
fn together(
    connection: &Connection,
    rows: &str,
    columns: usize,
    sql: impl Fn(usize) -> String,
    steps: &mut Spool,
) -> Result<()> {
    let (mut args, mut bytes) = (Vec::new(), 0);
    each(connection, rows, columns, |row| {
        bytes += row.iter().map(weight).sum::<usize>();
        args.extend(row);
        if args.len() >= ROWS_AT_ONCE * columns || bytes >= BYTES_AT_ONCE {
            steps.push(Step::with(sql(args.len() / columns), args.drain(..)));
            bytes = 0;
        }
    })?;
    if !args.is_empty() {
        steps.push(Step::with(sql(args.len() / columns), args));
    }
    Ok(())
}

fn weight(value: &Value) -> usize {
    match value {
        Value::Blob { base64 } => base64.len(),
        Value::Text { value } => value.len(),
        _ => 8,
    }
}

/// The numbers that must never be given twice.
fn sequences(connection: &Connection, steps: &mut Spool) -> Result<()> {
    let sql = "SELECT seq, name FROM main.sqlite_sequence WHERE name IN ('fs_inode', 'fs_dentry')";
    each(connection, sql, 2, |args| {
        if let [seq, name] = args.as_slice() {
            let larger = "UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?";
            steps.push(Step::with(larger, [seq.clone(), name.clone()]));
        }
    })
}

fn schema(connection: &Connection, layer: bool) -> Result<Vec<String>> {
    let sql = "SELECT sql, tbl_name FROM main.sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite%' ORDER BY type DESC";
    let mut select = connection.prepare(sql)?;
    let all = select.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
    let all: Vec<(String, String)> = all.collect::<rusqlite::Result<_>>()?;
    // Where something was in the base is each machine's own.
    let is_own = |table: &str| table.starts_with("nixbox") || table == "fs_origin";
    let wanted = |table: &str| !is_own(table) || tables(layer).any(|(synced, _)| synced == table);
    Ok(all.into_iter().filter(|(_, table)| wanted(table)).map(|(sql, _)| sql).collect())
}

fn each(connection: &Connection, sql: &str, columns: usize, mut step: impl FnMut(Vec<Value>)) -> Result<()> {
    let mut select = connection.prepare(sql)?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let values = (0..columns).map(|column| row.get_ref(column).map(value));
        step(values.collect::<rusqlite::Result<_>>()?);
    }
    Ok(())
}

fn value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(value) => value.into(),
        ValueRef::Real(value) => value.into(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned().into(),
        ValueRef::Blob(bytes) => bytes.to_vec().into(),
    }
}
