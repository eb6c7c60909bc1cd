//! The folders that an owner lives in.

use std::fs;
use std::path::Path;

use nixbox_report::{Failure, Report, codes};

use crate::failure;
use crate::plan::Plan;

pub(crate) fn make(plan: &Plan) -> Result<(), Report> {
    runtime(&plan.runtime_dir)?;
    fs::create_dir_all(&plan.instance.paths.dir).map_err(|error| failure::io(&plan.instance.paths.dir, &error))?;
    Ok(())
}

pub(crate) fn runtime(folder: &Path) -> Result<(), Report> {
    nixbox_state::create_private_dir(folder).map_err(|error| {
        Failure::new(&codes::OWNER_RUNTIME_DIR, format!("{} cannot be used as runtime folder", folder.display()))
            .why(error)
            .help("remove it, or choose another with `runtime_dir`")
            .into()
    })
}
