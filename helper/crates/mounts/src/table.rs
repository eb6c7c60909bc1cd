//! What is mounted where, from /proc/self/mountinfo: the one way to ask that cannot hang on a dead mount.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// What the source of an AgentFS mount begins with, here as in upstream's tools.
const SOURCE_PREFIX: &[u8] = b"agentfs:";

/// The source under which a database is mounted, so that mountinfo names it.
pub fn source_of(database: &Path) -> OsString {
    let mut source = OsString::from_vec(SOURCE_PREFIX.to_vec());
    source.push(database);
    source
}

/// The name under which an owner exports a database over NFS to the kernel, which shows it behind the address.
pub fn export_of(database: &Path) -> PathBuf {
    let mut name = OsString::from("/");
    name.push(source_of(database));
    name.into()
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountEntry {
    /// `major:minor`; the minor number of a FUSE mount is also the number of its connection.
    pub device: String,
    pub path: PathBuf,
    pub kind: OsString,
    pub source: OsString,
}

impl MountEntry {
    /// The database behind it, where it is an AgentFS mount, ours or upstream's.
    pub fn database(&self) -> Option<&Path> {
        let source = self.source.as_bytes();
        let source = match self.kind.as_bytes() {
            b"fuse" => source,
            kind if kind.starts_with(b"fuse.") => source,
            // `127.0.0.1:/agentfs:/a.db`
            b"nfs" => source.windows(2).position(|two| two == b":/").map(|at| &source[at + 2..])?,
            _ => return None,
        };
        Some(Path::new(OsStr::from_bytes(source.strip_prefix(SOURCE_PREFIX)?)))
    }
}

/// Every mount that this process sees, in the order in which they were made.
pub fn all() -> io::Result<Vec<MountEntry>> {
    Ok(fs::read("/proc/self/mountinfo")?.split(|byte| *byte == b'\n').filter_map(parse).collect())
}

/// The mount that is seen at exactly this path: of several stacked ones the topmost.
pub fn mount_at(path: &Path) -> io::Result<Option<MountEntry>> {
    Ok(topmost(&fs::read("/proc/self/mountinfo")?, path))
}

fn topmost(mountinfo: &[u8], path: &Path) -> Option<MountEntry> {
    mountinfo.split(|byte| *byte == b'\n').filter_map(parse).rfind(|entry| entry.path == path)
}

/// `36 35 98:0 /root /mountpoint rw,noatime master:1 - fuse agentfs:/a.db rw`, any number of fields before the dash.
fn parse(line: &[u8]) -> Option<MountEntry> {
    let mut fields = line.split(|byte| *byte == b' ');
    let device = String::from_utf8(fields.nth(2)?.to_vec()).ok()?;
    let path = PathBuf::from(unescape(fields.nth(1)?));
    let mut fields = fields.skip_while(|field| *field != b"-").skip(1);
    let kind = unescape(fields.next()?);
    let source = unescape(fields.next()?);
    Some(MountEntry { device, path, kind, source })
}

/// Space, tab, newline and backslash stand as three octal digits after a backslash.
fn unescape(field: &[u8]) -> OsString {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|digits| byte == b'\\' && digits.iter().all(|d| (b'0'..=b'7').contains(d)));
        match octal {
            Some(digits) => {
                out.push(digits.iter().fold(0u8, |value, digit| (value << 3) | (digit - b'0')));
                rest = &after[3..];
            }
            None => {
                out.push(byte);
                rest = after;
            }
        }
    }
    OsString::from_vec(out)
}

/// The number of the FUSE connection behind a device.
pub(crate) fn connection(device: &str) -> Option<&str> {
    device.split_once(':').map(|(_, minor)| minor)
}

/// Whether one path is the other or lies below it.
pub(crate) fn covers(mount: &Path, path: &OsStr) -> bool {
    Path::new(path).starts_with(mount)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[u8] = b"22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
        90 22 0:45 / /a\\040b rw,nosuid shared:2 master:3 - fuse agentfs:/x\\054y\\134z.db rw,user_id=0\n\
        91 90 0:46 / /a\\040b rw - fuse.other top rw\n";

    #[test]
    fn of_stacked_mounts_the_topmost_is_seen() {
        let entry = topmost(TABLE, Path::new("/a b"))
            .map(|entry| (entry.device.clone(), entry.database().is_some(), entry.source));
        assert_eq!(entry, Some(("0:46".into(), false, "top".into())));
    }

    #[test]
    fn escapes_and_optional_fields_are_understood() {
        let line = TABLE.split(|b| *b == b'\n').nth(1).and_then(parse);
        assert_eq!(
            line,
            Some(MountEntry {
                device: "0:45".into(),
                path: "/a b".into(),
                kind: "fuse".into(),
                source: "agentfs:/x,y\\z.db".into()
            })
        );
        assert_eq!(line.as_ref().and_then(MountEntry::database), Some(Path::new("/x,y\\z.db")));
        assert_eq!(connection("0:45"), Some("45"));
    }

    #[test]
    fn the_database_behind_an_nfs_mount_is_named() {
        let line = b"92 22 0:47 / /m rw - nfs 127.0.0.1:/agentfs:/a\\040b.db rw,vers=3,port=1";
        let entry = parse(line);
        assert_eq!(entry.as_ref().and_then(MountEntry::database), Some(Path::new("/a b.db")));
        assert_eq!(export_of(Path::new("/a b.db")), Path::new("/agentfs:/a b.db"));
        let other = parse(b"92 22 0:47 / /m rw - nfs server:/home rw");
        assert_eq!(other.as_ref().and_then(MountEntry::database), None);
    }

    #[test]
    fn the_root_is_a_mount_and_a_folder_in_it_is_not() -> io::Result<()> {
        assert!(mount_at(Path::new("/"))?.is_some());
        assert!(mount_at(Path::new("/no/such/place"))?.is_none());
        Ok(())
    }
}
