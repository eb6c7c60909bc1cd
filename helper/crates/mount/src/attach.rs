//! Getting the kernel to mount: directly as root, through fusermount3 otherwise.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::mount::MsFlags;
use nix::unistd::{getegid, geteuid};
use nixbox_mounts::{fusermount, source_of};

use crate::error::{Error, Result};
use crate::options::{Access, Options};

pub(crate) fn attach(mountpoint: &Path, options: &Options) -> Result<OwnedFd> {
    if geteuid().is_root()
        && let Some(device) = directly(mountpoint, options)?
    {
        return Ok(device);
    }
    let mut words = vec!["nosuid", "nodev", "default_permissions"];
    words.push(if options.read_only { "ro" } else { "rw" });
    words.extend(allow(options));
    fusermount::mount(mountpoint, &source_of(&options.database), &words)
        .map_err(|error| Error::Refused { reason: error.to_string() })
}

/// `None` where root is not allowed to mount, as in some containers.
fn directly(mountpoint: &Path, options: &Options) -> Result<Option<OwnedFd>> {
    let device: File = OpenOptions::new().read(true).write(true).open("/dev/fuse").map_err(Error::NoFuse)?;
    let mut data = format!(
        "fd={},rootmode=40000,user_id={},group_id={},default_permissions",
        device.as_raw_fd(),
        geteuid(),
        getegid()
    );
    if let Some(allow) = allow(options) {
        data.push(',');
        data.push_str(allow);
    }
    let mut flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    flags.set(MsFlags::MS_RDONLY, options.read_only);
    let source = source_of(&options.database);
    match nix::mount::mount(Some(source.as_os_str()), mountpoint, Some("fuse"), flags, Some(data.as_str())) {
        Ok(()) => Ok(Some(device.into())),
        Err(Errno::EPERM) => Ok(None),
        Err(error) => Err(Error::Refused { reason: error.desc().to_owned() }),
    }
}

/// The kernel knows no `allow_root`; the front end turns the others away.
fn allow(options: &Options) -> Option<&'static str> {
    (options.access != Access::Owner).then_some("allow_other")
}
