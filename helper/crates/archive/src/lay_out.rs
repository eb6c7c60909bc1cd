//! Entries laid out as a folder of the real system. Everything is reached beneath the one descriptor of that folder,
//! and no symbolic link is followed, so nothing in an archive leads out of it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FchmodatFlags, Mode, SFlag, UtimensatFlags, fchmodat, mkdirat, mknodat, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, fchownat, linkat, symlinkat};

use crate::entry::{Entry, Error, Kind, Result};

/// Zeroes in pieces of this size become holes.
const HOLE: usize = 4096;

pub struct LayOut {
    top: OwnedFd,
    /// Their modes and times come last, when all is in them.
    folders: Vec<Entry>,
    /// Only root may give files away, and make devices.
    is_root: bool,
    /// The folder that was last at work: its neighbours come next.
    last: Option<(PathBuf, OwnedFd)>,
}

impl LayOut {
    /// `folder` is there and empty.
    pub fn to(folder: &Path) -> Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let top = nix::fcntl::open(folder, flags, Mode::empty())
            .map_err(|errno| Error::File { path: folder.to_owned(), source: errno.into() })?;
        Ok(Self { top, folders: Vec::new(), is_root: nix::unistd::geteuid().is_root(), last: None })
    }

    pub fn add(&mut self, entry: Entry, content: &mut dyn Read) -> Result<()> {
        let failed = |source: io::Error| Error::File { path: entry.path.clone(), source };
        let Some(name) = entry.path.file_name().map(OsStr::to_owned) else {
            if entry.kind == Kind::Folder {
                self.folders.push(entry);
            }
            return Ok(());
        };
        let parent = entry.path.parent().unwrap_or(Path::new("")).to_owned();
        self.enter(&parent).map_err(|errno| failed(errno.into()))?;
        let Some((_, folder)) = &self.last else { return Ok(()) };
        let private = Mode::from_bits_truncate(0o700);
        match &entry.kind {
            Kind::Folder => {
                match mkdirat(folder, name.as_os_str(), private) {
                    Err(Errno::EEXIST) if is_folder(folder, &name) => {}
                    made => made.map_err(|errno| failed(errno.into()))?,
                }
                self.folders.push(entry);
                return Ok(());
            }
            Kind::File { .. } => {
                let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
                let file = openat(folder, name.as_os_str(), flags, Mode::from_bits_truncate(0o600));
                let mut file = File::from(file.map_err(|errno| failed(errno.into()))?);
                write(&mut file, content).map_err(failed)?;
            }
            Kind::Symlink { target } => {
                symlinkat(target.as_os_str(), folder, name.as_os_str()).map_err(|errno| failed(errno.into()))?
            }
            Kind::HardLink { to } => {
                let source = open_folder(&self.top, to.parent().unwrap_or(Path::new("")))
                    .map_err(|errno| failed(errno.into()))?;
                let from = to
                    .file_name()
                    .ok_or(Error::Refused { path: entry.path.clone(), why: "it is a link to no name" })?;
                return linkat(&source, from, folder, name.as_os_str(), AtFlags::empty())
                    .map_err(|errno| failed(errno.into()));
            }
            Kind::Fifo => {
                mknodat(folder, name.as_os_str(), SFlag::S_IFIFO, private, 0).map_err(|errno| failed(errno.into()))?
            }
            Kind::CharDevice { major, minor } | Kind::BlockDevice { major, minor } => {
                let is_char = matches!(entry.kind, Kind::CharDevice { .. });
                let kind = if is_char { SFlag::S_IFCHR } else { SFlag::S_IFBLK };
                let device = nix::sys::stat::makedev(u64::from(*major), u64::from(*minor));
                mknodat(folder, name.as_os_str(), kind, private, device).map_err(|errno| failed(errno.into()))?;
            }
        }
        finish(folder, &name, &entry, self.is_root).map_err(failed)
    }

    /// Modes and times of the folders, innermost first.
    pub fn finish(mut self) -> Result<()> {
        while let Some(entry) = self.folders.pop() {
            let failed = |source: io::Error| Error::File { path: entry.path.clone(), source };
            let (parent, name) = match (entry.path.parent(), entry.path.file_name()) {
                (Some(parent), Some(name)) => (parent, name),
                _ => (Path::new(""), OsStr::new(".")),
            };
            let folder = open_folder(&self.top, parent).map_err(|errno| failed(errno.into()))?;
            finish(&folder, name, &entry, self.is_root).map_err(failed)?;
        }
        Ok(())
    }

    fn enter(&mut self, path: &Path) -> nix::Result<()> {
        if self.last.as_ref().is_none_or(|(last, _)| last != path) {
            self.last = Some((path.to_owned(), self.made_folder(path)?));
        }
        Ok(())
    }

    /// Archives may leave out the folders that their files are in.
    fn made_folder(&self, path: &Path) -> nix::Result<OwnedFd> {
        match open_folder(&self.top, path) {
            Err(Errno::ENOENT) => {}
            opened => return opened,
        }
        let parent = self.made_folder(path.parent().unwrap_or(Path::new("")))?;
        let name = path.file_name().ok_or(Errno::ENOENT)?;
        mkdirat(&parent, name, Mode::from_bits_truncate(0o755))?;
        open_folder(&self.top, path)
    }
}

fn is_folder(folder: &OwnedFd, name: &OsStr) -> bool {
    openat(folder, name, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty())
        .is_ok()
}

/// Step by step: none of the steps may be a link.
fn open_folder(top: &OwnedFd, path: &Path) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut at = openat(top, ".", flags, Mode::empty())?;
    for step in path {
        at = openat(&at, step, flags, Mode::empty())?;
    }
    Ok(at)
}

fn write(file: &mut File, content: &mut dyn Read) -> io::Result<()> {
    let mut piece = vec![0; 1 << 18];
    let mut length = 0u64;
    loop {
        let mut filled = 0;
        while filled < piece.len() {
            match content.read(&mut piece[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if filled == 0 {
            // The last of it may have been a hole.
            return file.set_len(length);
        }
        for part in piece[..filled].chunks(HOLE) {
            match part.len() == HOLE && part.iter().all(|byte| *byte == 0) {
                true => drop(file.seek(SeekFrom::Current(HOLE as i64))?),
                false => file.write_all(part)?,
            }
        }
        length += filled as u64;
    }
}

/// Owner, mode and time, in that order: each undoes what comes after it.
fn finish(folder: &OwnedFd, name: &OsStr, entry: &Entry, is_root: bool) -> io::Result<()> {
    let folder = folder.as_fd();
    if is_root {
        fchownat(
            folder,
            name,
            Some(Uid::from_raw(entry.uid)),
            Some(Gid::from_raw(entry.gid)),
            AtFlags::AT_SYMLINK_NOFOLLOW,
        )?;
    }
    if !matches!(entry.kind, Kind::Symlink { .. }) {
        fchmodat(folder, name, Mode::from_bits_truncate(entry.mode), FchmodatFlags::FollowSymlink)?;
    }
    let time = TimeSpec::new(entry.mtime.0, i64::from(entry.mtime.1));
    utimensat(folder, name, &time, &time, UtimensatFlags::NoFollowSymlink)?;
    Ok(())
}
