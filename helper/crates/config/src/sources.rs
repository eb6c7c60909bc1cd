use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use crate::env::REGISTRY;
use crate::words::LogLevel;

/// Everything beside the file that a configuration is made of. Nothing else is looked at, so a test that fills
/// this in is a whole test.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// `--config`
    pub config: Option<PathBuf>,
    /// `--root`
    pub root: Option<PathBuf>,
    /// `--data-dir`
    pub data_dir: Option<PathBuf>,
    /// `--log-level`
    pub log_level: Option<LogLevel>,
    pub environment: Environment,
    /// Where `nixbox.toml` is looked for, and where relative paths on the command line start. Absolute.
    pub cwd: PathBuf,
}

/// The variables of the registry, as they were when the program started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    variables: BTreeMap<OsString, OsString>,
}

impl Environment {
    pub fn current() -> Self {
        REGISTRY.iter().filter_map(|variable| Some((variable.name, std::env::var_os(variable.name)?))).collect()
    }

    /// An empty variable is as good as none: that is how shells and process managers unset one.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }
}

impl<K: Into<OsString>, V: Into<OsString>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        Self { variables: variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect() }
    }
}
