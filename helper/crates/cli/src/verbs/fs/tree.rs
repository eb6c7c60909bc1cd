//! A tree drawn with lines.

use std::ffi::OsStr;
use std::path::Path;

use nixbox_control::{FileEntry, FileKind};

use super::show::visible;

/// `entries`: depth first, each folder before what is in it.
pub fn drawn(root: &OsStr, entries: &[FileEntry]) -> String {
    let mut text = visible(root) + "\n";
    let depth = |entry: &FileEntry| Path::new(entry.path.as_os_str()).components().count();
    // Is there more to come at that depth, in the folder it is in? Known by looking from the end.
    let mut more = Vec::with_capacity(entries.len());
    let mut open: Vec<bool> = Vec::new();
    for entry in entries.iter().rev() {
        let depth = depth(entry);
        open.resize(depth + 1, false);
        more.push(std::mem::replace(&mut open[depth], true));
    }
    more.reverse();
    let mut above: Vec<bool> = Vec::new();
    for (entry, more) in entries.iter().zip(more) {
        let path = Path::new(entry.path.as_os_str());
        above.truncate(depth(entry).saturating_sub(1));
        for more in &above {
            text += if *more { "│   " } else { "    " };
        }
        text += if more { "├── " } else { "└── " };
        text += &visible(path.file_name().unwrap_or_default());
        match &entry.target {
            Some(target) => text += &format!(" -> {}", visible(target.as_os_str())),
            None if entry.kind == FileKind::Folder => text.push('/'),
            None => {}
        }
        text.push('\n');
        above.push(more);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_lead_to_what_belongs_together() {
        let entries: Vec<_> = ["a", "a/b", "a/b/x", "a/c", "d", "e", "e/f"]
            .map(|path| FileEntry {
                path: path.into(),
                kind: if ["a", "a/b", "e"].contains(&path) { FileKind::Folder } else { FileKind::File },
                mode: 0,
                size: 0,
                ino: 2,
                nlink: 1,
                uid: 0,
                gid: 0,
                mtime: (0, 0),
                ctime: (0, 0),
                target: None,
            })
            .into();
        let expected = "/\n├── a/\n│   ├── b/\n│   │   └── x\n│   └── c\n├── d\n└── e/\n    └── f\n";
        assert_eq!(drawn("/".as_ref(), &entries), expected);
    }
}
