//! A folder seen in the place of another one, by one process and those it starts: in mount namespaces of their own.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::Mode;
use nix::unistd::{getegid, geteuid, write};

/// `shown` is seen at `at`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    pub shown: PathBuf,
    pub at: PathBuf,
}

/// All that is needed between fork and exec, where nothing may be allocated.
pub(super) struct Prepared {
    shown: CString,
    at: CString,
    /// Who is not root may only mount where he is: in a user namespace, in which he stays who he was.
    maps: Option<[(&'static str, String); 3]>,
}

impl View {
    pub(super) fn prepare(&self) -> io::Result<Prepared> {
        let path = |path: &Path| CString::new(path.as_os_str().as_bytes()).map_err(io::Error::from);
        let maps = (!geteuid().is_root()).then(|| {
            let (user, group) = (geteuid(), getegid());
            [
                ("/proc/self/setgroups", "deny".to_owned()),
                ("/proc/self/uid_map", format!("{user} {user} 1")),
                ("/proc/self/gid_map", format!("{group} {group} 1")),
            ]
        });
        Ok(Prepared { shown: path(&self.shown)?, at: path(&self.at)?, maps })
    }
}

impl Prepared {
    /// In the child. What it has open stays what it was.
    pub(super) fn enter(&self) -> nix::Result<()> {
        match &self.maps {
            None => unshare(CloneFlags::CLONE_NEWNS)?,
            Some(maps) => {
                unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)?;
                for (file, text) in maps {
                    let file = open(*file, OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())?;
                    if write(&file, text.as_bytes())? != text.len() {
                        return Err(Errno::EIO);
                    }
                }
            }
        }
        let none = None::<&std::ffi::CStr>;
        // What is mounted elsewhere comes here, too; what is mounted here stays here.
        mount(none, c"/", none, MsFlags::MS_REC | MsFlags::MS_SLAVE, none)?;
        mount(Some(self.shown.as_c_str()), self.at.as_c_str(), none, MsFlags::MS_BIND, none)
    }
}
