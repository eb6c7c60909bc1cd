//! What this process is to do: one instance out of the configuration.

use nixbox_config::{Environment, Instance, LogLevel, Sources};
use nixbox_report::{Failure, Report, codes};

use crate::args::Target;
use crate::surfaces::mount::Wanted;

#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) instance: Instance,
    pub(crate) log_level: LogLevel,
    pub(crate) runtime_dir: std::path::PathBuf,
}

impl Plan {
    pub(crate) fn read(target: &Target) -> Result<Self, Report> {
        let cwd = std::env::current_dir().map_err(|error| {
            Failure::new(&codes::IO, "the working folder cannot be found")
                .why(error)
                .help("change into a folder that exists")
        })?;
        let project = nixbox_config::load(&Sources {
            config: target.config.clone(),
            root: target.root.clone(),
            data_dir: target.data_dir.clone(),
            log_level: target.log_level,
            environment: Environment::current(),
            cwd,
        })?
        .project;
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
        Ok(Self { instance: instance.clone(), log_level: project.log_level, runtime_dir: project.runtime_dir })
    }
    pub(crate) fn database_options(&self) -> nixbox_engine::Options {
        database_options(&self.instance)
    }
}

pub(crate) fn database_options(instance: &Instance) -> nixbox_engine::Options {
    let read_only = Wanted::of(instance).is_some_and(|wanted| wanted.read_only());
    nixbox_engine::Options { read_only, ..nixbox_engine::Options::default() }
}
