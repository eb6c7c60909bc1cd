//! Where each setting came from, for `config show --origin`.

use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    Flag,
    /// The variable of that name.
    Environment(&'static str),
    File {
        line: usize,
    },
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("flag"),
            Self::Environment(name) => write!(f, "environment ({name})"),
            Self::File { line } => write!(f, "file (line {line})"),
            Self::Default => f.write_str("default"),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// `instances.sandbox.mount.path`
    pub key: String,
    /// As text; `None` where nothing is set and nothing is assumed.
    pub value: Option<String>,
    pub origin: Origin,
}

/// Every setting in the order of the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origins {
    /// How the configuration file was found; `Default` when by searching upward.
    pub file: Origin,
    /// How the project root was found; `Default` when it is the file's folder or the current one.
    pub root: Origin,
    pub settings: Vec<Setting>,
}

impl Origins {
    pub fn get(&self, key: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.key == key)
    }
}
