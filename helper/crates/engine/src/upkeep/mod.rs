//! What is done with a database while nobody has it open: bringing an old one up to date, looking one over, putting
//! right what is wrong. All of it can look without a byte being written, and nothing is changed without a copy.

mod adopt;
mod backup;
mod check;
mod migrate;
mod rebuild;

use std::path::{Path, PathBuf};

pub use self::adopt::adopt;
pub use self::check::{Checked, Finding, check, repair};
pub use self::migrate::{Migrated, migrate};
use crate::database::check_key;
use crate::error::{Error, Result, StoreError, StoreErrorKind};
use crate::probe::{self, Found, OpenHere};
use crate::schema::{self, Known, Version};
use crate::store::{self, Backing, Store};

/// A database that is there, looked at.
pub(crate) struct Looked {
    path: PathBuf,
    version: Version,
    pub(crate) store: Box<dyn Store>,
    _open_here: OpenHere,
}

/// One of the present version.
pub(crate) fn look_at_present(path: &Path, backing: &Backing) -> Result<Looked> {
    let looked = look(path, backing)?;
    match looked.version {
        Version::V0_4 => Ok(looked),
        old => Err(Error::OldSchema { path: looked.path, found: old.name() }),
    }
}

/// How a database of somebody else is kept: plain, or with the key that `ours` has.
pub(crate) fn kept_in<'a>(path: &Path, ours: &'a Backing) -> Result<&'a Backing> {
    Ok(match probe::look(path)? {
        Found::Encrypted(_) => ours,
        _ => &Backing::Sqlite,
    })
}

fn look(path: &Path, backing: &Backing) -> Result<Looked> {
    let path = path.canonicalize()?;
    let named = |error| named(&path, error);
    let found = probe::look(&path)?;
    if found == Found::New {
        let reason = "the file is empty: nothing was ever stored in it".into();
        return Err(Error::NotAgentFs { path, reason });
    }
    check_key(&path, found, backing)?;
    let mut store = store::look_at(&path, backing).map_err(named)?;
    let open_here = OpenHere::claim(&path)?;
    match schema::known(&path, &mut |sql, args, each| store.query(sql, args, each)).map_err(named)? {
        Known::Version(version) => Ok(Looked { path, version, store, _open_here: open_here }),
        Known::Begun => {
            Err(Error::NotAgentFs { path, reason: "it has no tables yet: nothing was ever stored in it".into() })
        }
    }
}

/// Runs `change` in one transaction on a database of which a copy was made. Where that fails, the copy takes its place
/// again, byte for byte.
fn change<T>(
    path: &Path,
    backing: &Backing,
    copy: &Path,
    change: impl FnOnce(&mut dyn Store) -> Result<T>,
) -> Result<T> {
    let copied = backup::make(path, copy)?;
    let changed = in_transaction(path, backing, change);
    if changed.is_err() {
        copied.restore()?;
    }
    changed.map_err(|error| named(path, error))
}

fn in_transaction<T>(path: &Path, backing: &Backing, change: impl FnOnce(&mut dyn Store) -> Result<T>) -> Result<T> {
    let guest = store::visit(path, backing)?;
    let _open_here = OpenHere::claim(path)?;
    let mut store = guest.stay()?;
    store.execute("BEGIN IMMEDIATE", &[])?;
    match change(&mut *store) {
        Ok(answer) => {
            store.execute("COMMIT", &[])?;
            store.disk().sync()?;
            store.close()?;
            Ok(answer)
        }
        Err(error) => {
            if store.in_transaction() {
                store.execute("ROLLBACK", &[])?;
            }
            Err(error)
        }
    }
}

/// What SQL says of a file, with the file in it.
fn named(path: &Path, error: Error) -> Error {
    match error {
        Error::Store(StoreError { kind: StoreErrorKind::Busy, .. }) => Error::Busy { path: path.to_owned(), pid: None },
        Error::Store(StoreError { kind: StoreErrorKind::Damaged, message }) => {
            Error::Damaged { path: path.to_owned(), reason: message }
        }
        other => other,
    }
}
