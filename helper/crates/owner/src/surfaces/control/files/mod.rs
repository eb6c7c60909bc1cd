//! Files by path. Each request is put on record as a tool call, before its last word goes out: who has had that finds
//! the call in the timeline.

mod apply;
pub(crate) mod entry;
mod layer;
mod record;
pub(crate) mod search;
mod transfer;

use std::path::PathBuf;
use std::time::Instant;

use nixbox_control::{Applied, FilesRequest, Layer, Name, Response};
use nixbox_engine::{Links, Walk};
use nixbox_report::Report;
use serde_json::json;

use self::record::Recorded;
use super::talk::{Ended, Talk, lines};
use crate::desk::Request;
use crate::failure;

/// What is read at a time.
const PIECE: u32 = 256 * 1024;
/// How many entries are told at a time.
const ENTRIES: usize = 256;

pub(super) async fn answer(asked: FilesRequest, talk: &mut Talk, request: &Request) -> Result<(), Ended> {
    let begun = Instant::now();
    let recorded = Recorded::of(&asked);
    let done = work(asked, talk, request).await;
    recorded.put(&done, begun.elapsed(), request).await;
    match done? {
        Told::Nothing(_) => talk.say(&Response::Done).await?,
        Told::Body(_) => talk.end_body().await?,
        Told::Applied { applied, .. } => talk.say(&Response::Applied(applied)).await?,
    }
    Ok(())
}

/// What is still to be said, and what came of it for the record.
enum Told {
    Nothing(serde_json::Value),
    Body(serde_json::Value),
    /// `paths`: some of those that were changed.
    Applied {
        applied: Applied,
        paths: Vec<String>,
    },
}

async fn work(asked: FilesRequest, talk: &mut Talk, request: &Request) -> Result<Told, Ended> {
    match asked {
        FilesRequest::Read { path, layer } => read(path, layer, talk, request).await,
        FilesRequest::Write { path, append } => write(path, append, talk, request).await,
        FilesRequest::List { path, recursive, layer } => {
            let walk = request
                .work(move |open| {
                    layer::tree(open, layer)?.list(&path.0, recursive).map_err(|error| failed(&path, error))
                })
                .await?;
            tell(walk, |_| true, talk, request).await
        }
        FilesRequest::Find { path, glob, kind, min_size, newer, layer } => {
            let wanted = search::wanted(&glob, kind, min_size, newer)?;
            let walk = request
                .work(move |open| layer::tree(open, layer)?.list(&path.0, true).map_err(|error| failed(&path, error)))
                .await?;
            tell(walk, wanted, talk, request).await
        }
        FilesRequest::Apply { dry_run } => apply::apply(dry_run, talk, request).await,
        FilesRequest::Export { path, form } => transfer::export(path, form, talk, request).await,
        FilesRequest::Import { into, replace } => transfer::import(into, replace, talk, request).await,
        FilesRequest::ImportDatabase { from, into } => transfer::import_database(from, into, request).await,
        FilesRequest::Stat { path, layer } => {
            let found = request
                .work(move |open| {
                    layer::tree(open, layer)?.stat(&path.0, Links::Keep).map_err(|error| failed(&path, error))
                })
                .await?;
            talk.begin_body().await?;
            talk.send(&lines([entry::told(found)]), request.stop()).await?;
            Ok(Told::Body(json!({})))
        }
        FilesRequest::Copy { from, to, recursive } => {
            change(request, move |files| {
                files.copy(&from.0, &to.0, recursive).map_err(|error| either(files, &from, &to, error))
            })
            .await
        }
        FilesRequest::Move { from, to } => {
            change(request, move |files| {
                files.move_to(&from.0, &to.0).map_err(|error| either(files, &from, &to, error))
            })
            .await
        }
        FilesRequest::Remove { path, recursive } => {
            change(request, move |files| files.remove(&path.0, recursive).map_err(|error| failed(&path, error))).await
        }
        FilesRequest::MakeFolder { path, parents } => {
            change(request, move |files| files.make_folder(&path.0, parents).map_err(|error| failed(&path, error)))
                .await
        }
    }
}

/// What is done in one go, and on disk when that is told.
async fn change(
    request: &Request,
    change: impl FnOnce(&nixbox_engine::ByPath) -> Result<(), Report> + Send + 'static,
) -> Result<Told, Ended> {
    request
        .work(move |open| {
            change(&open.files)?;
            open.files.sync().map_err(failure::working)
        })
        .await?;
    Ok(Told::Nothing(json!({})))
}

async fn read(path: Name, layer: Option<Layer>, talk: &mut Talk, request: &Request) -> Result<Told, Ended> {
    let wanted = path.clone();
    let mut reading = request
        .work(move |open| layer::tree(open, layer)?.read(&wanted.0).map_err(|error| failed(&wanted, error)))
        .await?;
    talk.begin_body().await?;
    let mut bytes = 0;
    loop {
        let at = path.clone();
        let (piece, back) = request
            .work(move |_| {
                let piece = reading.next(PIECE).map_err(|error| failed(&at, error))?;
                Ok((piece, reading))
            })
            .await?;
        if piece.is_empty() {
            return Ok(Told::Body(json!({ "bytes": bytes })));
        }
        bytes += piece.len() as u64;
        talk.send(&piece, request.stop()).await?;
        reading = back;
    }
}

async fn write(path: Name, append: bool, talk: &mut Talk, request: &Request) -> Result<Told, Ended> {
    let wanted = path.clone();
    let begin =
        move |open: &crate::desk::Open| open.files.write(&wanted.0, append).map_err(|error| failed(&wanted, error));
    let mut writing = request.work(begin).await?;
    talk.say(&Response::Go).await?;
    let mut bytes = 0;
    loop {
        let frame = match talk.frame(request.stop()).await {
            Ok(frame) => frame,
            Err(ended) => {
                // Takes away what had come so far, which is work too.
                let away = move |_: &crate::desk::Open| {
                    drop(writing);
                    Ok(())
                };
                request.work(away).await?;
                return Err(ended);
            }
        };
        let at = path.clone();
        let Some(frame) = frame else {
            request.work(move |_| writing.finish().map_err(|error| failed(&at, error))).await?;
            return Ok(Told::Nothing(json!({ "bytes": bytes })));
        };
        bytes += frame.len() as u64;
        writing =
            request.work(move |_| writing.push(&frame).map_err(|error| failed(&at, error)).map(|()| writing)).await?;
    }
}

/// The entries that are wanted, some at a time.
async fn tell(
    mut walk: Walk,
    wanted: impl Fn(&nixbox_engine::Found) -> bool + Clone + Send + 'static,
    talk: &mut Talk,
    request: &Request,
) -> Result<Told, Ended> {
    let mut entries = 0;
    let mut begun = false;
    loop {
        let is_wanted = wanted.clone();
        let (found, back) = request
            .work(move |_| {
                let found = walk.next(ENTRIES, is_wanted).map_err(failure::working)?;
                Ok((found, walk))
            })
            .await?;
        walk = back;
        if !std::mem::replace(&mut begun, true) {
            talk.begin_body().await?;
        }
        if found.is_empty() {
            return Ok(Told::Body(json!({ "entries": entries })));
        }
        entries += found.len() as u64;
        talk.send(&lines(found.into_iter().map(entry::told)), request.stop()).await?;
    }
}

fn failed(path: &Name, error: nixbox_engine::Error) -> Report {
    failure::file(&PathBuf::from(path.as_os_str()), error)
}

/// Of two paths, the one that is at fault.
fn either(files: &nixbox_engine::ByPath, from: &Name, to: &Name, error: nixbox_engine::Error) -> Report {
    let missing = files.stat(from.as_os_str(), Links::Keep).is_err();
    let is_of_the_source = error.errno() == libc::EISDIR
        && files.stat(from.as_os_str(), Links::Follow).is_ok_and(|it| it.attr.kind == nixbox_engine::Kind::Directory);
    failed(if missing || is_of_the_source { from } else { to }, error)
}
