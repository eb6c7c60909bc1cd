//! What turns one database into another, as statements: so the remote is changed by the engine's own hand, on a copy,
//! and gets only the rows that came of it.

use std::path::Path;

use nixbox_remote::{Step, Value};
use rusqlite::Connection;
use rusqlite::types::ValueRef;

use crate::error::Result;
use crate::mirror::{TABLES, insert};

/// `before`: none where there is no database yet.
pub(crate) fn difference(before: Option<&Path>, after: &Path) -> Result<Vec<Step>> {
    let connection = Connection::open(after)?;
    let mut steps = Vec::new();
    match before {
        Some(before) => {
            let before = before.to_string_lossy();
            connection.execute("ATTACH DATABASE ? AS before", [before.as_ref()])?;
        }
        None => {
            connection.execute("ATTACH DATABASE ':memory:' AS before", [])?;
            for sql in schema(&connection)? {
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
    for (table, columns) in TABLES {
        rows_of(&connection, table, columns, &mut steps)?;
    }
    sequences(&connection, &mut steps)?;
    Ok(steps)
}

/// Content is compared only of what was written to: everything else has the same times.
const WRITTEN: &str = "ino IN (SELECT ino FROM (SELECT * FROM main.fs_inode EXCEPT SELECT * FROM before.fs_inode) \
                       UNION SELECT ino FROM (SELECT * FROM before.fs_inode EXCEPT SELECT * FROM main.fs_inode))";

fn rows_of(connection: &Connection, table: &str, columns: &[&str], steps: &mut Vec<Step>) -> Result<()> {
    let list = columns.join(", ");
    let (keys, among) = if table == "fs_data" { (2, format!(" WHERE {WRITTEN}")) } else { (1, String::new()) };
    let key = columns[..keys].join(", ");
    let condition = columns[..keys].iter().map(|column| format!("{column} = ?")).collect::<Vec<_>>().join(" AND ");
    // First what goes: a name that goes and comes again under another number would be there twice.
    let gone = format!("SELECT {key} FROM before.{table}{among} EXCEPT SELECT {key} FROM main.{table}{among}");
    let delete = format!("DELETE FROM {table} WHERE {condition}");
    each(connection, &gone, keys, |args| steps.push(Step::with(delete.clone(), args)))?;
    let came = format!("SELECT {list} FROM main.{table}{among} EXCEPT SELECT {list} FROM before.{table}{among}");
    let insert = insert(table, columns);
    each(connection, &came, columns.len(), |args| steps.push(Step::with(insert.clone(), args)))
}

/// The numbers that must never be given twice.
fn sequences(connection: &Connection, steps: &mut Vec<Step>) -> Result<()> {
    let sql = "SELECT seq, name FROM main.sqlite_sequence WHERE name IN ('fs_inode', 'fs_dentry')";
    each(connection, sql, 2, |args| {
        if let [seq, name] = args.as_slice() {
            let larger = "UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?";
            steps.push(Step::with(larger, [seq.clone(), name.clone()]));
        }
    })
}

fn schema(connection: &Connection) -> Result<Vec<String>> {
    let sql = "SELECT sql FROM main.sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite%' \
               AND name NOT LIKE 'nixbox%' ORDER BY type DESC";
    let mut select = connection.prepare(sql)?;
    let all = select.query_map([], |row| row.get(0))?;
    Ok(all.collect::<rusqlite::Result<_>>()?)
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
