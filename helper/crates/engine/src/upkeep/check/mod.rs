//! Looking a database over, rule by rule, and putting right what is wrong. The rules are those of SPEC 0.4 and those
//! that our own tables keep; each theme has a file. They stand in the order in which they can be repaired: what comes
//! later relies on what came before.

mod content;
mod entries;
mod inodes;
mod lost;
mod overlay;
mod reach;
mod rule;
mod tables;
mod values;

use std::path::{Path, PathBuf};

use self::rule::{Rule, Scene};
use super::rebuild::texts;
use super::{change, look_at_present};
use crate::error::{Error, Result, StoreErrorKind};
use crate::store::{Backing, Store};

/// One kind of wrong, and where it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Stable.
    pub code: &'static str,
    pub what: String,
    pub count: u64,
    /// The first of them.
    pub places: Vec<String>,
    /// What the repair does; none where there is no repair.
    pub fix: Option<&'static str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    pub found: Vec<Finding>,
    /// What is still wrong after a repair; of a look, all that was found.
    pub left: Vec<Finding>,
    /// The database as it was before a repair.
    pub backup: Option<PathBuf>,
}

const THEMES: &[&[Rule]] =
    &[tables::RULES, inodes::RULES, entries::RULES, content::RULES, inodes::COUNTS, overlay::RULES, values::RULES];

/// A repair may bring to light what hid behind something worse.
const ROUNDS: usize = 8;

/// Writes nothing. A database of an old version is refused: see `migrate`.
pub fn check(path: &Path, backing: &Backing) -> Result<Checked> {
    let mut looked = look_at_present(path, backing)?;
    let found = survey(&mut *looked.store)?;
    Ok(Checked { left: found.clone(), found, backup: None })
}

/// Keeps the database as it was at `copy`, if there is anything to repair.
pub fn repair(path: &Path, backing: &Backing, copy: &Path) -> Result<Checked> {
    let mut checked = check(path, backing)?;
    // On a file that SQLite itself finds torn, each repair could tear more.
    if checked.found.iter().all(|finding| finding.fix.is_none()) || checked.found.iter().any(is_torn) {
        return Ok(checked);
    }
    let path = path.canonicalize()?;
    checked.left = change(&path, backing, copy, |store| {
        let mut left = survey(store)?;
        for _ in 0..ROUNDS {
            if left.iter().all(|finding| finding.fix.is_none()) {
                break;
            }
            for rule in THEMES.iter().copied().flatten() {
                let mut scene = Scene::of(store)?;
                if rule.applies(&scene) && rule.find(&mut scene)?.count > 0 {
                    rule.repair(&mut scene)?;
                }
            }
            left = survey(store)?;
        }
        Ok(left)
    })?;
    checked.backup = Some(copy.to_owned());
    Ok(checked)
}

const TORN: &str = "sqlite-damaged";

fn is_torn(finding: &Finding) -> bool {
    finding.code == TORN
}

fn survey(store: &mut dyn Store) -> Result<Vec<Finding>> {
    let mut findings: Vec<Finding> = torn(store)?.into_iter().collect();
    let read_all = THEMES.iter().copied().flatten().try_for_each(|rule| {
        let mut scene = Scene::of(store)?;
        if rule.applies(&scene) {
            let places = rule.find(&mut scene)?;
            findings.extend(rule.finding(places));
        }
        Ok(())
    });
    match read_all {
        // That is said already, as the first of the findings.
        Err(Error::Store(error)) if error.kind == StoreErrorKind::Damaged && findings.iter().any(is_torn) => {}
        other => other?,
    }
    Ok(findings)
}

/// What SQLite says of its own file.
fn torn(store: &mut dyn Store) -> Result<Option<Finding>> {
    let said = match texts(store, "PRAGMA integrity_check(100)") {
        Ok(said) => said,
        Err(Error::Store(error)) if error.kind == StoreErrorKind::Damaged => vec![error.message],
        Err(error) => return Err(error),
    };
    let wrong: Vec<String> = said.into_iter().filter(|line| line != "ok" && !is_of_an_index(line)).collect();
    Ok((!wrong.is_empty()).then(|| Finding {
        code: TORN,
        what: "SQLite finds the file damaged".into(),
        count: wrong.len() as u64,
        places: wrong.into_iter().take(rule::SHOWN).collect(),
        fix: None,
    }))
}

/// Not the table itself: it can be made again from that.
fn is_of_an_index(line: &str) -> bool {
    line.contains("missing from index")
        || line.contains("wrong # of entries in index")
        || line.contains("non-unique entry in index")
        || line.contains("NULL value in ")
}
