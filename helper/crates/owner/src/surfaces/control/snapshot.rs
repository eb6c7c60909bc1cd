//! Frozen copies of the instance.

use nixbox_control::SnapshotRequest;

use super::talk::{Ended, Talk, lines};
use crate::desk::Request;
use crate::failure;
use crate::shelf::Shelf;

pub(super) async fn answer(asked: SnapshotRequest, talk: &mut Talk, request: &Request) -> Result<(), Ended> {
    let SnapshotRequest::List = asked;
    let all = request
        .work(|open| Shelf::of(&open.folder).all().map_err(|error| failure::io(&open.folder, &error).into()))
        .await?;
    talk.begin_body().await?;
    talk.send(&lines(all), request.stop()).await?;
    Ok(talk.end_body().await?)
}
