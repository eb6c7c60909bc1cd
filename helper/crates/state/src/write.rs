use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use serde::{Serialize, de::DeserializeOwned};

use crate::process::Process;

/// Replaces `path` with `bytes` so that a reader sees the old content or the new, never a part, also after a
/// crash: temp file, fsync, rename, fsync of the folder (without the last the rename itself can be lost).
pub fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    replace(path, bytes, mode, true)
}

/// As `write_atomic`, without waiting for the disk: for what says how things are now (a runtime record, a token) and
/// means nothing after a crash of the machine. The waiting would cost more than all else that a start does.
pub fn publish(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    replace(path, bytes, mode, false)
}

/// Takes away what killed processes had begun to put in the place of `path`. For whoever begins to write it, in a folder
/// of this machine's own: a process of another one is none here.
pub fn clear_begun(path: &Path) {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else { return };
    let prefix = format!(".{}.", name.to_string_lossy());
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let begun = entry.file_name();
        let writer = begun.to_str().and_then(|begun| begun.strip_prefix(&prefix)?.strip_suffix(".tmp")?.parse().ok());
        if writer.is_some_and(|writer| matches!(Process::of(writer), Ok(None))) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn replace(path: &Path, bytes: &[u8], mode: u32, durable: bool) -> io::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
    let temp = dir.join(format!(".{name}.{}.tmp", std::process::id()));
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&temp)?;
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.write_all(bytes)?;
        if durable {
            file.sync_all()?;
        }
        fs::rename(&temp, path)?;
        if durable { File::open(dir)?.sync_all() } else { Ok(()) }
    })();
    if written.is_err() {
        let _ = fs::remove_file(&temp);
    }
    written
}

pub fn write_json(path: &Path, value: &impl Serialize, mode: u32) -> io::Result<()> {
    write_atomic(path, &to_json(value)?, mode)
}

pub fn publish_json(path: &Path, value: &impl Serialize, mode: u32) -> io::Result<()> {
    publish(path, &to_json(value)?, mode)
}

fn to_json(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(io::Error::other)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// `None` where there is no such file.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    // A pipe that was put there would be waited for.
    let mut options = OpenOptions::new();
    let file = options.read(true).custom_flags(nix::libc::O_NONBLOCK).open(path);
    match file.and_then(io::read_to_string) {
        Ok(text) => Ok(Some(serde_json::from_str(&text)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A folder that only its owner can enter. One that exists must already be ours and closed to others: a runtime
/// folder below /tmp could have been put there by somebody else.
pub fn create_private_dir(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let meta = fs::symlink_metadata(path)?;
    if !meta.is_dir() {
        return Err(io::Error::new(io::ErrorKind::NotADirectory, "it is not a folder"));
    }
    if meta.uid() != nix::unistd::geteuid().as_raw() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it belongs to another user"));
    }
    if meta.mode() & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_whole_files_and_leaves_no_temporary_one() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("record.json");
        write_json(&path, &1, 0o600)?;
        write_json(&path, &"two", 0o600)?;
        assert_eq!(read_json::<String>(&path)?.as_deref(), Some("two"));
        publish_json(&path, &"three", 0o600)?;
        assert_eq!(read_json::<String>(&path)?.as_deref(), Some("three"));
        assert_eq!(fs::metadata(&path)?.mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path())?.count(), 1);
        Ok(())
    }

    #[test]
    fn what_a_killed_writer_had_begun_goes_and_a_living_ones_stays() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let begun = |name: &str| dir.path().join(name);
        // No number of a process is that large.
        let (killed, living, other) =
            (begun(".a.json.99999999.tmp"), begun(".a.json.1.tmp"), begun(".b.json.99999999.tmp"));
        for path in [&killed, &living, &other] {
            fs::write(path, "{")?;
        }
        clear_begun(&begun("a.json"));
        assert!(!killed.exists() && living.exists() && other.exists());
        Ok(())
    }

    #[test]
    fn a_missing_record_is_none_and_a_torn_one_is_an_error() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("record.json");
        assert!(read_json::<u8>(&path)?.is_none());
        fs::write(&path, "{")?;
        assert!(read_json::<u8>(&path).is_err());
        Ok(())
    }

    #[test]
    fn a_failed_write_keeps_the_old_content() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("record");
        fs::create_dir(&path)?;
        assert!(write_atomic(&path, b"x", 0o600).is_err());
        assert_eq!(fs::read_dir(dir.path())?.count(), 1);
        Ok(())
    }

    #[test]
    fn a_private_folder_is_closed_and_never_a_link() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("run/nixbox");
        create_private_dir(&path)?;
        assert_eq!(fs::metadata(&path)?.mode() & 0o777, 0o700);
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link)?;
        assert!(create_private_dir(&link).is_err());
        Ok(())
    }
}
