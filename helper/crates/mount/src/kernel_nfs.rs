//! A mount by the kernel's own client of NFS, of what this process serves on loopback: for machines without FUSE. Only
//! root can do so, and the kernel must have been built for it.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::mount::MsFlags;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nixbox_mounts::{detach, export_of};

use crate::error::{Error, Result};
use crate::place::{Place, Unmounted};

/// How often it is looked whether this mount is to be watched any longer.
const LOOK: u16 = 60_000;

pub fn preflight() -> Result<()> {
    nixbox_mounts::can_mount_nfs().map_err(|why| Error::NoNfs(why.into()))
}

/// Dropping it takes the mount away, without grace.
pub struct Mounted {
    place: Place,
    over: Arc<AtomicBool>,
}

/// Mounts what is served at `address` over a prepared mountpoint. `on_end` is called when somebody else has unmounted
/// it.
pub fn mount(
    address: SocketAddr,
    database: &Path,
    mountpoint: &Path,
    read_only: bool,
    on_end: impl FnOnce() + Send + 'static,
) -> Result<Mounted> {
    let refused = |error: io::Error| Error::Refused { reason: error.to_string() };
    let mut flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    flags.set(MsFlags::MS_RDONLY, read_only);
    let source = format!("{}:{}", host(address), export_of(database).display());
    nix::mount::mount(Some(source.as_str()), mountpoint, Some("nfs"), flags, Some(options(address).as_str())).map_err(
        |error| match error {
            Errno::ENODEV => Error::NoNfs("this kernel has no client of NFS".into()),
            Errno::EPERM => Error::NoNfs("mounting is not allowed here".into()),
            error => Error::Refused { reason: error.desc().to_owned() },
        },
    )?;
    let mounted = Mounted { place: Place::of(mountpoint)?, over: Arc::default() };
    mounted.watch(on_end).map_err(refused)?;
    Ok(mounted)
}

fn host(address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(address) => address.ip().to_string(),
        SocketAddr::V6(address) => format!("[{}]", address.ip()),
    }
}

/// Attributes are asked for anew each second, as there are other ways to change them; and an owner that was killed gives
/// its users an error instead of a wait without end.
fn options(address: SocketAddr) -> String {
    let (ip, port) = (address.ip(), address.port());
    let proto = if address.is_ipv6() { "tcp6" } else { "tcp" };
    format!(
        "vers=3,proto={proto},port={port},mountvers=3,mountproto={proto},mountport={port},mountaddr={ip},addr={ip},\
         nolock,noresvport,soft,timeo=100,retrans=2,actimeo=1,sec=sys"
    )
}

impl Mounted {
    pub fn path(&self) -> &Path {
        &self.place.path
    }

    pub fn prove(&self, time: Duration) -> Result<()> {
        self.place.prove(time)
    }

    /// What programs have written is with the kernel until then: it must still be served meanwhile.
    pub fn unmount(self, hurry: impl Fn() -> bool) -> Result<Unmounted> {
        self.over.store(true, Ordering::Release);
        self.place.leave(|| self.place.is_shown(), hurry, || self.force())
    }

    fn force(&self) -> Result<()> {
        let path = &self.place.path;
        detach::lazily(path).map_err(|source| Error::Stale { path: path.clone(), source })
    }

    fn watch(&self, on_end: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let (place, over) = (self.place.clone(), self.over.clone());
        let table = File::open("/proc/self/mountinfo")?;
        thread::Builder::new().name("mounts".into()).stack_size(256 * 1024).spawn(move || {
            if until(&table, &over, || !place.is_shown()) {
                on_end();
            }
        })?;
        Ok(())
    }
}

/// The kernel tells that something was mounted or unmounted by an exceptional condition on the table.
fn until(table: &File, over: &AtomicBool, gone: impl Fn() -> bool) -> bool {
    loop {
        if over.load(Ordering::Acquire) {
            return false;
        }
        if gone() {
            return true;
        }
        let _ = poll(&mut [PollFd::new(table.as_fd(), PollFlags::POLLPRI)], PollTimeout::from(LOOK));
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if !self.over.swap(true, Ordering::AcqRel) && self.place.is_shown() {
            let _ = self.force();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use nix::unistd::geteuid;

    #[test]
    fn the_kernel_is_told_everything_that_it_would_ask_a_portmapper() {
        let v4 = options("127.0.0.1:4321".parse().unwrap());
        for word in ["vers=3", "port=4321", "mountport=4321", "addr=127.0.0.1", "nolock", "soft"] {
            assert!(v4.split(',').any(|option| option == word), "{word} in {v4}");
        }
        assert!(options("[::1]:1".parse().unwrap()).contains("proto=tcp6,"));
        assert_eq!(host("[::1]:1".parse().unwrap()), "[::1]");
    }

    /// Stands in for a mount that the kernel of the test may not have.
    #[test]
    fn an_unmount_by_somebody_else_is_seen() {
        if !geteuid().is_root() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap();
        let nothing = None::<&str>;
        nix::mount::mount(Some("agentfs-test"), &path, Some("tmpfs"), MsFlags::empty(), nothing).unwrap();
        let mounted = Mounted { place: Place::of(&path).unwrap(), over: Arc::default() };
        let (tell, told) = std::sync::mpsc::channel();
        mounted.watch(move || tell.send(()).unwrap()).unwrap();
        assert!(told.recv_timeout(Duration::from_millis(100)).is_err());
        nix::mount::umount2(&path, nix::mount::MntFlags::empty()).unwrap();
        told.recv_timeout(Duration::from_secs(90)).unwrap();
        assert_eq!(mounted.unmount(|| false).unwrap(), Unmounted::Already);
    }
}
