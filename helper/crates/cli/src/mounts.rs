//! What is mounted, read from the kernel's list. A dead mount is never touched to find out that it is dead, but
//! by a thread that may hang in its place.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::mount::{MntFlags, umount2};
use nixbox_report::{Failure, Report, codes};

use crate::patience::within;

/// How long a healthy file system may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mounted {
    pub path: PathBuf,
    pub kind: String,
    /// `agentfs:/path/to/NAME.db` for the mounts that are ours to touch.
    pub source: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    Answers,
    /// The process behind it is gone.
    Dead,
    /// No answer in time, or an odd one.
    Stuck,
}

impl Mounted {
    /// The database behind it, where it is an AgentFS mount.
    pub fn database(&self) -> Option<&Path> {
        let fuse = self.kind == "fuse" || self.kind.starts_with("fuse.");
        self.source.strip_prefix("agentfs:").filter(|_| fuse).map(Path::new)
    }

    pub fn health(&self) -> Health {
        let path = self.path.clone();
        match within(PATIENCE, move || nix::sys::statvfs::statvfs(&path)) {
            Some(Ok(_)) => Health::Answers,
            Some(Err(Errno::ENOTCONN | Errno::ECONNABORTED)) => Health::Dead,
            _ => Health::Stuck,
        }
    }
}

pub fn list() -> io::Result<Vec<Mounted>> {
    // Anybody's mount may have a name that is not UTF-8; ours have none.
    Ok(parse(&String::from_utf8_lossy(&std::fs::read("/proc/self/mountinfo")?)))
}

/// The topmost mount at exactly that path.
pub fn at(path: &Path) -> io::Result<Option<Mounted>> {
    Ok(list()?.into_iter().rev().find(|mounted| mounted.path == path))
}

/// An AgentFS mount at that path, whoever made it.
pub fn agentfs_at(path: &Path) -> io::Result<Option<Mounted>> {
    Ok(at(path)?.filter(|mounted| mounted.database().is_some()))
}

fn parse(mountinfo: &str) -> Vec<Mounted> {
    let one = |line: &str| {
        let (place, what) = line.split_once(" - ")?;
        let mut what = what.split(' ');
        Some(Mounted {
            path: OsString::from_vec(unescape(place.split(' ').nth(4)?)).into(),
            kind: what.next()?.to_owned(),
            source: String::from_utf8_lossy(&unescape(what.next()?)).into_owned(),
        })
    };
    mountinfo.lines().filter_map(one).collect()
}

/// The kernel writes blanks and backslashes as three octal digits.
fn unescape(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let octal = bytes.get(i + 1..i + 4).filter(|_| bytes[i] == b'\\');
        let value = octal.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        out.push(value.unwrap_or(bytes[i]));
        i += if value.is_some() { 4 } else { 1 };
    }
    out
}

/// Takes a mount away: by the system call, and where that is not allowed by `fusermount3`.
pub fn unmount(path: &Path, lazy: bool) -> Result<(), Report> {
    let flags = if lazy { MntFlags::MNT_DETACH } else { MntFlags::empty() };
    match umount2(path, flags | MntFlags::UMOUNT_NOFOLLOW) {
        Ok(()) => Ok(()),
        Err(Errno::EBUSY) => Err(in_use(path)),
        Err(Errno::EPERM) => fusermount(path, lazy),
        Err(errno) => Err(failed(path, errno.desc()).into()),
    }
}

fn fusermount(path: &Path, lazy: bool) -> Result<(), Report> {
    let mut command = Command::new("fusermount3");
    command.arg(if lazy { "-uz" } else { "-u" }).arg("--").arg(path).stdin(Stdio::null());
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            if said.contains("busy") { Err(in_use(path)) } else { Err(failed(path, said).into()) }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Failure::new(&codes::MOUNT_NO_FUSERMOUNT, format!("cannot unmount {}", path.display()))
                .why("`fusermount3` is not installed")
                .help("install the package fuse3, or unmount as root")
                .into())
        }
        Err(error) => Err(failed(path, error).into()),
    }
}

fn failed(path: &Path, why: impl std::fmt::Display) -> Failure {
    Failure::new(&codes::MOUNT_FAILED, format!("cannot unmount {}", path.display())).why(why)
}

fn in_use(path: &Path) -> Report {
    Failure::new(&codes::MOUNT_IN_USE, format!("{} is in use", path.display()))
        .why("a program has a file open or its working folder in it")
        .help("close that program, or use `nixbox-helper unmount --lazy`")
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTINFO: &str = "\
22 1 0:20 / /proc rw,nosuid shared:12 - proc proc rw
71 22 0:44 / /w/my\\040project/mnt rw,nosuid,nodev,relatime shared:2 - fuse agentfs:/w/my\\040project/a.db rw,user_id=0
72 22 0:45 / /other rw - fuse.sshfs host:/x rw
73 22 0:46 / /w/tricky\\134134 rw - fuse.agentfs agentfs:/b.db rw
torn line";

    #[test]
    fn paths_come_out_as_they_are() {
        let all = parse(MOUNTINFO);
        assert_eq!(all.len(), 4);
        assert_eq!(all[1].path, Path::new("/w/my project/mnt"));
        assert_eq!(all[1].database(), Some(Path::new("/w/my project/a.db")));
        assert_eq!(all[3].path, Path::new("/w/tricky\\134"));
    }

    #[test]
    fn only_agentfs_mounts_are_ours() {
        let ours: Vec<_> = parse(MOUNTINFO).into_iter().filter(|m| m.database().is_some()).map(|m| m.path).collect();
        assert_eq!(ours, [Path::new("/w/my project/mnt"), Path::new("/w/tricky\\134")]);
    }

    #[test]
    fn a_live_file_system_answers() {
        let proc = list().expect("mountinfo").into_iter().find(|m| m.path == Path::new("/proc")).expect("/proc");
        assert_eq!(proc.health(), Health::Answers);
        assert_eq!(proc.database(), None);
    }
}
