//! What every verb starts from.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use nixbox_config::{Environment, Loaded, Project, Sources};
use nixbox_report::{Failure, Report, codes};

use crate::cli::Global;
use crate::output::Output;

#[derive(Debug)]
pub struct Context {
    pub global: Global,
    pub output: Output,
}

impl Context {
    pub fn new(global: Global) -> Self {
        let output = Output::new(global.json, global.quiet, global.color);
        Self { global, output }
    }

    pub fn sources(&self) -> Result<Sources, Report> {
        Ok(Sources {
            config: self.global.config.clone(),
            root: self.global.root.clone(),
            data_dir: self.global.data_dir.clone(),
            log_level: self.global.log_level,
            environment: Environment::current(),
            cwd: here()?,
        })
    }

    pub fn load(&self) -> Result<Loaded, Report> {
        nixbox_config::load(&self.sources()?)
    }

    pub fn project(&self) -> Result<Project, Report> {
        nixbox_config::project(&self.sources()?)
    }

    /// The options that make another nixbox program, started anywhere, see this project as this one does.
    pub fn forwarded(&self, project: &Project) -> Result<Vec<OsString>, Report> {
        let mut words: Vec<OsString> = vec!["--config".into(), project.file.clone().into()];
        let here = here()?;
        let mut folder = |option: &str, value: &Option<PathBuf>| {
            if let Some(value) = value {
                words.extend([option.into(), here.join(value).into()]);
            }
        };
        folder("--root", &self.global.root);
        folder("--data-dir", &self.global.data_dir);
        if let Some(level) = self.global.log_level {
            words.extend(["--log-level".into(), level.to_string().into()]);
        }
        Ok(words)
    }
}

pub fn here() -> Result<PathBuf, Report> {
    std::env::current_dir().map_err(|error| {
        Failure::new(&codes::IO, "the current folder cannot be named")
            .why(error)
            .help("change to a folder that exists")
            .into()
    })
}

/// A failure of the file system, with the file in it.
pub fn io_failure(doing: &str, path: &Path, error: std::io::Error) -> Report {
    Failure::new(&codes::IO, format!("cannot {doing} {}", path.display()))
        .why(error)
        .help("see to it that this user may write there, and that nothing of another kind is in the way")
        .into()
}
