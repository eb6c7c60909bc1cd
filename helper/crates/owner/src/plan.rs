//! What this process is to do: one instance out of the configuration.

use std::path::{Path, PathBuf};

use nixbox_config::{Environment, Instance, LogLevel, Mode, Remote, Sources};
use nixbox_engine::{BaseOptions, Limits, Options};
use nixbox_report::{Failure, Report, codes};

use crate::args::{Project, Target};

#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) instance: Instance,
    pub(crate) log_level: LogLevel,
    pub(crate) runtime_dir: PathBuf,
    /// Where upstream's program was said to be.
    pub(crate) agentfs_program: Option<PathBuf>,
    pub(crate) root: PathBuf,
    /// What the instance is synced with.
    pub(crate) remote: Option<Remote>,
    /// The mount and HTTP, where they are declared.
    pub(crate) surfaces: bool,
    /// What no view over a base may show: the project's mountpoints and nixbox's own folders. A view that leads into
    /// a view leads around in a circle.
    hidden: Vec<PathBuf>,
}

impl Plan {
    pub(crate) fn read(target: &Target) -> Result<Self, Report> {
        let cwd = std::env::current_dir().map_err(|error| {
            Failure::new(&codes::IO, "the working folder cannot be found")
                .why(error)
                .help("change into a folder that exists")
        })?;
        let Project { config, root, data_dir, log_level, .. } = target.project.clone();
        let project = nixbox_config::project(&Sources {
            config,
            root,
            data_dir,
            log_level,
            environment: Environment::current(),
            cwd,
        })?;
        let known = project.enabled().map(|instance| instance.name.as_str()).collect::<Vec<_>>().join(", ");
        let Some(instance) = project.instances.get(&target.name) else {
            return Err(Failure::new(&codes::INSTANCE_UNKNOWN, format!("no instance is named `{}`", target.name))
                .why(format!("{} declares: {known}", project.file.display()))
                .help("name one of them, or declare this one")
                .into());
        };
        if !instance.enable {
            return Err(Failure::new(&codes::INSTANCE_DISABLED, format!("instance `{}` is disabled", target.name))
                .why(format!("{} has `enable = false` for it", project.file.display()))
                .help("enable it there")
                .into());
        }
        let remote = instance.remote().and_then(|name| project.remotes.get(name)).cloned();
        let mountpoints = project.instances.values().filter_map(|instance| instance.mount.as_ref());
        let hidden = mountpoints.map(|mount| &mount.path).chain([&project.data_dir, &project.runtime_dir]);
        Ok(Self {
            instance: instance.clone(),
            log_level: project.log_level,
            surfaces: true,
            hidden: hidden.map(|path| real(path)).collect(),
            runtime_dir: project.runtime_dir,
            agentfs_program: project.agentfs_program,
            root: project.root,
            remote,
        })
    }

    /// How the instance's database is opened, by whoever holds it, but for the key.
    pub(crate) fn database_options(&self) -> Options {
        let limits = self.instance.limits;
        let limits = Limits { size: limits.size.map(|size| size.0), files: limits.files };
        let mode = match self.instance.mode {
            Mode::Overlay => nixbox_engine::Mode::Overlay,
            Mode::Direct => nixbox_engine::Mode::Direct,
            Mode::Ephemeral => nixbox_engine::Mode::Ephemeral,
        };
        // What is synced changes beneath whoever may only read it: see `sync::gate`.
        let read_only = self.instance.is_read_only() && self.instance.sync.is_none();
        Options { read_only, mode, limits, base: self.base(), ..Options::default() }
    }

    /// The mountpoint, or folder of nixbox's own, that a path lies in.
    pub(crate) fn holds(&self, path: &Path) -> Option<&Path> {
        let path = path.canonicalize().unwrap_or_else(|_| real(path));
        self.hidden.iter().map(PathBuf::as_path).find(|hidden| path.starts_with(hidden))
    }

    pub(crate) fn is_ephemeral(&self) -> bool {
        self.instance.mode == Mode::Ephemeral
    }

    fn base(&self) -> Option<BaseOptions> {
        let base = self.instance.base.as_ref()?;
        Some(BaseOptions { path: base.path.clone(), hidden: self.hidden.clone(), exclude: base.exclude.clone() })
    }
}

/// Without symbolic links in its folders; the end of it is not looked at, as it may be a mount that hangs.
fn real(path: &Path) -> PathBuf {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => parent.canonicalize().unwrap_or_else(|_| real(parent)).join(name),
        _ => path.to_owned(),
    }
}
