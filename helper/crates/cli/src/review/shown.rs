//! Changes as people and scripts read them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use nixbox_control::{Change, ChangeKind, FileKind, Side};

use crate::output::{Output, Tone};
use crate::verbs::fs::visible;

pub fn letter(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Added => "A",
        ChangeKind::Modified => "M",
        ChangeKind::Deleted => "D",
        ChangeKind::Renamed => "R",
        ChangeKind::TypeChanged => "T",
    }
}

fn tone(kind: ChangeKind) -> Tone {
    match kind {
        ChangeKind::Added => Tone::Good,
        ChangeKind::Deleted => Tone::Bad,
        _ => Tone::Odd,
    }
}

pub fn is_folder(change: &Change) -> bool {
    change.after.or(change.before).is_some_and(|side| side.kind == FileKind::Folder)
}

/// `M  src/main.rs  1.1 KiB → 1.3 KiB`
pub fn line(change: &Change, remark: Option<&str>, output: &Output) -> String {
    let slash = if is_folder(change) { "/" } else { "" };
    let from = match &change.from {
        Some(from) => format!("{}{slash} → ", visible(from.as_os_str())),
        None => String::new(),
    };
    let mark = if change.diverged { output.paint(Tone::Bad, "!") } else { " ".into() };
    let letter = output.paint(tone(change.kind), letter(change.kind));
    let remark = match remark {
        Some(remark) => remark.to_owned(),
        None => remarks(change),
    };
    let remark = if remark.is_empty() { remark } else { format!("  {}", output.paint(Tone::Dim, &remark)) };
    format!("{letter}{mark} {from}{}{slash}{remark}\n", visible(change.path.as_os_str()))
}

fn remarks(change: &Change) -> String {
    let sized = |side: &Side| matches!(side.kind, FileKind::File).then(|| size(side.size));
    let mut said = Vec::new();
    match (&change.before, &change.after) {
        (Some(before), Some(after)) if before.kind != after.kind => {
            said.push(format!("was a {}", crate::verbs::fs::kind(before.kind)));
        }
        (Some(before), Some(after)) => {
            if let (true, Some(old), Some(new)) = (change.content, sized(before), sized(after)) {
                said.push(if old == new { new } else { format!("{old} → {new}") });
            }
            if before.mode != after.mode {
                said.push(format!("mode {:04o} → {:04o}", before.mode, after.mode));
            }
            if (before.uid, before.gid) != (after.uid, after.gid) {
                said.push(format!("owner {}:{} → {}:{}", before.uid, before.gid, after.uid, after.gid));
            }
        }
        (one, other) => said.extend(one.as_ref().or(other.as_ref()).and_then(sized)),
    }
    if change.diverged {
        said.push("changed in the base, too".into());
    }
    said.join(", ")
}

/// `17 B`, `1.5 KiB`, `3.0 MiB`
pub fn size(bytes: u64) -> String {
    let units = [(1u64 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{:.1} {name}", bytes as f64 / *unit as f64),
        None => format!("{bytes} B"),
    }
}

/// One change a record, its fields separated by tabs. See the help of `status`.
pub fn porcelain(change: &Change, zero: bool) -> Vec<u8> {
    let flag = |is: bool, letter| if is { letter } else { "-" };
    let side = |side: &Option<Side>| side.as_ref().map_or("-".to_owned(), |side| side.size.to_string());
    let (content, mode) = (flag(change.content, "c"), flag(change.mode, "m"));
    let mut record = format!(
        "{}{content}{mode}{}\t{}\t{}",
        letter(change.kind),
        flag(change.diverged, "!"),
        side(&change.before),
        side(&change.after)
    )
    .into_bytes();
    for (nth, path) in [Some(&change.path), change.from.as_ref()].into_iter().flatten().enumerate() {
        record.push(if zero && nth > 0 { 0 } else { b'\t' });
        let slash: &[u8] = if is_folder(change) { b"/" } else { b"" };
        match zero {
            true => record.extend([path.as_os_str().as_bytes(), slash].concat()),
            false => record.extend(quoted(path.as_os_str(), slash)),
        }
    }
    record.push(if zero { 0 } else { b'\n' });
    record
}

/// In C's way, where a path has what would be taken for the end of a field.
fn quoted(path: &OsStr, end: &[u8]) -> Vec<u8> {
    let bytes = [path.as_bytes(), end].concat();
    if path.to_str().is_some() && !bytes.iter().any(|byte| byte.is_ascii_control() || b"\"\\".contains(byte)) {
        return bytes;
    }
    let mut quoted = vec![b'"'];
    for byte in bytes {
        match byte {
            b'"' | b'\\' => quoted.extend([b'\\', byte]),
            b'\n' => quoted.extend(b"\\n"),
            b'\t' => quoted.extend(b"\\t"),
            b' '..=b'~' => quoted.push(byte),
            byte => quoted.extend(format!("\\{byte:03o}").bytes()),
        }
    }
    quoted.push(b'"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_round() {
        let said: Vec<_> = [0, 1023, 1536, 3 << 20, 5 << 40].map(size).to_vec();
        assert_eq!(said, ["0 B", "1023 B", "1.5 KiB", "3.0 MiB", "5.0 TiB"]);
    }

    #[test]
    fn records_keep_every_path() {
        let side = Side { kind: FileKind::File, mode: 0o644, uid: 0, gid: 0, size: 7 };
        let change = Change {
            path: "new\tname".into(),
            kind: ChangeKind::Renamed,
            from: Some("old".into()),
            content: false,
            mode: true,
            diverged: false,
            before: Some(side),
            after: Some(side),
        };
        assert_eq!(porcelain(&change, false), b"R-m-\t7\t7\t\"new\\tname\"\told\n");
        assert_eq!(porcelain(&change, true), b"R-m-\t7\t7\tnew\tname\0old\0");
    }
}
