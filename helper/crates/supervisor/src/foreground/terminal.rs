//! A terminal of a command's own, shown on ours.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::libc;
use nix::pty::{OpenptyResult, Winsize, openpty};
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};

nix::ioctl_read_bad!(size_of, libc::TIOCGWINSZ, Winsize);
nix::ioctl_write_ptr_bad!(resize, libc::TIOCSWINSZ, Winsize);
nix::ioctl_write_int_bad!(take_as_own, libc::TIOCSCTTY);

pub(super) struct Terminal {
    pub(super) ours: OwnedFd,
}

impl Terminal {
    /// Of the size that ours has. Answers also the end that the command gets.
    pub(super) fn make() -> io::Result<(Self, OwnedFd)> {
        let OpenptyResult { master, slave } = openpty(size().as_ref(), None)?;
        for end in [&master, &slave] {
            nix::fcntl::fcntl(end, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC))?;
        }
        Ok((Self { ours: master }, slave))
    }

    pub(super) fn follow_size(&self) {
        if let Some(size) = size() {
            // SAFETY: the descriptor is open, and the size is one.
            let _ = unsafe { resize(self.ours.as_raw_fd(), &size) };
        }
    }
}

fn size() -> Option<Winsize> {
    [libc::STDIN_FILENO, libc::STDOUT_FILENO, libc::STDERR_FILENO].into_iter().find_map(|fd| {
        let mut size = Winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: the kernel fills it in, or says that this is no terminal.
        unsafe { size_of(fd, &mut size) }.ok().map(|_| size)
    })
}

/// In the child: a session of its own, with the terminal that is its standard input.
pub(super) fn own() -> nix::Result<()> {
    nix::unistd::setsid()?;
    // SAFETY: plain integers.
    unsafe { take_as_own(libc::STDIN_FILENO, 0) }.map(drop)
}

/// Our own terminal passes on what is typed as it is, until this is dropped.
pub(super) struct Raw {
    before: Termios,
}

impl Raw {
    /// `None` where standard input is no terminal.
    pub(super) fn begin() -> Option<Self> {
        let stdin = io::stdin();
        let before = tcgetattr(stdin.as_fd()).ok()?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(stdin.as_fd(), SetArg::TCSADRAIN, &raw).ok()?;
        Some(Self { before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin().as_fd(), SetArg::TCSADRAIN, &self.before);
    }
}
