//! `restore NAME SNAPSHOT`: the instance's database becomes what a snapshot of it holds, after what it is now was kept.

use std::path::Path;

use nixbox_engine::{Database, Options};
use nixbox_report::{Failure, Report, codes};
use serde_json::json;

use crate::failure;
use crate::held;
use crate::hooks;
use crate::key;
use crate::moment;
use crate::plan::Plan;
use crate::request::HOOKS_MAY_TAKE;
use crate::shelf::Shelf;

/// Prints what was done as one line of JSON.
pub(crate) fn run(plan: &Plan, id: &str) -> Result<(), Report> {
    if plan.is_ephemeral() {
        let name = &plan.instance.name;
        return Err(Failure::new(&codes::SNAPSHOT_UNKNOWN, format!("instance `{name}` has no snapshots"))
            .why("it is ephemeral")
            .help("leave `mode` out to have an instance that lasts")
            .into());
    }
    let db = &plan.instance.paths.db;
    if !db.exists() {
        return Err(failure::never_brought_up(&plan.instance).into());
    }
    let lock = held::take(&plan.instance, moment::now(), None)?;
    let shelf = Shelf::of(&plan.instance.paths.dir);
    let (copy, snapshot) = shelf.find(id)?;
    let backing = key::backing(&plan.instance, &plan.root)?;
    let options = Options { backing: backing.clone(), ..plan.database_options() };
    // Out of the way: keeping what is now may be what makes this one the oldest.
    let held = hold(&copy)?;
    let database = Database::open_or_create(db, &options).map_err(|error| failure::database(db, error))?;
    let kept = shelf.keep(&database.snapshots(), "restore");
    database.close().map_err(|error| failure::database(db, error))?;
    let kept = kept?;
    nixbox_engine::restore(held.path(), db, &backing).map_err(|error| failure::database(db, error))?;
    drop(lock);
    let hooks = hooks::of(plan);
    hooks::snapshot(&hooks, &kept);
    let answer = json!({ "restored": snapshot.id, "at": snapshot.at, "kept": kept.id });
    std::io::Write::write_all(&mut std::io::stdout().lock(), format!("{answer}\n").as_bytes())?;
    hooks.finish(HOOKS_MAY_TAKE);
    Ok(())
}

/// Another name for the copy, for as long as it is needed. One that was killed leaves it to the next.
struct Held(std::path::PathBuf);

impl Held {
    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn hold(copy: &Path) -> Result<Held, Report> {
    let path = copy.with_file_name(".restoring.db");
    let _ = std::fs::remove_file(&path);
    std::fs::hard_link(copy, &path).map_err(|error| failure::io(&path, &error))?;
    Ok(Held(path))
}
