//! A copy of a database as it lies there, with its log, before anything is changed.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::store::wal_path;

pub(super) struct Backup {
    /// Each file, and its copy where it was there.
    files: Vec<(PathBuf, Option<PathBuf>)>,
}

/// Nobody has the database open. `copy` is not there yet; its folder is made.
pub(super) fn make(database: &Path, copy: &Path) -> Result<Backup> {
    if let Some(folder) = copy.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut backup = Backup { files: Vec::new() };
    for (from, to) in [(database.to_owned(), copy.to_owned()), (wal_path(database), wal_path(copy))] {
        match duplicate(&from, &to) {
            Ok(()) => backup.files.push((from, Some(to))),
            Err(error) if error.kind() == io::ErrorKind::NotFound && from != database => {
                backup.files.push((from, None));
            }
            Err(error) => {
                let _ = fs::remove_file(&to);
                for (_, copy) in &backup.files {
                    let _ = copy.as_ref().map(fs::remove_file);
                }
                return Err(error.into());
            }
        }
    }
    sync_folder(copy)?;
    Ok(backup)
}

fn duplicate(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = File::open(from)?;
    let mut target = File::options().write(true).create_new(true).open(to)?;
    io::copy(&mut source, &mut target)?;
    target.set_permissions(source.metadata()?.permissions())?;
    target.sync_all()
}

impl Backup {
    /// Puts back what is no longer as it was, and takes the copies away.
    pub(super) fn restore(self) -> Result<()> {
        for (file, copy) in &self.files {
            match copy {
                Some(copy) if !same(file, copy)? => {
                    let mut beside = OsString::from(file.as_os_str());
                    beside.push(format!(".restored-{}", std::process::id()));
                    duplicate(copy, Path::new(&beside))?;
                    fs::rename(&beside, file)?;
                }
                Some(_) => {}
                None => match fs::remove_file(file) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                    _ => {}
                },
            }
        }
        if let Some((file, _)) = self.files.first() {
            sync_folder(file)?;
        }
        for (_, copy) in &self.files {
            if let Some(copy) = copy {
                fs::remove_file(copy)?;
            }
        }
        Ok(())
    }
}

fn same(one: &Path, other: &Path) -> io::Result<bool> {
    let (one, other) = match (File::open(one), File::open(other)) {
        (Err(error), _) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        (one, other) => (one?, other?),
    };
    if one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    let (mut one, mut other) = (io::BufReader::new(one), io::BufReader::new(other));
    let (mut left, mut right) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let length = one.read(&mut left)?;
        if length == 0 {
            return Ok(true);
        }
        other.read_exact(&mut right[..length])?;
        if left[..length] != right[..length] {
            return Ok(false);
        }
    }
}

pub(super) fn sync_folder(file: &Path) -> io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}
