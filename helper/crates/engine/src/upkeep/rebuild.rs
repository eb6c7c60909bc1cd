//! Making a table anew as the format has it, with all that is in it: what `ALTER TABLE` cannot do.

use crate::error::{Error, Result};
use crate::schema;
use crate::store::{Store, first};

/// Columns that the old table lacks get their default; columns that only others know are kept as they are.
pub(super) fn rebuild(store: &mut dyn Store, table: &str) -> Result<()> {
    let made = format!("CREATE TABLE IF NOT EXISTS {table} (");
    let create = schema::statements().iter().find(|sql| sql.starts_with(&made)).ok_or(Error::Errno(libc::EINVAL))?;
    let fresh = format!("nixbox_new_{table}");
    let old = columns(store, table)?;
    // Indexes and triggers of others go with the old table.
    let theirs = texts(
        store,
        &format!("SELECT sql FROM sqlite_master WHERE tbl_name = '{table}' AND type <> 'table' AND sql IS NOT NULL"),
    )?;
    let last = last_number(store, table)?;
    store.execute(&create.replacen(&made, &format!("CREATE TABLE {fresh} ("), 1), &[])?;
    let known = columns(store, &fresh)?;
    for column in old.iter().filter(|column| !known.iter().any(|known| known.name == column.name)) {
        store.execute(&format!("ALTER TABLE {fresh} ADD COLUMN {} {}", quoted(&column.name), column.kind), &[])?;
    }
    let (mut into, mut from) = (Vec::new(), Vec::new());
    for column in &old {
        let name = quoted(&column.name);
        let default = known.iter().find(|known| known.name == column.name).and_then(Column::instead_of_null);
        from.push(default.map_or_else(|| name.clone(), |default| format!("coalesce({name}, {default})")));
        into.push(name);
    }
    let (into, from) = (into.join(", "), from.join(", "));
    store.execute(&format!("INSERT INTO {fresh} ({into}) SELECT {from} FROM {table} ORDER BY rowid"), &[])?;
    store.execute(&format!("DROP TABLE {table}"), &[])?;
    store.execute(&format!("ALTER TABLE {fresh} RENAME TO {table}"), &[])?;
    keep_last_number(store, table, last)?;
    for sql in theirs {
        store.execute(&sql, &[])?;
    }
    for index in schema::statements().iter().filter(|sql| sql.contains(&format!(" ON {table}("))) {
        store.execute(index, &[])?;
    }
    Ok(())
}

struct Column {
    name: String,
    kind: String,
    not_null: bool,
    default: Option<String>,
}

impl Column {
    /// Where a table made by hand allowed what the format does not.
    fn instead_of_null(&self) -> Option<String> {
        let empty = if self.kind == "INTEGER" { "0" } else { "''" };
        self.not_null.then(|| self.default.clone().unwrap_or_else(|| empty.into()))
    }
}

fn columns(store: &mut dyn Store, table: &str) -> Result<Vec<Column>> {
    let mut columns = Vec::new();
    let sql = "SELECT name, type, \"notnull\", dflt_value FROM pragma_table_info(?)";
    store.query(sql, &[table.into()], &mut |row| {
        let default = if row.is_null(3) { None } else { Some(row.text(3)?.to_owned()) };
        let (name, kind) = (row.text(0)?.to_owned(), row.text(1)?.to_owned());
        columns.push(Column { name, kind, not_null: row.int(2)? != 0, default });
        Ok(())
    })?;
    Ok(columns)
}

pub(super) fn texts(store: &mut dyn Store, sql: &str) -> Result<Vec<String>> {
    schema::names(&mut |sql, args, each| store.query(sql, args, each), sql)
}

/// The highest number ever given, also where the table has forgotten to count: it must not come again.
fn last_number(store: &mut dyn Store, table: &str) -> Result<i64> {
    let has = |store: &mut dyn Store, name: &str| -> Result<bool> {
        let sql = "SELECT 1 FROM sqlite_master WHERE name = ?";
        Ok(first(store, sql, &[name.into()], |_| Ok(()))?.is_some())
    };
    let mut last = 0;
    let mut see = |store: &mut dyn Store, sql: &str| -> Result<()> {
        last = first(store, sql, &[], |row| row.int(0))?.unwrap_or(0).max(last);
        Ok(())
    };
    if has(store, "sqlite_sequence")? {
        see(store, &format!("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = '{table}'"))?;
    }
    if table == "fs_inode" {
        for other in ["fs_inode", "fs_data", "fs_symlink"] {
            if has(store, other)? {
                see(store, &format!("SELECT coalesce(max(CAST(ino AS INTEGER)), 0) FROM {other}"))?;
            }
        }
    }
    Ok(last)
}

fn keep_last_number(store: &mut dyn Store, table: &str, last: i64) -> Result<()> {
    if first(store, "SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'", &[], |_| Ok(()))?.is_some() {
        store.execute("DELETE FROM sqlite_sequence WHERE name = ?", &[table.into()])?;
        store.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", &[table.into(), last.into()])?;
    }
    Ok(())
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
