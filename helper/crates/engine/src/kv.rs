//! Key-value state: the table `kv_store`, whose values are JSON as upstream's SDKs write it.

use std::sync::Arc;

use crate::error::Result;
use crate::files::Files;
use crate::store::{Row, Store, first};

/// How many entries of a listing are read under one hold of the lock.
const PAGE: u32 = 256;

/// The values of one open database.
#[derive(Clone)]
pub struct Kv {
    files: Arc<Files>,
    leave: Arc<dyn Leave>,
}

/// Who is asked before something is changed, and told afterwards.
pub trait Leave: Send + Sync + 'static {
    fn ask(&self) -> Result<()>;
    fn tell(&self);
}

/// Everything may be, and nobody wants to know.
impl Leave for () {
    fn ask(&self) -> Result<()> {
        Ok(())
    }

    fn tell(&self) {}
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KvEntry {
    pub key: String,
    /// JSON, in the words of whoever stored it.
    pub value: String,
    /// Seconds since 1970; other programs may have left them out.
    pub created_at: Option<i64>,
    pub updated_at: Option<i64>,
}

const COLUMNS: &str = "SELECT key, value, created_at, updated_at FROM kv_store";

impl Kv {
    pub(crate) fn new(files: Arc<Files>) -> Self {
        Self { files, leave: Arc::new(()) }
    }

    /// The same values, for those who may change them only by somebody's leave.
    pub fn by_leave_of(self, leave: Arc<dyn Leave>) -> Self {
        Self { leave, ..self }
    }

    fn change(&self, bytes: usize, change: impl FnOnce(&mut dyn Store) -> Result<usize>) -> Result<usize> {
        self.leave.ask()?;
        let changed = self.files.change_store(bytes, change)?;
        self.leave.tell();
        Ok(changed)
    }

    /// `value` is JSON. Keeps the time of the first writing, as upstream does.
    pub fn set(&self, key: &str, value: &str) -> Result<()> {
        self.change(key.len() + value.len(), |store| {
            store.execute(
                "INSERT INTO kv_store (key, value, updated_at) VALUES (?, ?, unixepoch()) \
                 ON CONFLICT(key) DO UPDATE SET value = excluded.value, updated_at = unixepoch()",
                &[key.into(), value.into()],
            )
        })?;
        self.files.flush()
    }

    pub fn get(&self, key: &str) -> Result<Option<KvEntry>> {
        let sql = format!("{COLUMNS} WHERE key = ?");
        self.files.read_store(|store| first(store, &sql, &[key.into()], entry))
    }

    /// The next entries whose key begins with `prefix`, by key, behind the key `after`. None when there are no more.
    pub fn page(&self, prefix: &str, after: Option<&str>) -> Result<Vec<KvEntry>> {
        let sql = format!(
            "{COLUMNS} WHERE key >= ?1 AND substr(key, 1, length(?1)) = ?1 AND (?2 IS NULL OR key > ?2) \
             ORDER BY key LIMIT ?3"
        );
        let mut entries = Vec::new();
        self.files.read_store(|store| {
            store.query(&sql, &[prefix.into(), after.into(), PAGE.into()], &mut |row| {
                entries.push(entry(row)?);
                Ok(())
            })
        })?;
        Ok(entries)
    }

    /// The first key that both have, with another value.
    pub fn clash(&self, other: &Self) -> Result<Option<String>> {
        let mut after = None;
        loop {
            let page = other.page("", after.as_deref())?;
            for entry in &page {
                if self.get(&entry.key)?.is_some_and(|mine| mine.value != entry.value) {
                    return Ok(Some(entry.key.clone()));
                }
            }
            match page.last() {
                Some(last) => after = Some(last.key.clone()),
                None => return Ok(None),
            }
        }
    }

    /// Takes over what another has and this one lacks, with its times, and says how many. Not flushed.
    pub fn adopt(&self, other: &Self) -> Result<u64> {
        let (mut adopted, mut after) = (0, None);
        loop {
            let page = other.page("", after.as_deref())?;
            for KvEntry { key, value, created_at, updated_at } in &page {
                let sql = "INSERT OR IGNORE INTO kv_store (key, value, created_at, updated_at) VALUES (?, ?, ?, ?)";
                let args = [key.as_str().into(), value.as_str().into(), (*created_at).into(), (*updated_at).into()];
                adopted += self.change(key.len() + value.len(), |store| store.execute(sql, &args))? as u64;
            }
            match page.last() {
                Some(last) => after = Some(last.key.clone()),
                None => return Ok(adopted),
            }
        }
    }

    /// Says whether there was one.
    pub fn delete(&self, key: &str) -> Result<bool> {
        let sql = "DELETE FROM kv_store WHERE key = ?";
        let deleted = self.change(0, |store| store.execute(sql, &[key.into()]))?;
        self.files.flush()?;
        Ok(deleted > 0)
    }
}

fn entry(row: &dyn Row) -> Result<KvEntry> {
    let time = |column| if row.is_null(column) { Ok(None) } else { row.int(column).map(Some) };
    Ok(KvEntry {
        key: row.text(0)?.to_owned(),
        value: row.text(1)?.to_owned(),
        created_at: time(2)?,
        updated_at: time(3)?,
    })
}
