//! What an instance comes to, a few changes at a time: there may be any number.

use nixbox_control::ReviewRequest;

use super::talk::{Ended, Talk, lines};
use crate::desk::Request;
use crate::review::Looking;

/// How many changes are told at a time.
const CHANGES: usize = 256;

pub(super) async fn answer(asked: ReviewRequest, talk: &mut Talk, request: &Request) -> Result<(), Ended> {
    let (paths, wants) = match asked {
        ReviewRequest::Changes { paths } => (paths, None),
        ReviewRequest::Differences { paths, patch } => (paths, Some(patch)),
    };
    let mut looking = request.work(move |open| Looking::begin(open, &paths)).await?;
    talk.begin_body().await?;
    loop {
        let (told, back) = request
            .work(move |_| {
                let told = match wants {
                    None => looking.changes(CHANGES).map(lines)?,
                    // Each may be of some megabytes.
                    Some(patch) => looking.difference(patch).map(lines)?,
                };
                Ok((told, looking))
            })
            .await?;
        if told.is_empty() {
            return Ok(talk.end_body().await?);
        }
        talk.send(&told, request.stop()).await?;
        looking = back;
    }
}
