//! Entries for people and for pipes.

use std::ffi::OsStr;
use std::io::IsTerminal;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nixbox_control::{FileEntry, FileKind, FilesRequest, Request};
use nixbox_report::Report;

use super::answer::{Entry, Listed, kind, seconds, text};
use crate::asking::Asked;
use crate::output::{Output, Tone, harmless};
use crate::times;

pub fn entries(asked: &Asked, request: FilesRequest) -> Result<Vec<FileEntry>, Report> {
    let mut entries = Vec::new();
    asked.ask(&Request::Files(request))?.lines(|entry| {
        entries.push(entry);
        Ok(true)
    })?;
    Ok(entries)
}

/// `below`: where paths are to begin, when not in the folder itself.
pub fn listing(
    asked: &Asked,
    request: FilesRequest,
    below: Option<&OsStr>,
    table: bool,
    output: &Output,
) -> Result<(), Report> {
    let whole = |mut entry: FileEntry| {
        if let Some(below) = below {
            entry.path = Path::new("/").join(below).join(entry.path.as_os_str()).into();
        }
        entry
    };
    if output.json {
        let found = entries(asked, request)?.into_iter().map(|entry| Entry::new(whole(entry)));
        return output.json(Listed { entries: found.collect() });
    }
    if table || (below.is_none() && std::io::stdout().is_terminal()) {
        return rows(entries(asked, request)?, output);
    }
    // As it comes: a tree may be of any size.
    asked.ask(&Request::Files(request))?.lines(|entry| {
        let mut line = whole(entry).path.0.as_bytes().to_owned();
        line.push(b'\n');
        output.open_data(line)
    })
}

fn rows(entries: Vec<FileEntry>, output: &Output) -> Result<(), Report> {
    let row = |entry: FileEntry| {
        let mut name = visible(entry.path.as_os_str());
        match (&entry.target, entry.kind) {
            (Some(target), _) => name += &format!(" -> {}", visible(target.as_os_str())),
            (None, FileKind::Folder) => name.push('/'),
            _ => {}
        }
        let modified = times::for_tables(seconds(entry.mtime));
        vec![mode(&entry).into(), entry.size.to_string().into(), modified.into(), name.into()]
    };
    output.table(&["MODE", "SIZE", "MODIFIED", "NAME"], entries.into_iter().map(row).collect())
}

pub fn one(entry: FileEntry, output: &Output) -> Result<bool, Report> {
    if output.json {
        return output.json(Entry::new(entry)).map(|()| true);
    }
    let mut page = String::new();
    let mut field = |name: &str, value: &str| {
        page += &format!("{} {value}\n", output.paint(Tone::Dim, &format!("{name:<9}")));
    };
    field("path", &visible(entry.path.as_os_str()));
    field("kind", kind(entry.kind));
    if let Some(target) = &entry.target {
        field("leads to", &visible(target.as_os_str()));
    }
    field("size", &entry.size.to_string());
    field("mode", &format!("{:04o} {}", entry.mode, mode(&entry)));
    field("owner", &format!("{}:{}", entry.uid, entry.gid));
    field("links", &entry.nlink.to_string());
    field("inode", &entry.ino.to_string());
    field("modified", &times::rfc3339(seconds(entry.mtime)));
    field("changed", &times::rfc3339(seconds(entry.ctime)));
    output.open_data(page)
}

pub fn visible(name: &OsStr) -> String {
    harmless(&text(name))
}

/// `-rw-r--r--`
fn mode(entry: &FileEntry) -> String {
    let kind = match entry.kind {
        FileKind::File => '-',
        FileKind::Folder => 'd',
        FileKind::Link => 'l',
        FileKind::Fifo => 'p',
        FileKind::Socket => 's',
        FileKind::CharDevice => 'c',
        FileKind::BlockDevice => 'b',
    };
    let mut letters = String::from(kind);
    for (shift, special, with, without) in [(6, 0o4000, 's', 'S'), (3, 0o2000, 's', 'S'), (0, 0o1000, 't', 'T')] {
        let bits = entry.mode >> shift;
        letters.push(if bits & 4 != 0 { 'r' } else { '-' });
        letters.push(if bits & 2 != 0 { 'w' } else { '-' });
        letters.push(match (entry.mode & special != 0, bits & 1 != 0) {
            (true, true) => with,
            (true, false) => without,
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    letters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_read_as_ls_has_them() {
        let entry = |kind, mode| FileEntry {
            path: "f".into(),
            kind,
            mode,
            size: 0,
            ino: 2,
            nlink: 1,
            uid: 0,
            gid: 0,
            mtime: (0, 0),
            ctime: (0, 0),
            target: None,
        };
        assert_eq!(mode(&entry(FileKind::File, 0o644)), "-rw-r--r--");
        assert_eq!(mode(&entry(FileKind::Folder, 0o1777)), "drwxrwxrwt");
        assert_eq!(mode(&entry(FileKind::File, 0o6750)), "-rwsr-s---");
        assert_eq!(mode(&entry(FileKind::File, 0o4600)), "-rwS------");
    }
}
