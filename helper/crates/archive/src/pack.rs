//! Entries into a stream.

use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;

use tar::{Builder, EntryType, Header};

use crate::entry::{Entry, Kind};

/// What the fields of a plain header hold, in octal.
const MAX_ID: u32 = 0o777_7777;
const MAX_SIZE: u64 = 0o777_7777_7777;
const MAX_TIME: i64 = 0o777_7777_7777;
const MAX_NAME: usize = 100;

pub struct Pack<W: Write> {
    builder: Builder<W>,
}

impl<W: Write> Pack<W> {
    pub fn new(to: W) -> Self {
        Self { builder: Builder::new(to) }
    }

    /// `content` gives as many bytes as the entry says, for a file.
    pub fn add(&mut self, entry: &Entry, content: impl Read) -> io::Result<()> {
        let mut header = Header::new_ustar();
        let mut more: Vec<(&str, Vec<u8>)> = Vec::new();
        let mut long = Vec::new();
        let path = written(entry);
        header.set_entry_type(kind(&entry.kind));
        header.set_mode(entry.mode & 0o7777);
        header.set_uid(u64::from(entry.uid.min(MAX_ID)));
        header.set_gid(u64::from(entry.gid.min(MAX_ID)));
        if entry.uid > MAX_ID {
            more.push(("uid", entry.uid.to_string().into()));
        }
        if entry.gid > MAX_ID {
            more.push(("gid", entry.gid.to_string().into()));
        }
        let (seconds, nanoseconds) = entry.mtime;
        header.set_mtime(u64::try_from(seconds.clamp(0, MAX_TIME)).unwrap_or(0));
        if nanoseconds != 0 || !(0..=MAX_TIME).contains(&seconds) {
            more.push(("mtime", time(seconds, nanoseconds).into()));
        }
        name(&mut header.as_old_mut().name, &path, EntryType::GNULongName, &mut more, &mut long);
        let mut size = 0;
        match &entry.kind {
            Kind::File { size: of_file } => size = *of_file,
            Kind::Symlink { target } => {
                name(&mut header.as_old_mut().linkname, target.as_bytes(), EntryType::GNULongLink, &mut more, &mut long)
            }
            Kind::HardLink { to } => {
                name(
                    &mut header.as_old_mut().linkname,
                    to.as_os_str().as_bytes(),
                    EntryType::GNULongLink,
                    &mut more,
                    &mut long,
                );
            }
            Kind::CharDevice { major, minor } | Kind::BlockDevice { major, minor } => {
                header.set_device_major(*major)?;
                header.set_device_minor(*minor)?;
            }
            Kind::Folder | Kind::Fifo => {}
        }
        header.set_size(size.min(MAX_SIZE));
        if size > MAX_SIZE {
            more.push(("size", size.to_string().into()));
        }
        header.set_cksum();
        for (kind, name) in long {
            self.long_name(kind, &name)?;
        }
        self.builder.append_pax_extensions(more.iter().map(|(key, value)| (*key, value.as_slice())))?;
        // It pads by what it has read, so that must be what was said.
        self.builder.append(&header, Exactly { content, left: size })
    }

    fn long_name(&mut self, kind: EntryType, name: &[u8]) -> io::Result<()> {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..13].copy_from_slice(b"././@LongLink");
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(name.len() as u64 + 1);
        header.set_cksum();
        self.builder.append(&header, name.chain(&b"\0"[..]))
    }

    /// The end of the archive.
    pub fn finish(self) -> io::Result<W> {
        let mut to = self.builder.into_inner()?;
        to.flush()?;
        Ok(to)
    }
}

/// As tar has it: the top is `./`, folders end in a slash.
fn written(entry: &Entry) -> Vec<u8> {
    let mut path = entry.path.as_os_str().as_bytes().to_owned();
    if path.is_empty() {
        path.push(b'.');
    }
    if entry.kind == Kind::Folder {
        path.push(b'/');
    }
    path
}

/// In its field if it fits there, with room for the zero behind it, and in a pax header if not. One with a line break
/// goes in GNU's way, because some readers look for the end of a pax record there.
fn name(
    field: &mut [u8; MAX_NAME],
    bytes: &[u8],
    kind: EntryType,
    more: &mut Vec<(&'static str, Vec<u8>)>,
    long: &mut Vec<(EntryType, Vec<u8>)>,
) {
    let length = bytes.len().min(MAX_NAME - 1);
    field[..length].copy_from_slice(&bytes[..length]);
    if length == bytes.len() {
        return;
    }
    match bytes.contains(&b'\n') {
        true => long.push((kind, bytes.to_owned())),
        false => more.push((if kind == EntryType::GNULongName { "path" } else { "linkpath" }, bytes.to_owned())),
    }
}

fn kind(kind: &Kind) -> EntryType {
    match kind {
        Kind::File { .. } => EntryType::Regular,
        Kind::Folder => EntryType::Directory,
        Kind::Symlink { .. } => EntryType::Symlink,
        Kind::HardLink { .. } => EntryType::Link,
        Kind::Fifo => EntryType::Fifo,
        Kind::CharDevice { .. } => EntryType::Char,
        Kind::BlockDevice { .. } => EntryType::Block,
    }
}

/// Decimal, to the nanosecond, also before 1970.
fn time(seconds: i64, nanoseconds: u32) -> String {
    let whole = i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
    let sign = if whole < 0 { "-" } else { "" };
    let whole = whole.unsigned_abs();
    let fraction = format!("{:09}", whole % 1_000_000_000);
    format!("{sign}{}.{}", whole / 1_000_000_000, fraction.trim_end_matches('0')).trim_end_matches('.').to_owned()
}

/// A file may grow or shrink while it is read; the archive has said its size already.
struct Exactly<R> {
    content: R,
    left: u64,
}

impl<R: Read> Read for Exactly<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let read = self.content.read(&mut buffer[..most])?;
        if read == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter while it was read"));
        }
        self.left -= read as u64;
        Ok(read)
    }
}
