//! Frozen copies of the instance.

use nixbox_control::{Snapshot, SnapshotRequest};
use nixbox_report::Report;

use super::talk::{Ended, Talk, lines};
use crate::desk::{Open, Request};
use crate::failure;
use crate::shelf::Shelf;

pub(super) async fn answer(asked: SnapshotRequest, talk: &mut Talk, request: &Request) -> Result<(), Ended> {
    let work = move |open: &Open| -> Result<Vec<Snapshot>, Report> {
        let shelf = Shelf::of(&open.folder);
        match asked {
            SnapshotRequest::List => shelf.all().map_err(|error| failure::io(&open.folder, &error).into()),
            SnapshotRequest::Keep { before } => {
                open.files.settle();
                shelf.keep(&open.snapshots, &before).map(|kept| vec![kept])
            }
        }
    };
    let all = request.work(work).await?;
    talk.begin_body().await?;
    talk.send(&lines(all), request.stop()).await?;
    Ok(talk.end_body().await?)
}
