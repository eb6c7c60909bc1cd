//! The instance and its remote. What takes as long as a network does runs beside the threads for other requests.

use nixbox_control::{Response, SyncLine, SyncRequest};
use nixbox_report::{Failure, Report, codes};

use super::talk::{Ended, Talk, lines};
use crate::desk::{Open, Request};
use crate::sync;

pub(super) async fn answer(asked: SyncRequest, talk: &mut Talk, request: &Request) -> Result<(), Ended> {
    let told: Vec<SyncLine> = match asked {
        SyncRequest::Look => aside(request, |open| sync::on(open)?.look(&open.local)).await?,
        SyncRequest::Pull => vec![aside(request, |open| sync::on(open)?.pull(&open.local)).await?],
        SyncRequest::Push => vec![aside(request, |open| sync::on(open)?.push(&open.local)).await?],
        SyncRequest::Fetch { paths } => {
            vec![aside(request, move |open| sync::on(open)?.fetch(&open.local, &open.files, &paths)).await?]
        }
        SyncRequest::Resolve { name, take } => {
            aside(request, move |open| sync::on(open)?.resolve(&open.local, &name, take)).await?;
            return Ok(talk.say(&Response::Done).await?);
        }
    };
    talk.begin_body().await?;
    talk.send(&lines(told), request.stop()).await?;
    Ok(talk.end_body().await?)
}

async fn aside<T: Send + 'static>(
    request: &Request,
    work: impl FnOnce(&Open) -> Result<T, Report> + Send + 'static,
) -> Result<T, Ended> {
    let broken = |error| Report::from(Failure::new(&codes::UNEXPECTED, "a sync broke off").why(error));
    Ok(request.aside(work).await.map_err(broken)??)
}
