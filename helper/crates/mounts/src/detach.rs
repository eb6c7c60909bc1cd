//! Taking a mount away: politely, or from under those who still use it.

use std::fs;
use std::io;
use std::path::Path;

use nix::errno::Errno;
use nix::mount::{MntFlags, umount2};

use crate::fusermount;
use crate::table::connection;

/// Fails with `ResourceBusy` while somebody is in it. The kernel first writes back what it still holds.
pub fn politely(path: &Path) -> io::Result<()> {
    match umount2(path, MntFlags::UMOUNT_NOFOLLOW) {
        Err(Errno::EPERM) => fusermount::unmount(path, false),
        other => Ok(other?),
    }
}

/// Out of the tree at once; those who still have a file open keep it until the connection ends.
pub fn lazily(path: &Path) -> io::Result<()> {
    match umount2(path, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
        Err(Errno::EPERM) => fusermount::unmount(path, true),
        other => Ok(other?),
    }
}

/// Ends the connection, so that whoever still uses the mount gets an error instead of waiting. Root can do so with the
/// unmount itself; others only where the control filesystem is mounted, else it ends with this process.
pub fn forcibly(path: &Path, device: &str) -> io::Result<()> {
    let _ = abort(device);
    let flags = MntFlags::MNT_FORCE | MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW;
    match umount2(path, flags) {
        Ok(()) => Ok(()),
        Err(_) => lazily(path),
    }
}

/// Needs the control filesystem at its usual place.
pub fn abort(device: &str) -> io::Result<()> {
    let number = connection(device).ok_or(io::ErrorKind::InvalidInput)?;
    fs::write(format!("/sys/fs/fuse/connections/{number}/abort"), "1")
}
