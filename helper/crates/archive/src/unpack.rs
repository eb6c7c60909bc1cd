//! A stream into entries.

use std::cell::Cell;
use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use tar::{Archive, EntryType};

use crate::entry::{Entry, Error, Kind, Result};

const BLOCK: u64 = 512;
/// Deeper than any path that a system takes.
const MAX_PATH: usize = 4096;

/// Calls `take` for each entry in turn, with its content. Refuses what leads out of the tree that it is unpacked to,
/// and an archive that ends too soon.
pub fn unpack<E: From<Error>>(
    from: impl Read,
    mut take: impl FnMut(Entry, &mut dyn Read) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    let read = Rc::new(Cell::new(0));
    let mut archive = Archive::new(Counted { from, read: read.clone() });
    let mut end = 0;
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        // A sparse file is shorter in the archive than it is.
        let is_sparse = entry.header().entry_type() == EntryType::GNUSparse;
        let length = if is_sparse { entry.header().entry_size().map_err(broken)? } else { entry.size() };
        end = entry.raw_file_position().saturating_add(length.div_ceil(BLOCK).saturating_mul(BLOCK));
        let Some(told) = told(&mut entry)? else { continue };
        take(told, &mut entry)?;
    }
    let mut rest = archive.into_inner();
    // To its end, so that whoever sends it is not cut off.
    io::copy(&mut rest, &mut io::sink()).map_err(Error::Io)?;
    match read.get() {
        0 => Err(Error::Broken("it is empty".into()).into()),
        // At least one block of zeroes is behind the last entry.
        read if read < end.saturating_add(BLOCK) => Err(Error::Broken("it ends before its end".into()).into()),
        _ => Ok(()),
    }
}

/// None for what says nothing of a tree.
fn told<R: Read>(entry: &mut tar::Entry<'_, R>) -> Result<Option<Entry>> {
    let path = PathBuf::from(OsString::from_vec(entry.path_bytes().into_owned()));
    let mut mtime = (i64::try_from(entry.header().mtime().map_err(broken)?).unwrap_or(i64::MAX), 0);
    if let Some(extensions) = entry.pax_extensions().map_err(broken)? {
        for extension in extensions {
            let extension = extension.map_err(broken)?;
            match extension.key_bytes() {
                b"mtime" => mtime = time(extension.value_bytes()).unwrap_or(mtime),
                key if key.starts_with(b"GNU.sparse.") => {
                    let why = "a sparse file in pax form cannot be read; make the archive with `tar --format=gnu`, or without --sparse";
                    return Err(Error::Refused { path, why });
                }
                _ => {}
            }
        }
    }
    let header = entry.header();
    let link = || entry.link_name_bytes().map(|link| OsString::from_vec(link.into_owned()));
    let device = || {
        let number = |number: io::Result<Option<u32>>| number.ok().flatten().unwrap_or(0);
        (number(header.device_major()), number(header.device_minor()))
    };
    let kind = match header.entry_type() {
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse if !ends_in_slash(&path) => {
            Kind::File { size: entry.size() }
        }
        EntryType::Regular | EntryType::Directory => Kind::Folder,
        EntryType::Symlink => Kind::Symlink { target: link().unwrap_or_default() },
        EntryType::Link => Kind::HardLink { to: inside(Path::new(&link().unwrap_or_default()))? },
        EntryType::Fifo => Kind::Fifo,
        EntryType::Char => {
            let (major, minor) = device();
            Kind::CharDevice { major, minor }
        }
        EntryType::Block => {
            let (major, minor) = device();
            Kind::BlockDevice { major, minor }
        }
        EntryType::XGlobalHeader => return Ok(None),
        _ => return Err(Error::Refused { path, why: "it is of a kind that only one tar program knows" }),
    };
    let id = |id: io::Result<u64>| id.ok().and_then(|id| u32::try_from(id).ok()).unwrap_or(0);
    Ok(Some(Entry {
        path: inside(&path)?,
        kind,
        mode: header.mode().map_err(broken)? & 0o7777,
        uid: id(header.uid()),
        gid: id(header.gid()),
        mtime,
    }))
}

fn ends_in_slash(path: &Path) -> bool {
    path.as_os_str().as_bytes().ends_with(b"/")
}

/// Without what changes nothing; refused where it leads elsewhere.
fn inside(path: &Path) -> Result<PathBuf> {
    let refused = |why| Error::Refused { path: path.to_owned(), why };
    if path.as_os_str().len() > MAX_PATH {
        return Err(Error::Refused { path: PathBuf::from("a path"), why: "it is longer than any system takes" });
    }
    let mut inside = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => inside.push(part),
            Component::CurDir => {}
            Component::ParentDir => return Err(refused("`..` leads out of the archive")),
            Component::RootDir | Component::Prefix(_) => {
                return Err(refused("it is absolute, and would lead out of the archive"));
            }
        }
    }
    Ok(inside)
}

/// `-1.5` is half a second before the second before 1970.
fn time(decimal: &[u8]) -> Option<(i64, u32)> {
    let decimal = std::str::from_utf8(decimal).ok()?;
    let (whole, fraction) = decimal.split_once('.').unwrap_or((decimal, ""));
    let negative = whole.starts_with('-');
    let seconds: i64 = whole.parse().ok()?;
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let nanoseconds: u32 = digits.parse().ok()?;
    match (negative, nanoseconds) {
        (true, 1..) => Some((seconds.checked_sub(1)?, 1_000_000_000 - nanoseconds)),
        _ => Some((seconds, nanoseconds)),
    }
}

/// What the tar reader says of the stream, apart from what the stream says of itself.
fn broken(error: io::Error) -> Error {
    if error.to_string().contains("malformed pax") {
        let why =
            "a name with a line break stands in a pax header, or that is damaged; `tar --format=gnu` makes another";
        return Error::Broken(why.into());
    }
    match error.kind() {
        io::ErrorKind::Other | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
            Error::Broken(error.to_string())
        }
        io::ErrorKind::UnexpectedEof => Error::Broken("it ends before its end".into()),
        _ => Error::Io(error),
    }
}

struct Counted<R> {
    from: R,
    read: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.read.set(self.read.get() + read as u64);
        Ok(read)
    }
}
