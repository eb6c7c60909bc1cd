//! What children say of themselves, as systemd has it: a datagram of lines, such as `READY=1`.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixCredentials, recvmsg, setsockopt, sockopt::PassCred};

/// What a child says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    Ready,
    /// What it runs is started anew, for this reason.
    Anew(String),
    /// What it runs has ended so, and it waits for a reason to start that anew.
    Rests(String),
}

impl Notice {
    /// Says it at the socket of who has started this process.
    pub fn tell(&self, at: &Path) -> io::Result<()> {
        // A line is a line.
        let plain = |text: &String| text.replace(['\n', '\0'], " ");
        let text = match self {
            Self::Ready => "READY=1".to_owned(),
            Self::Anew(why) => format!("RELOADING=1\nSTATUS={}", plain(why)),
            Self::Rests(how) => format!("X_RESTS=1\nSTATUS={}", plain(how)),
        };
        UnixDatagram::unbound()?.send_to(text.as_bytes(), at).map(drop)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let lines = || bytes.split(|&byte| byte == b'\n');
        let has = |wanted: &[u8]| lines().any(|line| line == wanted);
        let status = lines().find_map(|line| line.strip_prefix(b"STATUS=")).unwrap_or_default();
        let status = || String::from_utf8_lossy(status).into_owned();
        match () {
            () if has(b"READY=1") => Some(Self::Ready),
            () if has(b"RELOADING=1") => Some(Self::Anew(status())),
            () if has(b"X_RESTS=1") => Some(Self::Rests(status())),
            () => None,
        }
    }
}

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

    /// The next that a process says, as the kernel knows who it is.
    pub(crate) fn next(&self) -> io::Result<Option<(i32, Notice)>> {
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
            if let (Some(from), Some(notice)) = (from, Notice::read(&bytes[..length])) {
                return Ok(Some((from, notice)));
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_said_is_heard_with_who_said_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notices");
        let notices = Notices::at(&path).unwrap();
        let me = std::process::id() as i32;
        let all = [Notice::Ready, Notice::Anew("a b changed".into()), Notice::Rests("exit code 3".into())];
        for notice in &all {
            notice.tell(&path).unwrap();
            assert_eq!(notices.next().unwrap(), Some((me, notice.clone())));
        }
        // A name may hold anything, and says no more than it says.
        Notice::Anew("a\nREADY=1".into()).tell(&path).unwrap();
        assert_eq!(notices.next().unwrap(), Some((me, Notice::Anew("a READY=1".into()))));
        let other = UnixDatagram::unbound().unwrap();
        other.send_to(b"WATCHDOG=1", &path).unwrap();
        assert_eq!(notices.next().unwrap(), None);
    }
}
