//! The tables of the remote on their way into the copy, but for content: page by page, by their keys, so that neither side
//! holds more than a page of them, however large the tree is.

use nixbox_remote::{Batch, Remote, Rows, Step, Value};
use rusqlite::Connection;

use crate::company::{Company, Phase, Progress, go_on};
use crate::content::{self, CONTENT};
use crate::error::{Error, Result};
use crate::mirror::{Bound, DATA, SUM, insert, remote_sum, tables, text};

/// How many rows of a table come at a time; of values, which may be long, fewer.
const PAGE: usize = 5_000;
const VALUES: usize = 500;
const SEQUENCES: &str = "'fs_inode', 'fs_dentry'";

/// A table of which not all has come.
struct Coming {
    name: &'static str,
    columns: &'static [&'static str],
    page: usize,
    /// The key of the last row that has.
    after: Option<Value>,
}

impl Coming {
    fn next(&self) -> Step {
        let Self { name, columns, page, after } = self;
        let (key, list) = (columns[0], columns.join(", "));
        match after {
            None => Step::new(format!("SELECT {list} FROM {name} ORDER BY {key} LIMIT {page}")),
            Some(after) => {
                let sql = format!("SELECT {list} FROM {name} WHERE {key} > ? ORDER BY {key} LIMIT {page}");
                Step::with(sql, [after.clone()])
            }
        }
    }

    /// Whether there may be more.
    fn take(&mut self, rows: Rows, copy: &Connection) -> Result<bool> {
        let mut insert = copy.prepare_cached(&insert(self.name, self.columns, 1))?;
        for row in &rows.rows {
            insert.execute(rusqlite::params_from_iter(row.iter().map(Bound)))?;
        }
        self.after = rows.rows.last().and_then(|row| row.first()).cloned();
        Ok(rows.rows.len() == self.page)
    }
}

/// The copy has these tables as the remote has them; answers the remote's sum. What the remote says of content comes
/// where it says something. [`Error::Overtaken`] where they were changed meanwhile.
pub(crate) fn take_in(remote: &Remote, copy: &Connection, layer: bool, company: &dyn Company) -> Result<String> {
    let page = |name| if name == "kv_store" { VALUES } else { PAGE };
    let synced = tables(layer).filter(|(name, _)| *name != DATA).chain([(CONTENT, content::COLUMNS)]);
    let mut coming: Vec<_> =
        synced.map(|(name, columns)| Coming { name, columns, page: page(name), after: None }).collect();
    for Coming { name, .. } in &coming {
        copy.execute(&format!("DELETE FROM {name}"), [])?;
    }
    let mut answers = match first(remote, &coming) {
        // Written by programs that say nothing of it.
        Err(nixbox_remote::Error::Refused { message, .. }) if message.contains(CONTENT) => {
            coming.pop();
            first(remote, &coming)?
        }
        answered => answered?,
    }
    .into_iter();
    let (Some(sum), Some(sequences)) = (answers.next(), answers.next()) else {
        return Err(nixbox_remote::Error::Junk("tables were asked for and did not come".into()).into());
    };
    let sum = text(&sum)?;
    copy.execute(&format!("DELETE FROM sqlite_sequence WHERE name IN ({SEQUENCES})"), [])?;
    for row in &sequences.rows {
        let bound = rusqlite::params_from_iter(row.iter().map(Bound));
        copy.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", bound)?;
    }
    let (mut things, mut is_one_moment) = (0, true);
    loop {
        let mut left = Vec::new();
        for (mut table, rows) in coming.into_iter().zip(&mut answers) {
            things += rows.rows.len() as u64;
            if table.take(rows, copy)? {
                left.push(table);
            }
        }
        go_on(company, Progress { things, ..Progress::at(Phase::Fetching) })?;
        coming = left;
        if coming.is_empty() {
            break;
        }
        is_one_moment = false;
        answers = remote.ask_all(&Batch::of(coming.iter().map(Coming::next)))?.into_iter();
    }
    // What has come in several answers is of one moment only where nothing was changed since the first.
    if !is_one_moment && remote_sum(remote)?.as_ref() != Some(&sum) {
        return Err(Error::Overtaken);
    }
    Ok(sum)
}

fn first(remote: &Remote, coming: &[Coming]) -> nixbox_remote::Result<Vec<Rows>> {
    let mut batch = Batch::of([Step::new(format!("SELECT {SUM}"))]);
    batch.push(Step::new(format!("SELECT name, seq FROM sqlite_sequence WHERE name IN ({SEQUENCES})")));
    coming.iter().for_each(|table| batch.push(table.next()));
    remote.ask_all(&batch)
}
