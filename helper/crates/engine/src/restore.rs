//! A database put back to what a copy of it was.

use std::fs::File;
use std::io;
use std::path::Path;

use crate::beside::Beside;
use crate::database::{check_key, resolve};
use crate::error::{Error, Result};
use crate::probe::{self, Found};
use crate::schema::{self, Over};
use crate::store::{self, Backing, wal_path};

/// Nobody has either open, and both are encrypted as `backing` says. The copy stays. On any failure `path` is as it was.
pub fn restore(copy: &Path, path: &Path, backing: &Backing) -> Result<()> {
    let path = &resolve(path)?;
    let found = probe::look(copy)?;
    check_key(copy, found, backing)?;
    if found == Found::New {
        return Err(Error::NotAgentFs { path: copy.to_owned(), reason: "an empty file".into() });
    }
    // A log that is left would be taken for the new file's.
    match wal_path(path).metadata() {
        Ok(wal) if wal.len() > 0 => return Err(Error::Busy { path: path.clone(), pid: None }),
        Ok(_) => std::fs::remove_file(wal_path(path))?,
        Err(_) => {}
    }
    let beside = Beside::of(path)?;
    let mut target = File::create(beside.path())?;
    target.set_permissions(path.metadata()?.permissions())?;
    io::copy(&mut File::open(copy)?, &mut target)?;
    drop(target);
    let mut guest = store::visit(beside.path(), backing)?;
    let known = schema::recognise(path, Over::Nothing, &mut |sql, args, each| guest.query(sql, args, each));
    guest.leave();
    match known {
        // What it lies over is of no account here.
        Ok(()) | Err(Error::Overlay { .. }) => beside.put(),
        Err(error) => Err(error),
    }
}
