use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use nixbox_report::{Failure, Place, Report, codes};

use crate::check::check;
use crate::locate::locate;
use crate::origin::{Origins, Setting};
use crate::paths::RealPaths;
use crate::problems::Problems;
use crate::project::Project;
use crate::reader;
use crate::resolve::resolve;
use crate::sources::Sources;
use crate::tree::{self, Format};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    pub project: Project,
    pub origins: Origins,
}

/// Finds the configuration, reads it and settles everything. All problems are reported together. Reads the one
/// file and those of made instances, writes nothing, and waits for no mount.
pub fn load(sources: &Sources) -> Result<Loaded, Report> {
    settle(sources, Some(Vec::new()))
}

/// The same for whoever does not ask where each setting came from, as no shell entry does.
pub fn project(sources: &Sources) -> Result<Project, Report> {
    Ok(settle(sources, None)?.project)
}

fn settle(sources: &Sources, settings: Option<Vec<Setting>>) -> Result<Loaded, Report> {
    let mut real = RealPaths::default();
    let located = locate(sources, &mut real)?;
    let bytes = read(&located.file)?;

    let problems = Problems::new(located.file.clone());
    let Some(entries) = tree::parse(&bytes, Format::of(&located.file), &problems) else {
        return Err(problems.into_failures().into());
    };
    let document = reader::document(entries, &problems);
    let resolved = resolve(sources, &located, &document, &mut real, &problems, settings);
    check(&resolved.project, &document, &mut real, &problems);
    if !problems.is_empty() {
        return Err(problems.into_failures().into());
    }
    Ok(resolved)
}

pub(crate) fn read(file: &Path) -> Result<Vec<u8>, Report> {
    fs::read(file).map_err(|error| {
        let place = Place { file: file.to_owned(), line: None, key: None };
        match error.kind() {
            ErrorKind::NotFound => Failure::new(&codes::CONFIG_MISSING, format!("There is no {}", file.display()))
                .help("make one with `nixbox-helper new plain`, or name another with --config or NIXBOX_CONFIG"),
            _ => Failure::new(&codes::CONFIG_UNREADABLE, format!("{} could not be read", file.display()))
                .why(error)
                .help("name a file that this user may read"),
        }
        .at(place)
        .into()
    })
}
