//! A folder seen in the place of another one, by one process and those it starts: in mount namespaces of their own.

use std::ffi::{CStr, CString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI32, Ordering};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::libc;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::Mode;
use nix::unistd::{getegid, geteuid, write};

/// `shown` is seen at `at`, and in it or beside it whatever `binds` say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    pub shown: PathBuf,
    pub at: PathBuf,
    pub binds: Vec<Bind>,
}

/// A file or folder of the machine, as it is without the view, seen at a path that the view has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    pub from: PathBuf,
    pub at: PathBuf,
    pub read_only: bool,
}

/// All that is needed between fork and exec, where nothing may be allocated.
pub(super) struct Prepared {
    shown: CString,
    at: CString,
    binds: Vec<PreparedBind>,
    /// Who is not root may only mount where he is: in a user namespace, in which he stays who he was.
    maps: Option<[(&'static str, String); 3]>,
}

struct PreparedBind {
    from: CString,
    at: CString,
    read_only: bool,
    /// A mount that is not in any folder yet.
    tree: AtomicI32,
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
        let bind = |bind: &Bind| {
            let (from, at) = (path(&bind.from)?, path(&bind.at)?);
            Ok::<_, io::Error>(PreparedBind { from, at, read_only: bind.read_only, tree: AtomicI32::new(-1) })
        };
        let binds = self.binds.iter().map(bind).collect::<Result<_, _>>()?;
        Ok(Prepared { shown: path(&self.shown)?, at: path(&self.at)?, binds, maps })
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
        let none = None::<&CStr>;
        // What is mounted elsewhere comes here, too; what is mounted here stays here.
        mount(none, c"/", none, MsFlags::MS_REC | MsFlags::MS_SLAVE, none)?;
        // Before the view hides what they are taken from.
        self.binds.iter().try_for_each(PreparedBind::take)?;
        mount(Some(self.shown.as_c_str()), self.at.as_c_str(), none, MsFlags::MS_BIND, none)?;
        self.binds.iter().try_for_each(PreparedBind::put)
    }
}

/// `struct mount_attr` of the kernel.
#[repr(C)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns_fd: u64,
}

const OPEN_TREE_CLONE: libc::c_int = 1;
const MOVE_MOUNT_FROM_IT: libc::c_int = 4;
const READ_ONLY: u64 = 1;
const NOTHING: &CStr = c"";

impl PreparedBind {
    fn take(&self) -> nix::Result<()> {
        let flags = OPEN_TREE_CLONE | libc::O_CLOEXEC | libc::AT_RECURSIVE;
        // SAFETY: a path that lives as long as the call, and integers.
        let tree = unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, self.from.as_ptr(), flags) };
        let tree = Errno::result(tree)? as libc::c_int;
        self.tree.store(tree, Ordering::Relaxed);
        if !self.read_only {
            return Ok(());
        }
        let attr = MountAttr { set: READ_ONLY, clear: 0, propagation: 0, userns_fd: 0 };
        let flags = libc::AT_EMPTY_PATH | libc::AT_RECURSIVE;
        // SAFETY: the structure is the kernel's, of the size that is told.
        let done = unsafe {
            libc::syscall(libc::SYS_mount_setattr, tree, NOTHING.as_ptr(), flags, &attr, size_of::<MountAttr>())
        };
        Errno::result(done).map(drop)
    }

    fn put(&self) -> nix::Result<()> {
        let tree = self.tree.load(Ordering::Relaxed);
        let (from, at) = (NOTHING.as_ptr(), self.at.as_ptr());
        // SAFETY: paths that live as long as the call, and integers.
        let done = unsafe { libc::syscall(libc::SYS_move_mount, tree, from, libc::AT_FDCWD, at, MOVE_MOUNT_FROM_IT) };
        Errno::result(done).map(drop)
    }
}
