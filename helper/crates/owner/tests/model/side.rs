//! A folder to which calls are made: the mount's, and the machine's own that it must not differ from.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, AtFlags, FallocateFlags, RenameFlags, fallocate, renameat2};
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{UnlinkatFlags, linkat, unlinkat};

use super::call::{Below, Call, HANDLES, How, Opening, Steps, UNDER, UNDER_FOLDER};

/// What was read, if anything was to be, or an errno.
pub type Answer = Result<Vec<u8>, i32>;

pub struct Side {
    pub root: PathBuf,
    open: [Option<File>; HANDLES],
}

impl Side {
    pub fn at(root: PathBuf) -> Self {
        Self { root, open: Default::default() }
    }

    pub fn close(&mut self) {
        self.open = Default::default();
    }

    fn path(&self, steps: &Steps) -> PathBuf {
        steps.iter().fold(self.root.clone(), |path, step| path.join(step))
    }

    pub fn call(&mut self, call: &Call) -> Answer {
        self.answer(call).map_err(|error| error.raw_os_error().unwrap_or_else(|| panic!("{call:?}: {error}")))
    }

    fn answer(&mut self, call: &Call) -> io::Result<Vec<u8>> {
        match call {
            Call::Create(path, perm) => {
                OpenOptions::new().write(true).create_new(true).mode(*perm).open(self.path(path))?;
            }
            Call::Mkdir(path, perm) => DirBuilder::new().mode(*perm).create(self.path(path))?,
            Call::Symlink(path, target) => symlink(target, self.path(path))?,
            Call::Link(from, to) => {
                linkat(AT_FDCWD, &self.path(from), AT_FDCWD, &self.path(to), AtFlags::empty())?;
            }
            Call::Unlink(path) => unlinkat(AT_FDCWD, &self.path(path), UnlinkatFlags::NoRemoveDir)?,
            Call::Rmdir(path) => unlinkat(AT_FDCWD, &self.path(path), UnlinkatFlags::RemoveDir)?,
            Call::Rename(from, to, how) => {
                let flags = match how {
                    How::Replace => RenameFlags::empty(),
                    How::Keep => RenameFlags::RENAME_NOREPLACE,
                    How::Exchange => RenameFlags::RENAME_EXCHANGE,
                };
                renameat2(AT_FDCWD, &self.path(from), AT_FDCWD, &self.path(to), flags)?;
            }
            Call::Chmod(path, perm) => fs::set_permissions(self.path(path), PermissionsExt::from_mode(*perm))?,
            Call::Chown(path, uid, gid) => lchown(self.path(path), Some(*uid), Some(*gid))?,
            Call::Times(path, sec, nsec) => {
                let time = TimeSpec::new(*sec, *nsec);
                utimensat(AT_FDCWD, &self.path(path), &time, &time, UtimensatFlags::NoFollowSymlink)?;
            }
            Call::Cut(path, size) => OpenOptions::new().write(true).open(self.path(path))?.set_len(*size)?,
            Call::Open(handle, path, how) => self.open[*handle] = Some(self.opened(path, *how)?),
            Call::Write(handle, offset, length, seed) => {
                self.with(*handle, |file| file.write_all_at(&pattern(*length, *seed), *offset))?;
            }
            Call::Read(handle, offset, length) => {
                let mut data = vec![0; *length];
                let read = self.with(*handle, |file| file.read_at(&mut data, *offset))?.unwrap_or(0);
                data.truncate(read);
                return Ok(data);
            }
            Call::Truncate(handle, size) => drop(self.with(*handle, |file| file.set_len(*size))?),
            Call::Punch(handle, offset, size) => {
                let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
                self.with(*handle, |file| Ok(fallocate(file, flags, *offset as i64, *size as i64)?))?;
            }
            Call::Grow(handle, offset, size) => {
                let flags = FallocateFlags::empty();
                self.with(*handle, |file| Ok(fallocate(file, flags, *offset as i64, *size as i64)?))?;
            }
            Call::Stat(handle) => {
                let seen = self.with(*handle, File::metadata)?;
                return Ok(seen
                    .map(|seen| format!("{} {} {:o}", seen.len(), seen.nlink(), seen.mode()))
                    .unwrap_or_default()
                    .into());
            }
            Call::Sync(handle) => drop(self.with(*handle, File::sync_all)?),
            Call::Close(handle) => self.open[*handle] = None,
            Call::Touch(one, seed) => fs::write(self.under(*one), pattern(9, *seed))?,
            Call::ChmodUnder(one, perm) => {
                fs::set_permissions(self.under(*one), PermissionsExt::from_mode(*perm))?;
            }
            Call::Below(_) | Call::Restart | Call::Kill => {}
        }
        Ok(Vec::new())
    }

    fn opened(&self, path: &Steps, how: Opening) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(libc::O_NOFOLLOW).mode(0o640);
        match how {
            Opening::ReadWrite => {}
            Opening::Append => drop(options.append(true)),
            Opening::Truncate => drop(options.truncate(true)),
            Opening::Create => drop(options.create(true)),
        }
        options.open(self.path(path))
    }

    /// Nothing happens to a handle that is not open.
    fn with<T>(&self, handle: usize, work: impl FnOnce(&File) -> io::Result<T>) -> io::Result<Option<T>> {
        self.open[handle].as_ref().map(work).transpose()
    }

    fn under(&self, one: usize) -> PathBuf {
        self.root.join(UNDER_FOLDER).join(UNDER[one])
    }

    pub fn edit(&self, below: Below) {
        let done = match below {
            Below::Write(one, size, seed) => fs::write(self.under(one), pattern(size, seed)),
            Below::Remove(one) => fs::remove_file(self.under(one)),
            Below::Rename(from, to) => fs::rename(self.under(from), self.under(to)),
        };
        // Some of them are not there.
        assert!(done.is_ok() || done.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound), "{done:?}");
    }
}

/// Everything that was said to a folder is on the disk.
pub fn sync_folder(folder: &Path) {
    File::open(folder).unwrap().sync_all().unwrap();
}

/// Bytes that no two places share.
fn pattern(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..length).map(|_| next()).collect()
}
