//! The folders that an owner lives in.

use std::fs;

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
