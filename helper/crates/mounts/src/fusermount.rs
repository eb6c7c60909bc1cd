//! fusermount3, the setuid helper through which users other than root mount and unmount.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use nix::cmsg_space;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixAddr, recvmsg, socketpair,
};

/// On NixOS only the wrapper is setuid, and the plain program of a shell's `fuse3` would hide it on PATH.
const WRAPPER: &str = "/run/wrappers/bin/fusermount3";

pub fn find() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&path).filter(|dir| dir.is_absolute()).map(|dir| dir.join("fusermount3"));
    let usual = ["/usr/bin/fusermount3", "/bin/fusermount3"].map(PathBuf::from);
    std::iter::once(PathBuf::from(WRAPPER)).chain(on_path).chain(usual).find(|program| program.is_file())
}

/// Mounts, and hands over the open /dev/fuse that fusermount3 sends back.
pub fn mount(mountpoint: &Path, source: &OsStr, options: &[&str]) -> io::Result<OwnedFd> {
    let program = find().ok_or_else(not_found)?;
    // The child's end must survive its exec, ours must not be there at all.
    let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::empty())?;
    fcntl(&ours, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    let mut option = OsString::from(options.join(","));
    option.push(if options.is_empty() { "fsname=" } else { ",fsname=" });
    option.push(escape(source));
    let child = Command::new(&program)
        .arg("-o")
        .arg(option)
        .arg("--")
        .arg(mountpoint)
        .env("_FUSE_COMMFD", theirs.as_raw_fd().to_string())
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", program.display())))?;
    drop(theirs);
    let received = receive_fd(&ours);
    let output = child.wait_with_output()?;
    received?.ok_or_else(|| io::Error::other(said(&output)))
}

/// `ResourceBusy` when somebody is still in the mount and `lazy` is off.
pub fn unmount(mountpoint: &Path, lazy: bool) -> io::Result<()> {
    let program = find().ok_or_else(not_found)?;
    let output = Command::new(program)
        .arg(if lazy { "-uz" } else { "-u" })
        .arg("--")
        .arg(mountpoint)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = said(&output);
    let kind = if said.contains("busy") { io::ErrorKind::ResourceBusy } else { io::ErrorKind::Other };
    Err(io::Error::new(kind, said))
}

fn not_found() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "fusermount3 was not found")
}

fn said(output: &Output) -> String {
    match String::from_utf8_lossy(&output.stderr).trim() {
        "" => format!("fusermount3 ended with {}", output.status),
        said => said.to_owned(),
    }
}

/// A comma would begin the next option.
fn escape(source: &OsStr) -> OsString {
    let mut out = Vec::with_capacity(source.len());
    for byte in source.as_bytes() {
        if matches!(byte, b',' | b'\\') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    OsString::from_vec(out)
}

/// `None` when the other side closed without sending one.
fn receive_fd(socket: &OwnedFd) -> io::Result<Option<OwnedFd>> {
    let mut byte = [0u8; 1];
    let mut iov = [IoSliceMut::new(&mut byte)];
    let mut control = cmsg_space!([std::os::fd::RawFd; 1]);
    let message = loop {
        match recvmsg::<UnixAddr>(socket.as_raw_fd(), &mut iov, Some(&mut control), MsgFlags::MSG_CMSG_CLOEXEC) {
            Err(Errno::EINTR) => {}
            other => break other?,
        }
    };
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(fds) = part
            && let Some(&fd) = fds.first()
        {
            // SAFETY: the kernel has just made this descriptor for us, and nobody else knows of it.
            return Ok(Some(unsafe { OwnedFd::from_raw_fd(fd) }));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_and_backslashes_in_a_source_are_escaped() {
        assert_eq!(escape(OsStr::new("agentfs:/a,b\\c.db")), OsStr::new("agentfs:/a\\,b\\\\c.db"));
    }
}
