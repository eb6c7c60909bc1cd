//! What children say of themselves, as systemd has it: a datagram with a line `READY=1`.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixCredentials, recvmsg, setsockopt, sockopt::PassCred};

#[derive(Debug)]
pub(crate) struct Notices {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Notices {
    /// In the place of one that a killed process has left there.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let socket = UnixDatagram::bind(path)?;
        socket.set_nonblocking(true)?;
        setsockopt(&socket, PassCred, &true)?;
        Ok(Self { socket, path: path.to_owned() })
    }

    /// The next process that says it is ready, as the kernel knows who it is.
    pub(crate) fn next(&self) -> io::Result<Option<i32>> {
        loop {
            let mut bytes = [0; 4096];
            let mut parts = [IoSliceMut::new(&mut bytes)];
            let mut room = cmsg_space!(UnixCredentials);
            let message =
                recvmsg::<()>(self.socket.as_raw_fd(), &mut parts, Some(&mut room), MsgFlags::MSG_CMSG_CLOEXEC);
            let message = match message {
                Ok(message) => message,
                Err(Errno::EAGAIN) => return Ok(None),
                Err(Errno::EINTR) => continue,
                Err(errno) => return Err(errno.into()),
            };
            let from = message.cmsgs()?.find_map(|part| match part {
                ControlMessageOwned::ScmCredentials(who) => Some(who.pid()),
                _ => None,
            });
            let length = message.bytes;
            if bytes[..length].split(|&byte| byte == b'\n').any(|line| line == b"READY=1") && from.is_some() {
                return Ok(from);
            }
        }
    }
}

impl AsFd for Notices {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Notices {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
