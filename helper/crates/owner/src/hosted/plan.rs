//! Which remote is served, as the configuration has it.

use std::path::PathBuf;

use nixbox_config::{Environment, KeySource, LogLevel, Served, Sources};
use nixbox_report::{Failure, Report, codes};

use crate::args::Target;

pub(super) struct Plan {
    pub(super) name: String,
    pub(super) served: Served,
    pub(super) token: KeySource,
    pub(super) root: PathBuf,
    pub(super) runtime_dir: PathBuf,
    pub(super) log_level: LogLevel,
}

impl Plan {
    pub(super) fn read(target: &Target) -> Result<Self, Report> {
        let given = target.project.clone();
        let project = nixbox_config::project(&Sources {
            config: given.config,
            root: given.root,
            data_dir: given.data_dir,
            log_level: given.log_level,
            environment: Environment::current(),
            cwd: std::env::current_dir()?,
        })?;
        let name = target.name.clone();
        let Some(remote) = project.remotes.get(&name) else {
            let known: Vec<_> = project.remotes.keys().map(String::as_str).collect();
            return Err(Failure::new(&codes::REMOTE_UNKNOWN, format!("no remote is named `{name}`"))
                .why(format!("{} declares: {}", project.file.display(), known.join(", ")))
                .help(format!("declare it with a table `[remotes.{name}]`"))
                .into());
        };
        let (Some(served), Some(token)) = (remote.serve.clone(), remote.token.clone()) else {
            return Err(Failure::new(
                &codes::REMOTE_NOT_SERVED,
                format!("the remote `{name}` is not served from here"),
            )
            .why(format!("{} has no `serve` for it", project.file.display()))
            .help(format!("add a table `[remotes.{name}.serve]`"))
            .into());
        };
        Ok(Self {
            name,
            served,
            token,
            root: project.root,
            runtime_dir: project.runtime_dir,
            log_level: project.log_level,
        })
    }
}
