//! The folders that an owner lives in.

use std::fs;
use std::io;
use std::path::Path;

use nixbox_report::{Failure, Report, codes};

use crate::failure;
use crate::plan::Plan;

pub(crate) fn make(plan: &Plan) -> Result<(), Report> {
    let runtime = &plan.runtime_dir;
    nixbox_state::create_private_dir(runtime).map_err(|error| {
        Failure::new(&codes::OWNER_RUNTIME_DIR, format!("{} cannot be used as runtime folder", runtime.display()))
            .why(error)
            .help("remove it, or choose another with `runtime_dir`")
    })?;
    fs::create_dir_all(&plan.instance.paths.dir).map_err(|error| failure::io(&plan.instance.paths.dir, &error))?;
    Ok(())
}

/// The folders that were made for a mountpoint, written down so that a successor of a killed owner takes them away.
pub(crate) struct Made<'a> {
    note: &'a Path,
}

impl<'a> Made<'a> {
    pub(crate) fn noted_in(note: &'a Path) -> Self {
        Self { note }
    }

    /// Those that a killed owner has left, outermost first.
    pub(crate) fn left(&self) -> Vec<std::path::PathBuf> {
        nixbox_state::read_json(self.note).ok().flatten().unwrap_or_default()
    }

    pub(crate) fn note(&self, folders: &[std::path::PathBuf]) -> io::Result<()> {
        if folders.is_empty() { Ok(()) } else { nixbox_state::publish_json(self.note, &folders, 0o600) }
    }

    pub(crate) fn forget(&self) {
        let _ = fs::remove_file(self.note);
    }
}
