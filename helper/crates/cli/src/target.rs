//! Where an export goes: made beside its place under a name of its own, and put there when all of it is there.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use nixbox_report::{Failure, Report, codes};

use crate::context::io_failure;

pub struct Target {
    path: PathBuf,
    beside: PathBuf,
    force: bool,
    is_folder: bool,
    done: bool,
}

impl Target {
    /// Refused where something is there that would be lost, unless `force` says that it may be.
    pub fn new(path: &Path, is_folder: bool, force: bool) -> Result<Self, Report> {
        let taken = match path.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(io_failure("look at", path, error)),
            Ok(_) if force => false,
            Ok(meta) if is_folder && meta.is_dir() => {
                fs::read_dir(path).map_err(|error| io_failure("read", path, error))?.next().is_some()
            }
            Ok(_) => true,
        };
        if taken {
            return Err(exists(path).into());
        }
        let name = path.file_name().ok_or_else(|| {
            Failure::new(&codes::USAGE, format!("{} has no name to make", path.display()))
                .help("name the file or folder that the export is to become")
        })?;
        let mut beside = std::ffi::OsString::from(".");
        beside.push(name);
        beside.push(format!(".{}.part", std::process::id()));
        let target = Self { path: path.to_owned(), beside: path.with_file_name(beside), force, is_folder, done: false };
        if is_folder {
            fs::create_dir(&target.beside).map_err(|error| io_failure("make", &target.beside, error))?;
        }
        Ok(target)
    }

    /// Where it is made.
    pub fn beside(&self) -> &Path {
        &self.beside
    }

    /// The file, to be written.
    pub fn create(&self) -> Result<File, Report> {
        File::create_new(&self.beside).map_err(|error| io_failure("make", &self.beside, error))
    }

    /// All of it is there and on disk.
    pub fn put(mut self) -> Result<(), Report> {
        let failed = |error: io::Error| io_failure("make", &self.path, error);
        let moved = match self.rename(RenameFlags::RENAME_NOREPLACE) {
            // An empty folder gives way; so does a file where that was asked for.
            Err(Errno::EEXIST) if self.is_folder && is_empty(&self.path) => self.rename(RenameFlags::empty()),
            Err(Errno::EEXIST) if !self.force => return Err(exists(&self.path).into()),
            Err(Errno::EEXIST) if self.is_folder || self.path.is_dir() => {
                let swapped = self.rename(RenameFlags::RENAME_EXCHANGE);
                if swapped.is_ok() {
                    // What was there before has our name now, and goes with it.
                    return Ok(());
                }
                swapped
            }
            // Old kernels, and some file systems.
            Err(Errno::EEXIST | Errno::EINVAL | Errno::ENOSYS) => self.rename(RenameFlags::empty()),
            moved => moved,
        };
        moved.map_err(|errno| failed(errno.into()))?;
        self.done = true;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
    }

    fn rename(&self, flags: RenameFlags) -> nix::Result<()> {
        renameat2(AT_FDCWD, &self.beside, AT_FDCWD, &self.path, flags)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let _ = match self.beside.is_dir() {
            true => fs::remove_dir_all(&self.beside),
            false => fs::remove_file(&self.beside),
        };
    }
}

fn is_empty(path: &Path) -> bool {
    fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

fn exists(path: &Path) -> Failure {
    Failure::new(&codes::EXPORT_EXISTS, format!("{} is there already", path.display()))
        .why("an export replaces nothing unasked")
        .help("name another target, or replace that one with `--force`")
}
