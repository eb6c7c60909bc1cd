//! One at a time makes or removes instances of a project.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::fcntl::{Flock, FlockArg};
use nixbox_report::Report;

use crate::context::io_failure;

/// A lock on a folder itself: a file for it would be one more thing to remove with the folder.
pub struct Hold(#[allow(dead_code)] Flock<File>);

impl Hold {
    /// Waits for its turn. The folder is made where it is missing.
    pub fn of(folder: &Path) -> Result<Self, Report> {
        Self::take(folder).map_err(|error| io_failure("use", folder, error))
    }

    fn take(folder: &Path) -> io::Result<Self> {
        loop {
            fs::create_dir_all(folder)?;
            let opened = match File::open(folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened?,
            };
            let held = Flock::lock(opened, FlockArg::LockExclusive).map_err(|(_, errno)| io::Error::from(errno))?;
            // Who had it before may have removed the folder with the last instance.
            let (held_one, there) = (held.metadata()?, fs::metadata(folder));
            if there.is_ok_and(|there| (there.dev(), there.ino()) == (held_one.dev(), held_one.ino())) {
                return Ok(Self(held));
            }
        }
    }
}
