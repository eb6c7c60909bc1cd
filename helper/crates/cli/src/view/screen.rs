//! A terminal that is drawn on, and given back as it was.

use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, AsRawFd};

use nix::libc;
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};

nix::ioctl_read_bad!(size_of, libc::TIOCGWINSZ, libc::winsize);

/// The second screen, without a cursor; and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

pub fn is_terminal() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal() && io::stderr().is_terminal()
}

pub struct Screen {
    before: Termios,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    pub rows: usize,
    pub columns: usize,
}

impl Screen {
    pub fn begin() -> io::Result<Self> {
        let stdin = io::stdin();
        let before = tcgetattr(stdin.as_fd())?;
        let mut keys = before.clone();
        // Keys come one by one, unseen, and none is a signal.
        keys.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG);
        tcsetattr(stdin.as_fd(), SetArg::TCSADRAIN, &keys)?;
        let screen = Self { before };
        screen.show(ENTER)?;
        Ok(screen)
    }

    pub fn size(&self) -> Size {
        let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: the kernel fills it in, or says that this is no terminal.
        let found = unsafe { size_of(io::stdout().as_raw_fd(), &mut size) }.is_ok();
        match found && size.ws_row > 0 && size.ws_col > 0 {
            true => Size { rows: size.ws_row.into(), columns: size.ws_col.into() },
            false => Size { rows: 24, columns: 80 },
        }
    }

    pub fn show(&self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.show(LEAVE);
        let _ = tcsetattr(io::stdin().as_fd(), SetArg::TCSADRAIN, &self.before);
    }
}
