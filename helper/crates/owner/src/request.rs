//! `request NAME`: the owner for one request, where none serves. It takes the same lock, answers over the socket that
//! is its standard input in the words that every owner speaks, and leaves. A session lasts longer than a request, so
//! an owner for one can be asked by others meanwhile.

use std::os::fd::AsFd;
use std::os::unix::net;
use std::sync::Arc;
use std::time::Duration;

use nixbox_engine::{Database, Options};
use nixbox_report::{Failure, Report, codes};
use tokio::net::UnixStream;

use crate::desk::Desk;
use crate::failure;
use crate::held;
use crate::hooks;
use crate::key;
use crate::metrics::Metrics;
use crate::moment;
use crate::plan::Plan;
use crate::serve;
use crate::signals;
use crate::stop::Stop;
use crate::surfaces::control::{self, Conversation};
use crate::sync::Syncing;

/// For a request that a signal breaks off.
const PATIENCE: Duration = Duration::from_millis(500);
/// What is run because of the request; nobody is kept from the database meanwhile.
pub(crate) const HOOKS_MAY_TAKE: Duration = Duration::from_secs(60);

pub(crate) fn run(plan: Plan) -> Result<(), Report> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(&codes::UNEXPECTED, "the owner cannot start").why(error))?;
    runtime.block_on(async {
        let stop = Stop::new();
        signals::listen(&stop)?;
        match control::converse(caller()?).await {
            Ok(Some(conversation)) if conversation.is_a_session() => session(plan, conversation, &stop).await,
            Ok(Some(conversation)) => answer(&plan, conversation, &stop).await,
            Ok(None) => Ok(()),
            Err(error) => {
                ended(&error);
                Ok(())
            }
        }
    })
}

async fn answer(plan: &Plan, conversation: Conversation, stop: &Stop) -> Result<(), Report> {
    let desk = Desk::new(Metrics::new(&plan.instance.name));
    let hooks = hooks::of(plan);
    let (mut held, sync) = (None, Syncing::of(plan, &hooks));
    let answered = conversation
        .answer(&desk, stop, || {
            there(plan)?;
            let (lock, database) = hold(plan)?;
            if let Some(sync) = &sync {
                sync.come_up_alone();
                sync.supply(&database);
            }
            let tree = sync.as_ref().map_or_else(|| database.tree(), |sync| sync.gated(database.tree()));
            let local = serve::local(&database, database.tree(), Arc::new(()));
            desk.open(serve::open(&database, tree, &plan.instance.paths.dir, local, sync.clone(), hooks.clone()));
            held = Some((lock, database));
            Ok(())
        })
        .await;
    if let Err(error) = answered {
        ended(&error);
    }
    desk.close(PATIENCE).await;
    let Some((lock, database)) = held else { return Ok(()) };
    let closed = database.close().map_err(|error| failure::database(&plan.instance.paths.db, error));
    drop(lock);
    hooks.finish(if stop.is_requested() { PATIENCE } else { HOOKS_MAY_TAKE });
    // What was acknowledged is on disk since before; the caller waits for this process to end.
    Ok(closed?)
}

/// What keeps it from beginning is told to the caller, who has not been answered then.
async fn session(plan: Plan, conversation: Conversation, stop: &Stop) -> Result<(), Report> {
    let mut waiting = Some(conversation);
    let lasted = match there(&plan) {
        Err(report) => Err(report),
        Ok(()) => {
            let begin = |agent| {
                let conversation = waiting.take();
                async move {
                    let Some(conversation) = conversation else { return };
                    if let Err(error) = conversation.session(agent, stop).await {
                        ended(&error);
                    }
                }
            };
            serve::during(plan, stop, begin).await
        }
    };
    match (lasted, waiting) {
        (Err(report), Some(mut conversation)) => {
            if let Err(error) = conversation.refuse(&report).await {
                ended(&error);
            }
            Ok(())
        }
        (lasted, _) => lasted,
    }
}

fn ended(error: &std::io::Error) {
    tracing::debug!(%error, "the conversation ended");
}

/// Looking at something must not be what makes it.
fn there(plan: &Plan) -> Result<(), Report> {
    if plan.is_ephemeral() {
        let name = &plan.instance.name;
        return Err(Failure::new(&codes::OWNER_NOT_RUNNING, format!("instance `{name}` is not running"))
            .why("it is ephemeral: without an owner there is nothing of it")
            .help(format!("start it with `nixbox-helper serve {name}` or `nixbox-helper up`"))
            .into());
    }
    let db = &plan.instance.paths.db;
    if db.exists() {
        return Ok(());
    }
    Err(failure::never_brought_up(&plan.instance).into())
}

fn hold(plan: &Plan) -> Result<(nixbox_state::Lock, Database), Report> {
    // A database that somebody has put there has none yet.
    let folder = &plan.instance.paths.dir;
    std::fs::create_dir_all(folder).map_err(|error| failure::io(folder, &error))?;
    let lock = held::take(&plan.instance, moment::now(), None)?;
    let db = &plan.instance.paths.db;
    let options = Options { backing: key::backing(&plan.instance, &plan.root)?, ..plan.database_options() };
    let database = Database::open_or_create(db, &options).map_err(|error| failure::database(db, error))?;
    Ok((lock, database))
}

fn caller() -> Result<UnixStream, Report> {
    let failed = |error: std::io::Error| {
        Report::from(
            Failure::new(&codes::USAGE, "standard input is not a socket")
                .why(error)
                .help("`nixbox-helper` starts this where it needs it"),
        )
    };
    let stream = net::UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned().map_err(failed)?);
    stream.peer_addr().and_then(|_| stream.set_nonblocking(true)).map_err(failed)?;
    UnixStream::from_std(stream).map_err(failed)
}
