//! `init NAME`: the database is there afterwards, whoever made it.

use nixbox_engine::Database;
use nixbox_report::Report;

use crate::failure;
use crate::folders;
use crate::held;
use crate::moment;
use crate::plan::Plan;

pub(crate) fn run(plan: &Plan) -> Result<(), Report> {
    folders::make(plan)?;
    if plan.is_ephemeral() {
        return Ok(());
    }
    let db = &plan.instance.paths.db;
    let lock = match held::take(&plan.instance, moment::now(), None) {
        Ok(lock) => lock,
        // Its owner has opened it, so it is a good one; one that is only starting says itself if it is not.
        Err(_) if db.exists() => return Ok(()),
        Err(report) => return Err(report),
    };
    let new = !db.exists();
    let done = Database::open_or_create(db, &plan.database_options()).and_then(Database::close);
    drop(lock);
    done.map_err(|error| failure::database(db, error))?;
    if new {
        tracing::info!(database = %db.display(), "created");
    }
    Ok(())
}
