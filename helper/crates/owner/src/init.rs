//! `init NAME`: the database is there afterwards, whoever made it.

use std::path::Path;

use nixbox_engine::{Database, Options};
use nixbox_report::Report;

use crate::failure;
use crate::folders;
use crate::held;
use crate::hooks;
use crate::key;
use crate::moment;
use crate::plan::Plan;
use crate::request::HOOKS_MAY_TAKE;

/// `from`: the database that it is to be a copy of.
pub(crate) fn run(plan: &Plan, from: Option<&Path>) -> Result<(), Report> {
    folders::make(plan)?;
    if plan.is_ephemeral() {
        return Ok(());
    }
    let db = &plan.instance.paths.db;
    let lock = match held::take(&plan.instance, moment::now(), None) {
        Ok(lock) => lock,
        // Its owner has opened it, so it is a good one; one that is only starting says itself if it is not.
        Err(_) if db.exists() && from.is_none() => return Ok(()),
        Err(report) => return Err(report),
    };
    let new = !db.exists();
    // Before anything is made, so that a key that is none leaves nothing.
    let backing = key::backing(&plan.instance, &plan.root)?;
    if let Some(from) = from {
        nixbox_engine::adopt(from, db, &backing).map_err(|error| match error.errno() {
            libc::EEXIST => failure::io(db, &std::io::ErrorKind::AlreadyExists.into()),
            _ => failure::database(from, error),
        })?;
    }
    let options = Options { backing, ..plan.database_options() };
    let done = Database::open_or_create(db, &options).and_then(Database::close);
    if done.is_err() && from.is_some() {
        // As before: another try must not find half of it.
        let _ = std::fs::remove_file(db);
    }
    drop(lock);
    done.map_err(|error| failure::database(db, error))?;
    if new {
        let hooks = hooks::of(plan);
        hooks::created(&hooks, db);
        hooks.finish(HOOKS_MAY_TAKE);
        tracing::info!(database = %db.display(), "created");
    }
    Ok(())
}
