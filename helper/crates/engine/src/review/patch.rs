//! Patches in git's words. What git has no words for is said in lines that `git apply` and `patch` pass over.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::difference::Compared;
use super::hunks::Lines;
use super::{Change, ChangeKind, Side};
use crate::filesystem::Kind;

pub(super) fn write(change: &Change, compared: Compared, lines: Option<Lines<'_>>, patch: &mut Vec<u8>) {
    remark(change, patch);
    let (old, new) = (change.before.and_then(mode), change.after.and_then(mode));
    let to = change.path.as_path();
    let from = change.from.as_deref().unwrap_or(to);
    let says_nothing = compared == Compared::Nothing && old == new && change.from.is_none();
    // A header with nothing after it would be refused by git, and with it all the rest.
    if says_nothing || (old, new) == (None, None) {
        return;
    }
    let (a, b) = (quoted("a/", from), quoted("b/", to));
    line(patch, &[b"diff --git ", &a, b" ", &b]);
    match (old, new) {
        (None, Some(new)) => line(patch, &[b"new file mode ", new]),
        (Some(old), None) => line(patch, &[b"deleted file mode ", old]),
        (Some(old), Some(new)) if old != new => {
            line(patch, &[b"old mode ", old]);
            line(patch, &[b"new mode ", new]);
        }
        _ => {}
    }
    if change.from.is_some() {
        line(patch, &[b"similarity index 100%"]);
        line(patch, &[b"rename from ", &quoted("", from)]);
        line(patch, &[b"rename to ", &quoted("", to)]);
    }
    // Where nothing above says what this is about, git passes over the whole of it. Zeros: the content tells.
    if let (Compared::Binary | Compared::TooLarge, Some(old), true) = (compared, old, old == new) {
        line(patch, &[b"index 0000000..0000000 ", old]);
    }
    let nowhere = |side: Option<&[u8]>, name| if side.is_some() { name } else { b"/dev/null".to_vec() };
    let (a, b) = (nowhere(old, a), nowhere(new, b));
    match (compared, lines) {
        (Compared::Lines { .. }, Some(lines)) => {
            line(patch, &[b"--- ", &a, blank_mark(&a)]);
            line(patch, &[b"+++ ", &b, blank_mark(&b)]);
            lines.unified(patch);
        }
        // Words that git knows for something it cannot apply: it must not take this for an empty file.
        (Compared::Binary, _) => line(patch, &[b"Binary files ", &a, b" and ", &b, b" differ"]),
        (Compared::TooLarge, _) => {
            let size = |side: Option<Side>| side.map_or(0, |side| side.size).to_string();
            let (old, new) = (size(change.before), size(change.after));
            let said = format!(" are too large to show ({old} and {new} bytes) and differ");
            line(patch, &[b"Files ", &a, b" and ", &b, said.as_bytes()]);
        }
        _ => {}
    }
}

/// How git names a kind of file; none where it has no word for it.
fn mode(side: Side) -> Option<&'static [u8]> {
    match side.kind {
        Kind::File if side.perm & 0o100 != 0 => Some(b"100755"),
        Kind::File => Some(b"100644"),
        Kind::Symlink => Some(b"120000"),
        _ => None,
    }
}

fn remark(change: &Change, patch: &mut Vec<u8>) {
    let name = quoted("", &change.path);
    let mut say = |said: &str| line(patch, &[b"# ", &name, b": ", said.as_bytes()]);
    if let (Some(old), Some(new), ChangeKind::Modified { mode: true, .. } | ChangeKind::Renamed { mode: true }) =
        (change.before, change.after, change.kind)
    {
        // Of the permissions git knows one bit, which it keeps for everybody.
        let known = |perm: u16| if perm & 0o100 != 0 { 0o755 } else { 0o644 };
        if old.perm != new.perm
            && (old.kind != Kind::File || [old, new].iter().any(|side| side.perm != known(side.perm)))
        {
            say(&format!("mode {:04o}, was {:04o}", new.perm, old.perm));
        }
        if (old.uid, old.gid) != (new.uid, new.gid) {
            say(&format!("owner {}:{}, was {}:{}", new.uid, new.gid, old.uid, old.gid));
        }
    }
    for (side, said) in [(change.before, "no longer"), (change.after, "now")] {
        let kind = match side.map(|side| side.kind) {
            Some(Kind::Fifo) => "a pipe",
            Some(Kind::Socket) => "a socket",
            Some(Kind::CharDevice | Kind::BlockDevice) => "a device",
            _ => continue,
        };
        say(&format!("{said} {kind}"));
    }
}

fn line(patch: &mut Vec<u8>, parts: &[&[u8]]) {
    parts.iter().for_each(|part| patch.extend_from_slice(part));
    patch.push(b'\n');
}

/// Without it, what follows a blank would be read as a time.
fn blank_mark(name: &[u8]) -> &'static [u8] {
    if name.contains(&b' ') && !name.starts_with(b"\"") { b"\t" } else { b"" }
}

/// As git quotes a path: in C's way, and only one that needs it.
pub(super) fn quoted(side: &str, path: &Path) -> Vec<u8> {
    let bytes = path.as_os_str().as_bytes();
    let is_plain = |byte: &u8| !matches!(byte, b'"' | b'\\' | 0..=31 | 127);
    let mut name = side.as_bytes().to_owned();
    if bytes.iter().all(is_plain) && path.to_str().is_some() {
        name.extend_from_slice(bytes);
        return name;
    }
    name.insert(0, b'"');
    for byte in bytes {
        match byte {
            b'"' | b'\\' => name.extend([b'\\', *byte]),
            b'\n' => name.extend(b"\\n"),
            b'\t' => name.extend(b"\\t"),
            b'\r' => name.extend(b"\\r"),
            b' '..=b'~' => name.push(*byte),
            byte => name.extend(format!("\\{byte:03o}").bytes()),
        }
    }
    name.push(b'"');
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    #[test]
    fn paths_are_quoted_as_git_does() {
        let quote =
            |path: &[u8]| String::from_utf8(quoted("a/", Path::new(OsStr::from_bytes(path)))).unwrap_or_default();
        assert_eq!(quote(b"src/with blank"), "a/src/with blank");
        assert_eq!(quote("d\u{e9}j\u{e0}".as_bytes()), "a/d\u{e9}j\u{e0}");
        assert_eq!(quote(b"say \"it\"\t\\"), r#""a/say \"it\"\t\\""#);
        assert_eq!(quote(b"\xff\n"), r#""a/\377\n""#);
    }
}
