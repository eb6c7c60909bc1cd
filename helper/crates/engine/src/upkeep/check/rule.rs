//! What a rule is: how its breaches are found, and how they are put right.

use std::collections::HashSet;

use super::Finding;
use crate::error::Result;
use crate::schema;
use crate::store::{Arg, Store, first};

/// How many places of a kind are named.
pub(super) const SHOWN: usize = 10;

pub(super) struct Rule {
    pub code: &'static str,
    pub what: &'static str,
    pub fix: Option<&'static str>,
    /// Tables without which there is nothing to look at.
    pub on: &'static [&'static str],
    pub find: Find,
    pub repair: Repair,
}

pub(super) enum Find {
    /// A query whose first column names each place. `:chunk` is the chunk size.
    Rows(&'static str),
    By(fn(&mut Scene<'_>) -> Result<Places>),
}

pub(super) enum Repair {
    Statements(&'static [&'static str]),
    By(fn(&mut Scene<'_>) -> Result<()>),
    None,
}

/// A database, and what rules need to know of it.
pub(super) struct Scene<'a> {
    pub store: &'a mut dyn Store,
    pub chunk_size: i64,
    tables: HashSet<String>,
}

#[derive(Debug, Default)]
pub(super) struct Places {
    pub count: u64,
    pub first: Vec<String>,
}

impl Places {
    pub fn add(&mut self, place: impl Into<String>) {
        self.count += 1;
        if self.first.len() < SHOWN {
            self.first.push(place.into());
        }
    }
}

impl<'a> Scene<'a> {
    pub fn of(store: &'a mut dyn Store) -> Result<Self> {
        let mut tables = HashSet::new();
        store.query("SELECT name FROM sqlite_master WHERE type = 'table'", &[], &mut |row| {
            tables.insert(row.text(0)?.to_owned());
            Ok(())
        })?;
        let mut chunk_size = None;
        if tables.contains("fs_config") {
            let sql = "SELECT CAST(value AS TEXT) FROM fs_config WHERE key = 'chunk_size'";
            chunk_size = first(store, sql, &[], |row| row.text(0).map(str::to_owned))?;
        }
        let possible = |size: &u32| (1..=schema::MAX_CHUNK_SIZE).contains(size);
        let chunk_size = chunk_size.and_then(|size| size.parse().ok()).filter(possible);
        Ok(Self { store, chunk_size: i64::from(chunk_size.unwrap_or(schema::UPSTREAM_CHUNK_SIZE)), tables })
    }

    pub fn has(&self, table: &str) -> bool {
        self.tables.contains(table)
    }

    pub fn run(&mut self, sql: &str, args: &[Arg<'_>]) -> Result<usize> {
        let sql = self.with_chunk_size(sql);
        self.store.execute(&sql, args)
    }

    /// Rows of whole numbers; NULL is -1.
    pub fn numbers<const N: usize>(&mut self, sql: &str, args: &[Arg<'_>]) -> Result<Vec<[i64; N]>> {
        let sql = self.with_chunk_size(sql);
        let mut rows = Vec::new();
        self.store.query(&sql, args, &mut |row| {
            let mut numbers = [-1; N];
            for (column, number) in numbers.iter_mut().enumerate() {
                if !row.is_null(column) {
                    *number = row.int(column)?;
                }
            }
            rows.push(numbers);
            Ok(())
        })?;
        Ok(rows)
    }

    pub fn places(&mut self, sql: &str) -> Result<Places> {
        let sql = self.with_chunk_size(sql);
        let mut places = Places::default();
        self.store.query(&sql, &[], &mut |row| {
            // What is no text after all is the breach itself.
            places.add(row.text(0).unwrap_or("?"));
            Ok(())
        })?;
        Ok(places)
    }

    fn with_chunk_size(&self, sql: &str) -> String {
        sql.replace(":chunk", &self.chunk_size.to_string())
    }
}

impl Rule {
    pub fn applies(&self, scene: &Scene<'_>) -> bool {
        self.on.iter().all(|table| scene.has(table))
    }

    pub fn find(&self, scene: &mut Scene<'_>) -> Result<Places> {
        match self.find {
            Find::Rows(sql) => scene.places(sql),
            Find::By(find) => find(scene),
        }
    }

    pub fn repair(&self, scene: &mut Scene<'_>) -> Result<()> {
        match self.repair {
            Repair::Statements(statements) => statements.iter().try_for_each(|sql| scene.run(sql, &[]).map(drop)),
            Repair::By(repair) => repair(scene),
            Repair::None => Ok(()),
        }
    }

    pub fn finding(&self, places: Places) -> Option<Finding> {
        (places.count > 0).then(|| Finding {
            code: self.code,
            what: self.what.into(),
            count: places.count,
            places: places.first,
            fix: self.fix,
        })
    }
}
