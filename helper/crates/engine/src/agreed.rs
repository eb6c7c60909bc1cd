//! What an instance and its remote last had in common, a line for each thing. It lies in the database itself, so that a
//! copy or an older state of the database brings what was agreed on when it was made, and not something later.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::Result;
use crate::files::Files;
use crate::store::first;

const TABLE: &str = "CREATE TABLE IF NOT EXISTS nixbox_agreed (name TEXT PRIMARY KEY, entry TEXT NOT NULL)";

#[derive(Clone)]
pub struct Agreed {
    files: Arc<Files>,
}

impl Agreed {
    pub(crate) fn new(files: Arc<Files>) -> Self {
        Self { files }
    }

    pub fn one(&self, name: &str) -> Result<Option<String>> {
        self.files.read_store(|store| {
            let table = "SELECT 1 FROM sqlite_master WHERE name = 'nixbox_agreed'";
            if first(store, table, &[], |_| Ok(()))?.is_none() {
                return Ok(None);
            }
            let sql = "SELECT entry FROM nixbox_agreed WHERE name = ?";
            first(store, sql, &[name.into()], |row| Ok(row.text(0)?.to_owned()))
        })
    }

    pub fn all(&self) -> Result<BTreeMap<String, String>> {
        let mut all = BTreeMap::new();
        self.files.read_store(|store| {
            let table = "SELECT 1 FROM sqlite_master WHERE name = 'nixbox_agreed'";
            if first(store, table, &[], |_| Ok(()))?.is_none() {
                return Ok(());
            }
            store.query("SELECT name, entry FROM nixbox_agreed", &[], &mut |row| {
                all.insert(row.text(0)?.to_owned(), row.text(1)?.to_owned());
                Ok(())
            })
        })?;
        Ok(all)
    }

    /// All of it or nothing; not flushed. None takes a thing away.
    pub fn change(&self, changes: &[(String, Option<String>)]) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        let bytes = changes.iter().map(|(name, entry)| name.len() + entry.as_ref().map_or(0, String::len)).sum();
        self.files.change_store(bytes, |store| {
            store.execute(TABLE, &[])?;
            for (name, entry) in changes {
                match entry {
                    Some(entry) => store.execute(
                        "INSERT OR REPLACE INTO nixbox_agreed (name, entry) VALUES (?, ?)",
                        &[name.as_str().into(), entry.as_str().into()],
                    )?,
                    None => store.execute("DELETE FROM nixbox_agreed WHERE name = ?", &[name.as_str().into()])?,
                };
            }
            Ok(())
        })
    }

    /// Nothing is agreed on any more.
    pub fn forget(&self) -> Result<()> {
        self.files.change_store(0, |store| store.execute("DROP TABLE IF EXISTS nixbox_agreed", &[]))?;
        self.files.flush()
    }
}
