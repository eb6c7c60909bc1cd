//! The instance as a folder.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nixbox_config::{Backend, Instance, Mount};
use nixbox_control::MountStatus;
use nixbox_engine::FileSystem;
use nixbox_mount::{Access, Mounted, Mountpoint, Notices, Options, Unmounted};
use nixbox_report::Report;

use crate::failure;
use crate::folders::Made;
use crate::stop::{Reason, Stop};

/// A start that takes longer has failed.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    mount: Mount,
    note: PathBuf,
}

pub(crate) struct Folder {
    mounted: Mounted,
    mountpoint: Mountpoint,
    note: PathBuf,
}

impl Wanted {
    /// `None` where the instance is not to be mounted.
    pub(crate) fn of(instance: &Instance) -> Option<Self> {
        let mount = instance.mount.clone().filter(|mount| mount.backend != Backend::None)?;
        Some(Self { mount, note: instance.paths.dir.join("made-folders.json") })
    }

    pub(crate) fn status(&self) -> MountStatus {
        // FUSE is all that `auto` can choose today.
        MountStatus { path: self.mount.path.clone(), backend: "fuse".into(), read_only: self.mount.read_only }
    }

    pub(crate) fn read_only(&self) -> bool {
        self.mount.read_only
    }

    fn access(&self) -> Access {
        match (self.mount.allow_other, self.mount.allow_root) {
            (true, _) => Access::All,
            (false, true) => Access::OwnerAndRoot,
            (false, false) => Access::Owner,
        }
    }

    /// What can be told before anything is touched.
    pub(crate) fn preflight(&self) -> Result<(), Report> {
        nixbox_mount::preflight(self.access()).map_err(|error| failure::mount(&self.mount.path, error).into())
    }

    /// Mounts, and comes back when the mount has been seen to answer. `database`: the file without symbolic links.
    pub(crate) fn mount(self, database: PathBuf, tree: Arc<dyn FileSystem>, stop: Stop) -> Result<Folder, Report> {
        let path = &self.mount.path;
        let failed = |error| Report::from(failure::mount(path, error));
        let made = Made::noted_in(&self.note);
        let left = made.left();
        let mut mountpoint = Mountpoint::prepare(path, self.mount.create, &database).map_err(failed)?;
        adopt(left, &mut mountpoint);
        let noted = made.note(&mountpoint.created).map_err(|error| Report::from(failure::io(&self.note, &error)));
        let options = Options {
            database,
            read_only: self.mount.read_only,
            access: self.access(),
            uid: self.mount.uid,
            gid: self.mount.gid,
        };
        let on_end = move |end| stop.request(Reason::MountEnded(end));
        let mounted = noted.and_then(|()| {
            let mounted = nixbox_mount::mount(tree, &mountpoint.path, &options, on_end).map_err(failed)?;
            mounted.prove(ANSWERS_WITHIN).map_err(failed)?;
            Ok(mounted)
        });
        match mounted {
            Ok(mounted) => Ok(Folder { mounted, mountpoint, note: self.note }),
            Err(report) => {
                mountpoint.remove_created();
                made.forget();
                Err(report)
            }
        }
    }
}

/// Folders that a killed owner has made are ours to take away now: those of this mountpoint at the end, others at
/// once.
fn adopt(left: Vec<PathBuf>, mountpoint: &mut Mountpoint) {
    let (here, elsewhere): (Vec<_>, Vec<_>) = left.into_iter().partition(|folder| mountpoint.path.starts_with(folder));
    Mountpoint { path: PathBuf::new(), created: elsewhere }.remove_created();
    mountpoint.created.splice(..0, here);
}

impl Folder {
    pub(crate) fn path(&self) -> &std::path::Path {
        self.mounted.path()
    }

    pub(crate) fn notices(&self) -> Notices {
        self.mounted.notices()
    }

    pub(crate) fn unmount(self, stop: &Stop) {
        let path = self.mounted.path().display().to_string();
        match self.mounted.unmount(|| stop.is_hurried()) {
            Ok(Unmounted::Cleanly) => tracing::debug!(path, "unmounted"),
            Ok(Unmounted::Already) => tracing::info!(path, "somebody else has unmounted it"),
            Ok(Unmounted::Forced(users)) => {
                let users: Vec<_> = users.iter().map(ToString::to_string).collect();
                tracing::warn!(path, users = users.join(", "), "unmounted while in use");
            }
            Err(error) => tracing::error!(path, %error, "unmounting failed"),
        }
        self.mountpoint.remove_created();
        Made::noted_in(&self.note).forget();
    }
}
