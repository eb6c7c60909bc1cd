//! Where a command finds the instance, and what it finds in it of the machine.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use nixbox_config::{Instance, Mode};
use nixbox_control::Status;
use nixbox_report::{Failure, Report, codes};
use nixbox_supervisor::{Bind, View};

use crate::context::{Context, here};
use crate::presence::{self, Presence, presence};

/// Where a command finds the instance.
pub(super) struct Place {
    pub mount: PathBuf,
    /// The folder that the instance is seen at.
    pub root: PathBuf,
    pub view: Option<View>,
}

impl Place {
    pub fn of(instance: &Instance) -> Result<Self, Report> {
        let status = match presence(instance, Duration::from_secs(5))? {
            Presence::Here(status) if status.is_ready() => status,
            Presence::Here(_) => {
                return Err(Failure::new(&codes::OWNER_NOT_READY, format!("`{}` is not ready", instance.name))
                    .why("its owner is starting or stopping")
                    .help(format!("wait for it with `nixbox-helper wait {}`", instance.name))
                    .into());
            }
            Presence::Nobody => {
                let name = &instance.name;
                return Err(presence::not_running(name)
                    .help(format!("bring it up with `nixbox-helper up -d {name}`"))
                    .into());
            }
            Presence::Silent(holder) => return Err(presence::silent(&instance.name, holder.as_ref()).into()),
        };
        let Some(mount) = mounted(&status) else {
            return Err(Failure::new(&codes::MOUNT_NOT_MOUNTED, format!("`{}` is not mounted", instance.name))
                .why("a command sees an instance through its mount")
                .help("give it a `mount` in the configuration")
                .into());
        };
        let Some(base) = &instance.base else { return Ok(Self { root: mount.clone(), mount, view: None }) };
        // As the kernel names it, which is what the command sees of itself.
        let root = base.path.canonicalize().unwrap_or_else(|_| base.path.clone());
        let view = Some(View { shown: mount.clone(), at: root.clone(), binds: Vec::new() });
        Ok(Self { mount, root, view })
    }

    /// What is bound is put where something of its kind is; where nothing is, in the instance, that is made there.
    pub fn bind(&mut self, binds: &[Bind], instance: &Instance, context: &Context) -> Result<(), Report> {
        for bind in binds {
            let bind = Bind { at: self.root.join(&bind.at), ..bind.clone() };
            let is_folder = bind.from.is_dir();
            let kind = if is_folder { "folder" } else { "file" };
            let cannot = |why: String, help: String| {
                let what = format!("{} cannot be seen there", bind.from.display());
                Failure::new(&codes::RUN_BIND, what).why(why).help(help)
            };
            let Some(view) = &mut self.view else {
                return Err(Failure::new(&codes::RUN_BIND, "nothing can be bound without a base")
                    .help("give the instance a `base`")
                    .into());
            };
            let below = bind.at.strip_prefix(&self.root).ok();
            let there = below.map_or_else(|| bind.at.clone(), |below| self.mount.join(below));
            let finds_none = format!("the command finds no {kind} at {}", bind.at.display());
            if below.is_some() && !there.exists() {
                if instance.mode == Mode::Direct {
                    let help = format!("make the {kind} there, or name one that is there");
                    return Err(cannot(
                        format!("{finds_none}, and what is made there is made in the real folder"),
                        help,
                    )
                    .into());
                }
                make(&there, is_folder, &self.mount).map_err(|error| {
                    cannot(
                        format!("{finds_none}, and none can be made there: {error}"),
                        format!("name a {kind} that is there"),
                    )
                })?;
                context.output.note(format!(
                    "{}: made in {}, for there was no such {kind}",
                    bind.at.display(),
                    instance.name
                ));
            } else if !there.exists() || there.is_dir() != is_folder {
                let help = format!("name a {kind} that is there; it is hidden, and stays as it is");
                return Err(cannot(finds_none, help).into());
            }
            view.binds.push(bind);
        }
        Ok(())
    }

    /// Where to begin: as asked for, else where we are, if that is seen inside.
    pub fn folder(&self, asked: Option<&Path>) -> Result<PathBuf, Report> {
        // Without the slash that joining nothing leaves at the end.
        let folder = |below: &Path| self.root.join(below).components().collect();
        if let Some(asked) = asked {
            return Ok(folder(asked));
        }
        let here = here()?;
        let below = here.strip_prefix(&self.root).or_else(|_| here.strip_prefix(&self.mount));
        Ok(match below {
            Ok(below) if self.mount.join(below).is_dir() => folder(below),
            _ => self.root.clone(),
        })
    }
}

/// With the folders above it. Nothing on the way may lead out of the mount, to where it would be made for real.
fn make(there: &Path, is_folder: bool, mount: &Path) -> io::Result<()> {
    let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::RootDir);
    if !there.components().all(is_plain) {
        return Err(io::Error::other("a path that goes up again"));
    }
    let above = there.ancestors().skip(1).find(|above| above.symlink_metadata().is_ok()).unwrap_or(mount);
    if !above.canonicalize()?.starts_with(mount.canonicalize()?) {
        return Err(io::Error::other("it leads out of the instance"));
    }
    if is_folder {
        return fs::create_dir_all(there);
    }
    there.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::File::create_new(there).map(drop)
}

fn mounted(status: &Status) -> Option<PathBuf> {
    status.mount.as_ref().map(|mount| mount.path.clone())
}
