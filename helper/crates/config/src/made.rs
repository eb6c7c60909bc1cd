//! Instances that were made without being declared: a file for each, which says what its table in the configuration would
//! say, and how it came to be.

use std::path::{Path, PathBuf};

use nixbox_report::{Failure, Report, codes};
use serde::Serialize;

use crate::document::{At, InstanceDocument};
use crate::project::{Instance, Made};
use crate::reader::VERSION;

pub(crate) const EXTENSION: &str = ".toml";

pub(crate) fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join(".instances")
}

#[derive(Serialize)]
struct Written<'i> {
    version: u32,
    created: u64,
    keep: bool,
    command: &'i [String],
    instance: InstanceDocument,
}

/// The file of a made instance. Of its settings it has those that can be given to one that is not declared.
pub fn to_toml(instance: &Instance) -> Result<String, Report> {
    let Made { created, keep, command } = instance.made.clone().unwrap_or_default();
    let text = |text: &String| At::nowhere(text.clone());
    let base = instance.base.as_ref();
    let written = Written {
        version: VERSION,
        created,
        keep,
        command: &command,
        instance: InstanceDocument {
            base: base.map(|base| At::nowhere(base.path.to_string_lossy().into_owned())),
            exclude: base.iter().flat_map(|base| &base.exclude).map(text).collect(),
            labels: instance.labels.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
            ..InstanceDocument::default()
        },
    };
    toml::to_string(&written).map_err(|error| {
        Failure::new(&codes::UNEXPECTED, format!("`{}` could not be written down", instance.name)).why(error).into()
    })
}
