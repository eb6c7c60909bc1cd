//! Taking a mount away, and what to say when that fails. What is mounted is told by `nixbox_mounts`.

use std::io;
use std::path::Path;

use nixbox_mounts::{MountEntry, detach, mount_at, users_of};
use nixbox_report::{Failure, Report, codes};

/// An AgentFS mount at that path, whoever made it.
pub fn agentfs_at(path: &Path) -> io::Result<Option<MountEntry>> {
    Ok(mount_at(path)?.filter(|mounted| mounted.database().is_some()))
}

pub fn unmount(path: &Path, lazy: bool) -> Result<(), Report> {
    let error = match if lazy { detach::lazily(path) } else { detach::politely(path) } {
        Ok(()) => return Ok(()),
        Err(error) => error,
    };
    let shown = path.display();
    let failure = match error.kind() {
        io::ErrorKind::ResourceBusy => {
            let users: Vec<String> = users_of(path, 5).iter().map(ToString::to_string).collect();
            let who = if users.is_empty() { "a program".to_owned() } else { users.join(", ") };
            Failure::new(&codes::MOUNT_IN_USE, format!("{shown} is in use"))
                .why(format_args!("{who} has a file open or its working folder in it"))
                .help("end that, or use `nixbox-helper unmount --lazy`")
        }
        io::ErrorKind::NotFound => Failure::new(&codes::MOUNT_NO_FUSERMOUNT, format!("{shown} cannot be unmounted"))
            .why(error)
            .help("install the package fuse3, or unmount as root"),
        _ => Failure::new(&codes::MOUNT_FAILED, format!("{shown} cannot be unmounted")).why(error),
    };
    Err(failure.into())
}
