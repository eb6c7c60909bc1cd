//! A network of our own. `tursodb` asks nobody for a token, and answers every page of a browser on this machine; in a
//! network that only this process and its children are in, nobody else can reach it. What listens outside was opened
//! before, and stays where it is.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork, getegid, geteuid};

const PORT: u16 = 7440;

/// Where `tursodb` is to listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Nobody else can reach it.
    pub(super) apart: bool,
}

impl Place {
    /// To be called before there is a second thread: the kernel gives a user a network of his own only then.
    pub(super) fn make() -> Self {
        let apart = is_possible() && leave().is_ok();
        if !apart {
            tracing::warn!(
                "no network of its own can be had here: users of this machine who look for it can reach tursodb past the token"
            );
        }
        Self { apart }
    }

    /// For one start. Where others could reach it, it is at least nowhere that a page in a browser would guess.
    pub(super) fn address(self) -> io::Result<SocketAddr> {
        if self.apart {
            return Ok((Ipv4Addr::LOCALHOST, PORT).into());
        }
        let mut random = [0u8; 3];
        io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut random)?;
        let [a, b, c] = random;
        TcpListener::bind((Ipv4Addr::new(127, a, b, c.clamp(1, 254)), 0))?.local_addr()
    }
}

/// Tried by a child first: one that gets half of it would be nobody, with nothing left that is its own.
fn is_possible() -> bool {
    // SAFETY: there is no other thread yet, so the child may do what this process may.
    match unsafe { fork() } {
        Ok(ForkResult::Child) => {
            let done = leave().is_ok();
            // SAFETY: ends the child at once, without what this process does at its end.
            unsafe { libc::_exit(i32::from(!done)) }
        }
        Ok(ForkResult::Parent { child }) => matches!(waitpid(child, None), Ok(WaitStatus::Exited(_, 0))),
        Err(_) => false,
    }
}

fn leave() -> io::Result<()> {
    let (user, group) = (geteuid(), getegid());
    if unshare(CloneFlags::CLONE_NEWNET).is_err() {
        unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET)?;
        std::fs::write("/proc/self/setgroups", "deny")?;
        std::fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
        std::fs::write("/proc/self/gid_map", format!("{group} {group} 1"))?;
    }
    loopback_up()
}

/// It is down in a new network.
fn loopback_up() -> io::Result<()> {
    let any = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    // SAFETY: all zeroes are a request.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: the descriptor is open, and the request lives for as long as the call.
    match unsafe { libc::ioctl(std::os::fd::AsRawFd::as_raw_fd(&any), libc::SIOCSIFFLAGS, &raw const request) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
