//! A database written anew with another key, another cipher, or none: beside the old one, compared with it, and put
//! in its place by one renaming.

use std::path::Path;

use crate::beside::Beside;
use crate::database::{check_key, resolve};
use crate::encryption::Cipher;
use crate::error::{Error, Result};
use crate::probe::{self, Found, OpenHere};
use crate::schema::{self, Over};
use crate::store::{self, Arg, Backing, Row, Store, wal_path};

/// The cipher of a database that is encrypted. Only reads.
pub fn cipher_of(path: &Path) -> Result<Option<Cipher>> {
    let path = resolve(path)?;
    Ok(match probe::look(&path)? {
        Found::Encrypted(cipher) => Some(cipher),
        _ => None,
    })
}

/// What was written and found the same when it was read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rekeyed {
    pub tables: usize,
    pub rows: u64,
    pub bytes: u64,
}

/// What the libraries make by themselves: SQLite's own tables, and those that Turso keeps beside `sqlite_sequence`.
const OURS: &str = "name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE '\\_\\_turso\\_internal\\_%' ESCAPE '\\'";

/// How much is written between two commits.
const BATCH: u64 = 8 << 20;

/// `path` must exist, and no other process may use it. On any failure it is as it was.
pub fn rekey(path: &Path, from: &Backing, to: &Backing) -> Result<Rekeyed> {
    let path = &resolve(path)?;
    let found = probe::look(path)?;
    check_key(path, found, from)?;
    if found == Found::New {
        return Err(Error::NotAgentFs { path: path.clone(), reason: "an empty file".into() });
    }
    let mut guest = store::visit(path, from)?;
    let open_here = OpenHere::claim(path)?;
    match schema::recognise(path, Over::Nothing, &mut |sql, args, each| guest.query(sql, args, each)) {
        // What it lies over is of no account here.
        Ok(()) | Err(Error::Overlay { .. }) => {}
        Err(error) => {
            guest.leave();
            return Err(error);
        }
    }
    let mut old = guest.stay()?;
    let beside = Beside::of(path)?;
    std::fs::File::create(beside.path())?.set_permissions(path.metadata()?.permissions())?;
    let mut new = store::visit(beside.path(), to)?.stay()?;
    let tables = tables(&mut *old)?;
    let mut copied = Vec::with_capacity(tables.len());
    make(&mut *old, &mut *new, "type = 'table'")?;
    for table in &tables {
        copied.push(copy(&mut *old, &mut *new, table)?);
    }
    sequences(&mut *old, &mut *new)?;
    make(&mut *old, &mut *new, "type IN ('index', 'view', 'trigger') ORDER BY type = 'trigger'")?;
    new.close()?;

    let mut new = store::visit(beside.path(), to)?.stay()?;
    verify(&mut *new, path, &tables, &copied)?;
    new.close()?;
    old.close()?;
    // A log that is left would be taken for the new file's.
    match wal_path(path).metadata() {
        Ok(wal) if wal.len() > 0 => return Err(Error::Busy { path: path.clone(), pid: None }),
        Ok(_) => std::fs::remove_file(wal_path(path))?,
        Err(_) => {}
    }
    let bytes = beside.path().metadata()?.len();
    beside.put()?;
    drop(open_here);
    Ok(Rekeyed { tables: tables.len(), rows: copied.iter().map(|table| table.rows).sum(), bytes })
}

struct Table {
    name: String,
    columns: Vec<String>,
}

#[derive(PartialEq, Eq)]
struct Content {
    rows: u64,
    hash: blake3::Hash,
}

fn tables(store: &mut dyn Store) -> Result<Vec<Table>> {
    let mut tables = Vec::new();
    let sql = format!("SELECT name FROM sqlite_master WHERE type = 'table' AND {OURS} ORDER BY name");
    store.query(&sql, &[], &mut |row| {
        tables.push(Table { name: row.text(0)?.to_owned(), columns: Vec::new() });
        Ok(())
    })?;
    for table in &mut tables {
        store.query("SELECT name FROM pragma_table_info(?)", &[table.name.as_str().into()], &mut |row| {
            table.columns.push(row.text(0)?.to_owned());
            Ok(())
        })?;
    }
    Ok(tables)
}

/// Makes in `new` what `old` has of the schema.
fn make(old: &mut dyn Store, new: &mut dyn Store, which: &str) -> Result<()> {
    let sql = format!("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND {OURS} AND {which}");
    old.query(&sql, &[], &mut |row| new.execute(row.text(0)?, &[]).map(drop))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl Table {
    /// Each column with its kind before it: a value is copied as what it is, not as what its column says.
    fn select(&self) -> String {
        let columns: Vec<_> =
            self.columns.iter().map(|name| quoted(name)).map(|name| format!("typeof({name}), {name}")).collect();
        format!("SELECT {} FROM {} ORDER BY rowid", columns.join(", "), quoted(&self.name))
    }

    fn insert(&self) -> String {
        let columns: Vec<_> = self.columns.iter().map(|name| quoted(name)).collect();
        let marks = vec!["?"; columns.len()].join(", ");
        format!("INSERT INTO {} ({}) VALUES ({marks})", quoted(&self.name), columns.join(", "))
    }

    fn row<'r>(&self, row: &'r dyn Row, values: &mut Vec<Arg<'r>>, hash: &mut blake3::Hasher) -> Result<u64> {
        values.clear();
        for column in 0..self.columns.len() {
            let at = 2 * column + 1;
            values.push(match row.text(at - 1)? {
                "integer" => Arg::Int(row.int(at)?),
                "real" => Arg::Real(row.real(at)?),
                "text" => Arg::Text(row.text(at)?),
                "blob" => Arg::Blob(row.blob(at)?),
                _ => Arg::Null,
            });
        }
        let mut bytes = 0;
        for value in values {
            let number;
            let (kind, content): (u8, &[u8]) = match value {
                Arg::Null => (0, &[]),
                Arg::Int(value) => {
                    number = value.to_le_bytes();
                    (1, &number)
                }
                Arg::Real(value) => {
                    number = value.to_le_bytes();
                    (2, &number)
                }
                Arg::Text(text) => (3, text.as_bytes()),
                Arg::Blob(bytes) => (4, bytes),
            };
            hash.update(&[kind]).update(&(content.len() as u64).to_le_bytes()).update(content);
            bytes += content.len() as u64;
        }
        Ok(bytes)
    }
}

fn copy(old: &mut dyn Store, new: &mut dyn Store, table: &Table) -> Result<Content> {
    let insert = table.insert();
    let mut hash = blake3::Hasher::new();
    let (mut rows, mut pending) = (0, 0);
    new.execute("BEGIN IMMEDIATE", &[])?;
    old.query(&table.select(), &[], &mut |row| {
        let mut values = Vec::new();
        pending += table.row(row, &mut values, &mut hash)?;
        new.execute(&insert, &values)?;
        rows += 1;
        if pending >= BATCH {
            new.execute("COMMIT", &[])?;
            new.fold_log()?;
            new.execute("BEGIN IMMEDIATE", &[])?;
            pending = 0;
        }
        Ok(())
    })?;
    new.execute("COMMIT", &[])?;
    Ok(Content { rows, hash: hash.finalize() })
}

/// The highest numbers ever given: upstream's overlay goes wrong when one comes back.
fn sequences(old: &mut dyn Store, new: &mut dyn Store) -> Result<()> {
    let there = "SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'";
    if store::first(old, there, &[], |_| Ok(()))?.is_none() {
        return Ok(());
    }
    new.execute("BEGIN IMMEDIATE", &[])?;
    new.execute("DELETE FROM sqlite_sequence", &[])?;
    old.query("SELECT name, seq FROM sqlite_sequence", &[], &mut |row| {
        let sql = "INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)";
        new.execute(sql, &[row.text(0)?.into(), row.int(1)?.into()]).map(drop)
    })?;
    new.execute("COMMIT", &[]).map(drop)
}

/// Reads everything back, from the file.
fn verify(new: &mut dyn Store, path: &Path, wanted: &[Table], copied: &[Content]) -> Result<()> {
    let differs = |what: &str| Error::Damaged { path: path.to_owned(), reason: format!("the copy of {what} differs") };
    let sound = store::first(new, "PRAGMA integrity_check", &[], |row| row.text(0).map(str::to_owned))?;
    if sound.as_deref() != Some("ok") {
        return Err(differs(&format!("its structure ({})", sound.unwrap_or_default())));
    }
    let found = tables(new)?;
    if !found.iter().map(|table| &table.name).eq(wanted.iter().map(|table| &table.name)) {
        return Err(differs("its tables"));
    }
    for (table, copied) in wanted.iter().zip(copied) {
        let mut hash = blake3::Hasher::new();
        let mut rows = 0;
        new.query(&table.select(), &[], &mut |row| {
            table.row(row, &mut Vec::new(), &mut hash)?;
            rows += 1;
            Ok(())
        })?;
        if *copied != (Content { rows, hash: hash.finalize() }) {
            return Err(differs(&format!("`{}`", table.name)));
        }
    }
    Ok(())
}
