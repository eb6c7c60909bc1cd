//! A copy on its way to the machine: laid out beside its place, under a name of its own, and put there file by file.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use nixbox_archive::{LayOut, unpack};
use nixbox_report::{Failure, Report, codes};

use crate::context::io_failure;

/// `name`: of one thing that goes into `into`; else a folder that becomes `into`, or is merged into it.
pub fn lay(into: &Path, name: Option<&OsStr>, from: &mut dyn Read, force: bool) -> Result<(), Report> {
    let parent = if name.is_some() { into } else { into.parent().unwrap_or(Path::new("/")) };
    if !parent.is_dir() {
        return Err(Failure::new(&codes::FILE_KIND, format!("{} is no folder", parent.display()))
            .why("the copy is to be in it")
            .help("make it first")
            .into());
    }
    let beside = Beside::make(parent)?;
    let told = |error: nixbox_archive::Error| {
        Report::from(
            Failure::new(&codes::IO, format!("{} cannot be made", into.display()))
                .why(error)
                .help("see to it that there is room, and that this user may write there; nothing was copied"),
        )
    };
    let mut laying = LayOut::to(&beside.0).map_err(told)?;
    unpack(io::BufReader::with_capacity(1 << 18, from), |entry, content| laying.add(entry, content)).map_err(told)?;
    laying.finish().map_err(told)?;
    if name.is_none() && into.symlink_metadata().is_err() {
        return rename(&beside.0, into, false);
    }
    // Before anything is put there.
    clashes(&beside.0, into, force)?;
    merge(&beside.0, into, force)
}

/// Gone with all that is still in it, however this ends.
struct Beside(PathBuf);

impl Beside {
    fn make(parent: &Path) -> Result<Self, Report> {
        let path = parent.join(format!(".nixbox-copy-{}.part", std::process::id()));
        fs::create_dir(&path).map_err(|error| io_failure("make", &path, error))?;
        Ok(Self(path))
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn clashes(from: &Path, to: &Path, force: bool) -> Result<(), Report> {
    each(from, |new, name| {
        let place = to.join(name);
        match (new.is_dir(), place.symlink_metadata()) {
            (_, Err(_)) => Ok(()),
            (true, Ok(there)) if there.is_dir() => clashes(&new.path(), &place, force),
            (false, Ok(there)) if !there.is_dir() && force => Ok(()),
            (_, Ok(there)) => Err(exists(&place, there.is_dir() != new.is_dir()).into()),
        }
    })
}

fn merge(from: &Path, to: &Path, force: bool) -> Result<(), Report> {
    each(from, |new, name| {
        let place = to.join(name);
        match new.is_dir() && place.symlink_metadata().is_ok_and(|there| there.is_dir()) {
            true => merge(&new.path(), &place, force),
            false => rename(&new.path(), &place, force),
        }
    })
}

struct New(fs::DirEntry, bool);

impl New {
    fn path(&self) -> PathBuf {
        self.0.path()
    }

    fn is_dir(&self) -> bool {
        self.1
    }
}

fn each(folder: &Path, mut what: impl FnMut(New, &OsStr) -> Result<(), Report>) -> Result<(), Report> {
    let failed = |error| io_failure("read", folder, error);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let is_dir = entry.file_type().map_err(failed)?.is_dir();
        let name = entry.file_name();
        what(New(entry, is_dir), &name)?;
    }
    Ok(())
}

fn rename(from: &Path, to: &Path, force: bool) -> Result<(), Report> {
    let flags = if force { RenameFlags::empty() } else { RenameFlags::RENAME_NOREPLACE };
    match renameat2(AT_FDCWD, from, AT_FDCWD, to, flags) {
        Err(Errno::EEXIST | Errno::ENOTEMPTY) => Err(exists(to, false).into()),
        // Some file systems know no flags.
        Err(Errno::EINVAL | Errno::ENOSYS) if to.symlink_metadata().is_err() => {
            fs::rename(from, to).map_err(|error| io_failure("make", to, error))
        }
        done => done.map_err(|errno| io_failure("make", to, errno.into())),
    }
}

fn exists(path: &Path, is_another_kind: bool) -> Failure {
    let failure = Failure::new(&codes::COPY_EXISTS, format!("{} is there already", path.display()));
    match is_another_kind {
        true => failure.why("a folder gives way to no file, and a file to no folder").help("remove it first"),
        false => failure
            .why("a copy replaces nothing unasked")
            .help("replace what is there with `--force`, or name another target"),
    }
}
