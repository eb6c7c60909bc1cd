//! The instance and its remote. What takes as long as a network does runs beside the threads for other requests.

use std::time::Duration;

use nixbox_control::{SyncLine, SyncRequest};
use nixbox_report::{Failure, Report, codes};

use super::talk::{Ended, Talk, lines};
use crate::desk::{Open, Request};
use crate::failure;
use crate::sync::{self, Errand, Log};

/// How often a peer is told how far it is.
const TOLD_EVERY: Duration = Duration::from_millis(100);

pub(super) async fn answer(asked: SyncRequest, talk: &mut Talk, request: &Request) -> Result<(), Ended> {
    let told: Vec<SyncLine> = match asked {
        SyncRequest::Pull => {
            return watched(talk, request, |open, errand| sync::on(open)?.pull(&open.local, errand)).await;
        }
        SyncRequest::Push { again } => {
            return watched(talk, request, move |open, errand| sync::on(open)?.push(&open.local, errand, again)).await;
        }
        SyncRequest::Fetch { paths } => {
            let fetch = move |open: &Open, errand| sync::on(open)?.fetch(&open.local, &open.files, &paths, errand);
            return watched(talk, request, fetch).await;
        }
        SyncRequest::Begin { merge } => {
            return watched(talk, request, move |open, errand| sync::on(open)?.begin(&open.local, errand, merge)).await;
        }
        SyncRequest::End { force } => {
            vec![aside(request, move |open| sync::on(open)?.end(&open.local, force)).await?]
        }
        SyncRequest::Look => return look(talk, request).await,
        SyncRequest::Watch => return watch(talk, request).await,
        SyncRequest::Take { force } => aside(request, move |open| sync::on(open)?.take(&open.local, force)).await?,
        SyncRequest::Release => aside(request, |open| sync::on(open)?.release(&open.local)).await?,
        SyncRequest::Resolve { name, take } => {
            aside(request, move |open| sync::on(open)?.resolve(&open.local, name.as_deref(), take)).await?
        }
        SyncRequest::Log { limit } => request.work(move |open| log(open, limit)).await?,
        SyncRequest::Checkpoint => {
            vec![SyncLine::Checkpointed(aside(request, |open| sync::on(open)?.checkpoint(&open.local)).await?)]
        }
    };
    talk.begin_body().await?;
    talk.send(&lines(told), request.stop()).await?;
    Ok(talk.end_body().await?)
}

/// Of an instance that is not synced any more, too.
fn log(open: &Open, limit: u64) -> Result<Vec<SyncLine>, Report> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let read = match open.sync.as_deref() {
        Some(sync) => sync.log().last(limit),
        None => Log::of(&open.folder).last(limit),
    };
    let entries = read.map_err(|error| failure::io(&open.folder, &error))?;
    Ok(entries.into_iter().map(|entry| SyncLine::Logged(Box::new(entry))).collect())
}

/// Tells how far it is. It is called off when the peer leaves, and when this owner stops.
async fn watched(
    talk: &mut Talk,
    request: &Request,
    work: impl FnOnce(&Open, Errand) -> Result<SyncLine, Report> + Send + 'static,
) -> Result<(), Ended> {
    let (errand, mut far) = Errand::watched();
    let theirs = errand.clone();
    let mut working = request.aside(move |open| work(open, theirs));
    talk.begin_body().await?;
    let mut every = tokio::time::interval(TOLD_EVERY);
    let mut left = None;
    let done = loop {
        tokio::select! {
            done = &mut working => break done,
            gone = talk.hang_up(), if left.is_none() => {
                errand.call_off();
                left = Some(gone);
            }
            () = request.stop().requested() => {
                errand.call_off();
                break working.await;
            }
            _ = every.tick(), if left.is_none() => {
                let news = if far.has_changed().unwrap_or(false) { *far.borrow_and_update() } else { None };
                if let Some(progress) = news
                    && let Err(ended) = talk.send(&lines([SyncLine::Progress(progress)]), request.stop()).await
                {
                    errand.call_off();
                    let _ = working.await;
                    return Err(ended);
                }
            }
        }
    };
    if let Some(gone) = left {
        return Ok(gone?);
    }
    let done = done.map_err(broken)??;
    talk.send(&lines([done]), request.stop()).await?;
    Ok(talk.end_body().await?)
}

/// How it stands here is told also where the remote cannot be asked.
async fn look(talk: &mut Talk, request: &Request) -> Result<(), Ended> {
    let state = request.work(|open| Ok(sync::on(open)?.state_line())).await?;
    talk.begin_body().await?;
    talk.send(&lines([state]), request.stop()).await?;
    let told = aside(request, |open| sync::on(open)?.look(&open.local)).await?;
    talk.send(&lines(told), request.stop()).await?;
    Ok(talk.end_body().await?)
}

async fn watch(talk: &mut Talk, request: &Request) -> Result<(), Ended> {
    let mut changes = request.work(|open| Ok(sync::on(open)?.watch())).await?;
    talk.begin_body().await?;
    let mut last = None;
    loop {
        changes.mark_unchanged();
        let state = request.work(|open| Ok(sync::on(open)?.state())).await?;
        if last.as_ref() != Some(&state) {
            talk.send(&lines([SyncLine::State(state.clone())]), request.stop()).await?;
            last = Some(state);
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return Ok(talk.end_body().await?) },
            () = request.stop().requested() => return Ok(talk.end_body().await?),
            gone = talk.hang_up() => return Ok(gone?),
        }
    }
}

async fn aside<T: Send + 'static>(
    request: &Request,
    work: impl FnOnce(&Open) -> Result<T, Report> + Send + 'static,
) -> Result<T, Ended> {
    Ok(request.aside(work).await.map_err(broken)??)
}

fn broken(error: tokio::task::JoinError) -> Report {
    Failure::new(&codes::UNEXPECTED, "a sync broke off").why(error).into()
}
