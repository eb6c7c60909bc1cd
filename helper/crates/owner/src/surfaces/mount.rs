//! The instance as a folder.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nixbox_config::{Backend, Instance, Mount};
use nixbox_control::MountStatus;
use nixbox_engine::FileSystem;
use nixbox_mount::{Access, Error, Mounted, Mountpoint, Notices, Options, Unmounted, kernel_nfs};
use nixbox_report::Report;
use nixbox_state::MadeFolders;

use crate::failure;
use crate::stop::{Reason, Stop};

/// A start that takes longer has failed.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    mount: Mount,
    /// The instance's own, where what was made for it is noted.
    folder: PathBuf,
}

/// How the kernel is brought to mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Fuse,
    Nfs,
}

/// A folder to mount over, and to leave as it was found.
pub(crate) struct Prepared {
    mountpoint: Mountpoint,
    made: MadeFolders,
}

pub(crate) struct Folder {
    mounted: Kind,
    prepared: Prepared,
}

enum Kind {
    Fuse(Mounted),
    Nfs(kernel_nfs::Mounted),
}

impl Wanted {
    /// `None` where the instance is not to be mounted.
    pub(crate) fn of(instance: &Instance) -> Option<Self> {
        let mount = instance.mount.clone().filter(|mount| mount.backend != Backend::None)?;
        Some(Self { mount, folder: instance.paths.dir.clone() })
    }

    pub(crate) fn status(&self) -> MountStatus {
        let backend = match self.preflight() {
            Ok(By::Nfs) => "nfs",
            Ok(By::Fuse) | Err(_) => "fuse",
        };
        MountStatus { path: self.mount.path.clone(), backend: backend.into(), read_only: self.mount.read_only }
    }

    pub(crate) fn mount(&self) -> &Mount {
        &self.mount
    }

    fn access(&self) -> Access {
        match (self.mount.allow_other, self.mount.allow_root) {
            (true, _) => Access::All,
            (false, true) => Access::OwnerAndRoot,
            (false, false) => Access::Owner,
        }
    }

    /// What can be told before anything is touched: how it will be mounted, or why it cannot be.
    pub(crate) fn preflight(&self) -> Result<By, Report> {
        let failed = |error| Report::from(failure::mount(&self.mount.path, error));
        if self.mount.backend == Backend::Nfs {
            return kernel_nfs::preflight().map(|()| By::Nfs).map_err(failed);
        }
        match nixbox_mount::preflight(self.access()) {
            Ok(()) => Ok(By::Fuse),
            Err(error @ (Error::NoFuse(_) | Error::NoFusermount)) if self.mount.backend == Backend::Auto => {
                match kernel_nfs::preflight() {
                    Ok(()) => Ok(By::Nfs),
                    Err(nfs) => Err(neither(failed(error), &nfs)),
                }
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// The same for who mounts by FUSE alone.
    pub(crate) fn preflight_by_fuse(&self) -> Result<(), Report> {
        nixbox_mount::preflight(self.access()).map_err(|error| failure::mount(&self.mount.path, error).into())
    }

    /// The folder that is mounted over. `database`: the file without symbolic links, which the caller holds.
    pub(crate) fn prepare(&self, database: &Path) -> Result<Prepared, Report> {
        let path = &self.mount.path;
        let made = MadeFolders::noted_in(&self.folder);
        let left = made.left();
        let mut mountpoint = Mountpoint::prepare(path, self.mount.create, database)
            .map_err(|error| Report::from(failure::mount(path, error)))?;
        adopt(left, &mut mountpoint);
        let noted = made.note(&mountpoint.created);
        let prepared = Prepared { mountpoint, made };
        match noted {
            Ok(()) => Ok(prepared),
            Err(error) => {
                prepared.give_back();
                Err(failure::io(prepared.made.path(), &error).into())
            }
        }
    }

    /// Mounts, and comes back when the mount has been seen to answer. `served`: where the kernel's NFS finds it.
    pub(crate) fn mount_at(
        self,
        database: PathBuf,
        tree: Arc<dyn FileSystem>,
        served: Option<SocketAddr>,
        stop: Stop,
    ) -> Result<Folder, Report> {
        let prepared = self.prepare(&database)?;
        let mounted = match served {
            None => self.by_fuse(database, tree, prepared.path(), stop),
            Some(address) => self.by_nfs(&database, address, prepared.path(), stop),
        };
        match mounted {
            Ok(mounted) => Ok(Folder { mounted, prepared }),
            Err(error) => {
                prepared.give_back();
                Err(failure::mount(&self.mount.path, error).into())
            }
        }
    }

    fn by_fuse(&self, database: PathBuf, tree: Arc<dyn FileSystem>, path: &Path, stop: Stop) -> Result<Kind, Error> {
        let Mount { read_only, uid, gid, .. } = self.mount;
        let options = Options { database, read_only, access: self.access(), uid, gid };
        let on_end = move |end| stop.request(Reason::MountEnded(end));
        let mounted = nixbox_mount::mount(tree, path, &options, on_end)?;
        mounted.prove(ANSWERS_WITHIN)?;
        Ok(Kind::Fuse(mounted))
    }

    fn by_nfs(&self, database: &Path, served: SocketAddr, path: &Path, stop: Stop) -> Result<Kind, Error> {
        let on_end = move || stop.request(Reason::MountEnded(Ok(())));
        let address = reached_from_here(served);
        let mounted = kernel_nfs::mount(address, database, path, self.mount.read_only, on_end)?;
        mounted.prove(ANSWERS_WITHIN)?;
        Ok(Kind::Nfs(mounted))
    }
}

fn neither(mut report: Report, nfs: &Error) -> Report {
    if let Some(failure) = report.failures.first_mut() {
        let why = failure.why.take().unwrap_or_default();
        failure.why = Some(format!("{why}; and by NFS: {nfs}"));
    }
    report
}

/// What listens on every address is reached by loopback.
fn reached_from_here(served: SocketAddr) -> SocketAddr {
    let ip = match served.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, served.port())
}

/// Folders that a killed owner has made are ours to take away now: those of this mountpoint at the end, others at
/// once.
fn adopt(left: Vec<PathBuf>, mountpoint: &mut Mountpoint) {
    let (here, elsewhere): (Vec<_>, Vec<_>) = left.into_iter().partition(|folder| mountpoint.path.starts_with(folder));
    Mountpoint { path: PathBuf::new(), created: elsewhere }.remove_created();
    mountpoint.created.splice(..0, here);
}

impl Prepared {
    /// Without symbolic links.
    pub(crate) fn path(&self) -> &Path {
        &self.mountpoint.path
    }

    pub(crate) fn give_back(&self) {
        self.mountpoint.remove_created();
        self.made.forget();
    }
}

impl Folder {
    pub(crate) fn path(&self) -> &Path {
        self.prepared.path()
    }

    /// By NFS the kernel asks again by itself, each second.
    pub(crate) fn notices(&self) -> Option<Notices> {
        match &self.mounted {
            Kind::Fuse(mounted) => Some(mounted.notices()),
            Kind::Nfs(_) => None,
        }
    }

    pub(crate) fn unmount(self, stop: &Stop) {
        let path = self.path().display().to_string();
        let hurry = || stop.is_hurried();
        let unmounted = match self.mounted {
            Kind::Fuse(mounted) => mounted.unmount(hurry),
            Kind::Nfs(mounted) => mounted.unmount(hurry),
        };
        match unmounted {
            Ok(Unmounted::Cleanly) => tracing::debug!(path, "unmounted"),
            Ok(Unmounted::Already) => tracing::info!(path, "somebody else has unmounted it"),
            Ok(Unmounted::Forced(users)) => {
                let users: Vec<_> = users.iter().map(ToString::to_string).collect();
                tracing::warn!(path, users = users.join(", "), "unmounted while in use");
            }
            Err(error) => tracing::error!(path, %error, "unmounting failed"),
        }
        self.prepared.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_listens_everywhere_is_mounted_by_loopback() {
        let here = |served: &str| served.parse().map(reached_from_here).map(|address| address.to_string());
        assert_eq!(here("0.0.0.0:7").as_deref(), Ok("127.0.0.1:7"));
        assert_eq!(here("[::]:7").as_deref(), Ok("[::1]:7"));
        assert_eq!(here("127.0.0.2:7").as_deref(), Ok("127.0.0.2:7"));
    }
}
