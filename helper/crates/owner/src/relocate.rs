//! `relocate NAME [DIR]`: the folder that the instance's database lies over is elsewhere now. Without a folder it only
//! tells which one is on record.

use std::io::Write;
use std::path::Path;

use nixbox_engine::{Error, recorded_base, relocate};
use nixbox_report::{Failure, Report, codes};

use crate::args::Relocate;
use crate::failure;
use crate::held;
use crate::key;
use crate::moment;
use crate::plan::Plan;

pub(crate) fn run(plan: &Plan, asked: &Relocate) -> Result<(), Report> {
    let db = &plan.instance.paths.db;
    if !db.exists() {
        return Err(failure::never_brought_up(&plan.instance).into());
    }
    let lock = held::take(&plan.instance, moment::now(), None)?;
    let backing = key::backing(&plan.instance, &plan.root)?;
    let answer = match &asked.dir {
        None => {
            let recorded = recorded_base(db, &backing).map_err(|error| failure::database(db, error))?;
            serde_json::json!({ "recorded": recorded })
        }
        Some(dir) => {
            outside(plan, dir)?;
            let done = relocate(db, &backing, dir, asked.force).map_err(|error| match error {
                Error::BaseMissing { .. } => failure::no_folder(dir, &error),
                error => failure::database(db, error),
            })?;
            serde_json::json!({
                "from": done.from, "to": done.to, "origins": done.origins, "differing": done.differing,
            })
        }
    };
    drop(lock);
    let mut out = std::io::stdout().lock();
    writeln!(out, "{answer}").and_then(|()| out.flush()).map_err(Report::from)
}

/// A base inside a view would be read through that.
fn outside(plan: &Plan, dir: &Path) -> Result<(), Report> {
    match plan.holds(dir) {
        Some(inner) => Err(Failure::new(&codes::CONFIG_BASE_IN_MOUNT, format!("{} cannot be a base", dir.display()))
            .why(format_args!("it lies in {}, which is a mountpoint or nixbox's own folder", inner.display()))
            .help("name the real folder")
            .into()),
        None => Ok(()),
    }
}
