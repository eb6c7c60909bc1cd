//! A folder of the real system, told as a stream.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::sys::stat::{major, minor};

use crate::entry::{Entry, Error, Kind, Result};
use crate::pack::Pack;

/// Everything in `folder` and the folder itself, each folder before what is in it, by name. Links are not followed.
/// Sockets are left out, as tar has no word for them; `left_out` hears of each.
pub fn gather<W: Write>(folder: &Path, pack: &mut Pack<W>, mut left_out: impl FnMut(&Path)) -> Result<()> {
    // By device and inode: the first name under which a file with several was seen.
    let mut seen: HashMap<(u64, u64), PathBuf> = HashMap::new();
    let mut next = vec![PathBuf::new()];
    while let Some(path) = next.pop() {
        let real = folder.join(&path);
        let failed = |source| Error::File { path: real.clone(), source };
        // The folder itself may be named by a link.
        let meta = if path.as_os_str().is_empty() { real.metadata() } else { real.symlink_metadata() };
        let meta = meta.map_err(failed)?;
        let kind = meta.file_type();
        let told = |kind| entry(path.clone(), kind, &meta);
        if kind.is_dir() {
            pack.add(&told(Kind::Folder), io::empty())?;
            let mut names = fs::read_dir(&real)
                .and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>())
                .map_err(failed)?;
            names.sort_unstable_by(|a, b| b.cmp(a));
            next.extend(names.into_iter().map(|name| path.join(name)));
            continue;
        }
        if meta.nlink() > 1 {
            if let Some(to) = seen.get(&(meta.dev(), meta.ino())) {
                pack.add(&told(Kind::HardLink { to: to.clone() }), io::empty())?;
                continue;
            }
            if !kind.is_socket() {
                seen.insert((meta.dev(), meta.ino()), path.clone());
            }
        }
        if kind.is_file() {
            // What was a file may have become a pipe or a link since.
            let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;
            let file = File::options().read(true).custom_flags(flags).open(&real).map_err(failed)?;
            let size = file.metadata().map_err(failed)?.len();
            pack.add(&told(Kind::File { size }), file)?;
        } else if kind.is_symlink() {
            let target = fs::read_link(&real).map_err(failed)?.into_os_string();
            pack.add(&told(Kind::Symlink { target }), io::empty())?;
        } else if kind.is_fifo() {
            pack.add(&told(Kind::Fifo), io::empty())?;
        } else if kind.is_socket() {
            left_out(&path);
        } else {
            let (major, minor) = (major(meta.rdev()) as u32, minor(meta.rdev()) as u32);
            let is_char = kind.is_char_device();
            let kind = if is_char { Kind::CharDevice { major, minor } } else { Kind::BlockDevice { major, minor } };
            pack.add(&told(kind), io::empty())?;
        }
    }
    Ok(())
}

/// One thing that is no folder, under this name. A symbolic link is told as such.
pub fn gather_one<W: Write>(file: &Path, name: &Path, pack: &mut Pack<W>) -> Result<()> {
    let failed = |source| Error::File { path: file.to_owned(), source };
    let meta = file.symlink_metadata().map_err(failed)?;
    let kind = meta.file_type();
    let told = |kind| entry(name.to_owned(), kind, &meta);
    if kind.is_symlink() {
        let target = fs::read_link(file).map_err(failed)?.into_os_string();
        return Ok(pack.add(&told(Kind::Symlink { target }), io::empty())?);
    }
    if !kind.is_file() {
        return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "it is no file")));
    }
    let opened = File::options().read(true).custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK).open(file);
    let opened = opened.map_err(failed)?;
    let size = opened.metadata().map_err(failed)?.len();
    Ok(pack.add(&told(Kind::File { size }), opened)?)
}

fn entry(path: PathBuf, kind: Kind, meta: &Metadata) -> Entry {
    let nanoseconds = u32::try_from(meta.mtime_nsec()).unwrap_or(0);
    Entry {
        path,
        kind,
        mode: meta.mode() & 0o7777,
        uid: meta.uid(),
        gid: meta.gid(),
        mtime: (meta.mtime(), nanoseconds),
    }
}
