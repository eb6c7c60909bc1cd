//! Files. Paths are those of the instance: they begin at its root, however they are written, and lead nowhere else.

use std::ffi::OsStr;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use nixbox_engine::{ByPath, Error, Found, Kind, Links};
use nixbox_report::{Failure, Report, codes};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::answer::Answer;
use super::arguments::{Encoding, MOST_ENTRIES, Mkdir, Path, ReadFile, Readdir, Remove, Rename, WriteFile};
use crate::desk::Open;
use crate::failure;

/// What is written at a time.
const PIECE: usize = 256 << 10;

#[derive(Serialize, JsonSchema)]
pub(super) struct Read {
    path: String,
    /// Of the whole file, in bytes
    size: u64,
    offset: u64,
    /// How many bytes of the file were read
    bytes: u64,
    /// `offset` of the call that goes on; null at the end of the file
    next_offset: Option<u64>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Written {
    path: String,
    bytes: u64,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Listed {
    entries: Vec<Entry>,
    /// `after` of the call that goes on; null when these were the last
    next_after: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Entry {
    pub name: String,
    pub kind: &'static str,
    pub size: u64,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Done {
    path: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Renamed {
    from: String,
    to: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Exists {
    exists: bool,
}

/// With upstream's names.
#[derive(Serialize, JsonSchema)]
pub(super) struct Stats {
    ino: u64,
    mode: u32,
    nlink: u32,
    uid: u32,
    gid: u32,
    size: u64,
    atime: i64,
    mtime: i64,
    ctime: i64,
    is_file: bool,
    is_directory: bool,
    is_symlink: bool,
}

pub(super) fn read(asked: ReadFile, open: &Open) -> Result<Answer, Report> {
    let ReadFile { path, encoding, offset, limit } = asked;
    let mut reading = open.files.read(path.as_ref()).map_err(at(&path))?;
    let size = reading.attr().size;
    reading.go_to(offset);
    let limit = limit.clamp(4, ReadFile::MOST) as usize;
    let mut bytes = Vec::new();
    while bytes.len() < limit {
        let piece = reading.next((limit - bytes.len()) as u32).map_err(at(&path))?;
        if piece.is_empty() {
            break;
        }
        bytes.extend(piece);
    }
    let ends = offset.saturating_add(bytes.len() as u64) >= size;
    let (text, taken) = match encoding {
        Encoding::Base64 => (BASE64.encode(&bytes), bytes.len()),
        Encoding::Utf8 => as_text(bytes, ends).ok_or_else(|| not_text(&path))?,
    };
    let next = offset + taken as u64;
    let next_offset = (next < size && taken > 0).then_some(next);
    let note = next_offset
        .map(|next| format!("This is not all: bytes {offset} to {next} of {size}. Go on with offset = {next}."));
    let read = Read { path, size, offset, bytes: taken as u64, next_offset };
    Ok(Answer::new(text, read).note(note).recorded(json!({ "bytes": taken })))
}

/// All of it but a last character that was cut, and how many bytes that is.
fn as_text(bytes: Vec<u8>, ends: bool) -> Option<(String, usize)> {
    match String::from_utf8(bytes) {
        Ok(text) => Some((text.clone(), text.len())),
        Err(error) if error.utf8_error().error_len().is_none() && !ends => {
            let whole = error.utf8_error().valid_up_to();
            let mut bytes = error.into_bytes();
            bytes.truncate(whole);
            Some((String::from_utf8(bytes).ok()?, whole))
        }
        Err(_) => None,
    }
}

pub(super) fn write(asked: WriteFile, open: &Open) -> Result<Answer, Report> {
    let WriteFile { path, content, encoding, create_dirs, append } = asked;
    let bytes = match encoding {
        Encoding::Utf8 => content.into_bytes(),
        Encoding::Base64 => BASE64
            .decode(content.trim_end())
            .map_err(|error| Report::from(Failure::new(&codes::MCP_ARGUMENTS, "`content` is not base64").why(error)))?,
    };
    let parent = std::path::Path::new(&path).parent().filter(|parent| !parent.as_os_str().is_empty());
    if let (true, Some(parent)) = (create_dirs, parent) {
        open.files.make_folder(parent.as_os_str(), true).map_err(at(&parent.to_string_lossy()))?;
    }
    let mut writing = open.files.write(path.as_ref(), append).map_err(at(&path))?;
    for piece in bytes.chunks(PIECE) {
        writing.push(piece).map_err(at(&path))?;
    }
    writing.finish().map_err(at(&path))?;
    let text = format!("Wrote {} bytes to {path}", bytes.len());
    let recorded = json!({ "bytes": bytes.len() });
    Ok(Answer::new(text, Written { path, bytes: bytes.len() as u64 }).recorded(recorded))
}

pub(super) fn list(asked: Readdir, open: &Open) -> Result<Answer, Report> {
    let Readdir { path, limit, after } = asked;
    let found = open.files.stat(path.as_ref(), Links::Follow).map_err(at(&path))?;
    if found.attr.kind != Kind::Directory {
        return Err(at(&path)(Error::Errno(libc::ENOTDIR)));
    }
    let limit = limit.clamp(1, MOST_ENTRIES) as usize;
    let mut walk = open.files.list(path.as_ref(), false).map_err(at(&path))?;
    let behind = |found: &Found| after.as_deref().is_none_or(|after| found.path.as_os_str() > OsStr::new(after));
    let mut entries: Vec<_> = walk.next(limit + 1, behind).map_err(failure::working)?.iter().map(entry).collect();
    let more = entries.len() > limit;
    entries.truncate(limit);
    let next_after = entries.last().filter(|_| more).map(|entry| entry.name.clone());
    let note = next_after.as_ref().map(|after| format!("There are more; go on with after = {after:?}"));
    let names: Vec<_> = entries.iter().map(|entry| &entry.name).collect();
    let text = serde_json::to_string_pretty(&names).unwrap_or_default();
    let recorded = json!({ "entries": entries.len() });
    Ok(Answer::new(text, Listed { entries, next_after }).note(note).recorded(recorded))
}

pub(super) fn make_folder(asked: Mkdir, open: &Open) -> Result<Answer, Report> {
    let Mkdir { path, parents } = asked;
    open.files.make_folder(path.as_ref(), parents).map_err(at(&path))?;
    done(format!("Created directory: {path}"), Done { path }, &open.files)
}

pub(super) fn remove(asked: Remove, open: &Open) -> Result<Answer, Report> {
    let Remove { path, recursive } = asked;
    let removed = match recursive {
        true => open.files.remove(path.as_ref(), true),
        false => open.files.remove_one(path.as_ref()),
    };
    removed.map_err(at(&path))?;
    done(format!("Removed: {path}"), Done { path }, &open.files)
}

/// To just that path: never into a folder that is there, which a caller would then not find where it was sent.
pub(super) fn rename(asked: Rename, open: &Open) -> Result<Answer, Report> {
    let Rename { from, to } = asked;
    open.files.stat(from.as_ref(), Links::Keep).map_err(at(&from))?;
    if open.files.stat(to.as_ref(), Links::Follow).is_ok_and(|found| found.attr.kind == Kind::Directory) {
        return Err(at(&to)(Error::Errno(libc::EEXIST)));
    }
    open.files.move_to(from.as_ref(), to.as_ref()).map_err(at(&to))?;
    done(format!("Renamed {from} to {to}"), Renamed { from, to }, &open.files)
}

pub(super) fn stat(asked: Path, open: &Open) -> Result<Answer, Report> {
    let attr = open.files.stat(asked.path.as_ref(), Links::Follow).map_err(at(&asked.path))?.attr;
    let stats = Stats {
        ino: attr.ino,
        mode: attr.kind.mode_bits() | u32::from(attr.perm),
        nlink: attr.nlink,
        uid: attr.uid,
        gid: attr.gid,
        size: attr.size,
        atime: attr.atime.sec,
        mtime: attr.mtime.sec,
        ctime: attr.ctime.sec,
        is_file: attr.kind == Kind::File,
        is_directory: attr.kind == Kind::Directory,
        is_symlink: attr.kind == Kind::Symlink,
    };
    Ok(Answer::new(serde_json::to_string_pretty(&stats).unwrap_or_default(), stats))
}

pub(super) fn access(asked: Path, open: &Open) -> Result<Answer, Report> {
    let exists = match open.files.stat(asked.path.as_ref(), Links::Follow) {
        Ok(_) => true,
        Err(error) if matches!(error.errno(), libc::ENOENT | libc::ENOTDIR | libc::ELOOP) => false,
        Err(error) => return Err(at(&asked.path)(error)),
    };
    let text = json!({ "exists": exists });
    Ok(Answer::new(text.to_string(), Exists { exists }).recorded(text))
}

/// A change that was done in one go: on disk when that is told.
fn done(text: String, structured: impl Serialize, files: &ByPath) -> Result<Answer, Report> {
    files.sync().map_err(failure::working)?;
    Ok(Answer::new(text, structured))
}

pub(super) fn entry(found: &Found) -> Entry {
    Entry { name: found.path.to_string_lossy().into_owned(), kind: word(found.attr.kind), size: found.attr.size }
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::Directory => "directory",
        Kind::Symlink => "symlink",
        Kind::Fifo => "fifo",
        Kind::Socket => "socket",
        Kind::CharDevice => "char-device",
        Kind::BlockDevice => "block-device",
    }
}

pub(super) fn at(path: &str) -> impl Fn(Error) -> Report {
    let path = PathBuf::from(path);
    move |error| failure::file(&path, error)
}

fn not_text(path: &str) -> Report {
    Failure::new(&codes::MCP_NOT_TEXT, format!("{path} is not text here"))
        .why("its bytes are not UTF-8, or `offset` lies within a character")
        .help("read it with encoding = \"base64\", or at an offset that `next_offset` has named")
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_character_waits_for_the_next_part() {
        let bytes = "aé".as_bytes();
        assert_eq!(as_text(bytes.to_vec(), true), Some(("aé".into(), 3)));
        assert_eq!(as_text(bytes[..2].to_vec(), false), Some(("a".into(), 1)));
        // At the end of the file nothing more can come.
        assert_eq!(as_text(bytes[..2].to_vec(), true), None);
        assert_eq!(as_text(bytes[2..].to_vec(), false), None);
        assert_eq!(as_text(vec![b'a', 0xff, b'b'], false), None);
    }
}
