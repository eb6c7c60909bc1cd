//! Instances that were made without being declared come to the declared ones.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use nixbox_report::Report;

use super::Resolver;
use crate::document::Document;
use crate::load::read;
use crate::made::{EXTENSION, folder};
use crate::problems::Problems;
use crate::project::{Instance, Made};
use crate::reader::{self, MadeDocument};
use crate::tree::{self, Format};

impl Resolver<'_> {
    /// A name that is declared means what is declared.
    pub(super) fn made(
        &mut self,
        document: &Document,
        instances: &mut BTreeMap<String, Instance>,
        data_dir: &Path,
        runtime_dir: &Path,
    ) {
        for entry in fs::read_dir(folder(data_dir)).into_iter().flatten().flatten() {
            let file_name = entry.file_name();
            let Some(name) = file_name.to_str().and_then(|name| name.strip_suffix(EXTENSION)) else { continue };
            // One that is just being written has a name that begins with a dot.
            let is_declared = document.instances.contains_key(name)
                || document.jobs.contains_key(name)
                || document.schedules.contains_key(name);
            if name.starts_with('.') || is_declared {
                continue;
            }
            match self.made_one(name, &entry.path(), data_dir, runtime_dir) {
                Ok(Some(instance)) => drop(instances.insert(name.to_owned(), instance)),
                Ok(None) => {}
                Err(report) => report.failures.into_iter().for_each(|failure| self.problems.push(failure)),
            }
        }
    }

    fn made_one(
        &self,
        name: &str,
        file: &Path,
        data_dir: &Path,
        runtime_dir: &Path,
    ) -> Result<Option<Instance>, Report> {
        let bytes = match read(file) {
            // It was removed since the folder was read.
            Err(_) if !file.exists() => return Ok(None),
            bytes => bytes?,
        };
        let problems = Problems::new(file.to_owned());
        let written = tree::parse(&bytes, Format::Toml, &problems).and_then(|tree| reader::made(tree, &problems));
        // What it says is nothing that the configuration file says.
        let mut resolver = Resolver { problems: &problems, settings: None, ..*self };
        let found = match written {
            Some(MadeDocument { created, keep, command, instance: Some(at) }) => {
                let instance = resolver.instance(name, &at, data_dir, runtime_dir);
                Some(Instance { made: Some(Made { created, keep, command }), ..instance })
            }
            _ => None,
        };
        if problems.is_empty() { Ok(found) } else { Err(problems.into_failures().into()) }
    }
}
