//! `/v1/events`: what happens, as server-sent events, for as long as somebody listens.
//!
//! - `status`: what `/v1/status` says, at once and after every change of it.
//! - `call`: a tool call has begun or ended, as it stands in the timeline. Its number is the event's id, so who names
//!   the last one in `Last-Event-ID` is first told of those since.
//! - `missed`: there were more of those than are told again; the timeline has them.
//! - `changed`: files have changed, and how often; once a second at most.
//!
//! Who does not listen fast enough is left; nobody is waited for.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_core::Stream;
use nixbox_report::Report;
use serde_json::json;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::sleep;

use super::Surface;
use super::answer::refusal;
use super::gate::Working;
use super::status::told;
use crate::follow::Follow;
use crate::surfaces::control::call;

const MAX_FOLLOWERS: i64 = 16;
const HEARTBEAT: Duration = Duration::from_secs(10);
/// At most so many that were missed are told again.
const MAX_AGAIN: i64 = 1000;
/// So many may wait for a listener to take them.
const BEHIND: usize = 256;
const CHANGES_EVERY: Duration = Duration::from_secs(1);

pub(super) async fn events(
    State(surface): State<Surface>,
    Extension(working): Extension<Working>,
    headers: HeaderMap,
) -> Response {
    let last = match headers.get("last-event-id").map(|id| id.to_str().ok().and_then(|id| id.trim().parse().ok())) {
        None => None,
        Some(Some(id)) => Some(id),
        Some(None) => return refusal(StatusCode::BAD_REQUEST, "Last-Event-ID is not one that was given out"),
    };
    if surface.metrics.followers.get() >= MAX_FOLLOWERS {
        return refusal(StatusCode::SERVICE_UNAVAILABLE, "too many listen already");
    }
    let (send, receive) = mpsc::channel(BEHIND);
    surface.metrics.followers.inc();
    tokio::spawn(async move {
        if let Err(Left::Failed(report)) = tell(&surface, last, &send).await {
            tracing::debug!(why = ?report.failures, "a listener was left");
        }
        surface.metrics.followers.dec();
    });
    Sse::new(Told { receive, _working: working }).keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response()
}

/// Why no more is told.
enum Left {
    /// The listener has gone, or is too slow.
    Listener,
    Failed(Report),
}

impl From<Report> for Left {
    fn from(report: Report) -> Self {
        Self::Failed(report)
    }
}

async fn tell(surface: &Surface, last: Option<i64>, to: &Sender<Event>) -> Result<(), Left> {
    let mut status = surface.board.watch();
    let mut follow = Follow::begin(&surface.desk);
    let newest = follow.look(&surface.desk.take(&surface.stop).await?).await?;
    let from = last.filter(|last| (0..newest).contains(last)).unwrap_or(newest);
    status.mark_unchanged();
    send(to, "status", Some(from), &told(surface))?;
    if from < newest - MAX_AGAIN {
        send(to, "missed", None, &json!({ "after": from, "until": newest - MAX_AGAIN }))?;
    }
    let again = from.max(newest - MAX_AGAIN) + 1..=newest;
    tell_calls(surface, &mut follow, again, to).await?;
    let mut changes = surface.metrics.changes().so_far();
    let mut quiet = std::pin::pin!(sleep(Duration::ZERO));
    loop {
        tokio::select! {
            changed = status.changed() => match changed {
                Ok(()) => send(to, "status", None, &told(surface))?,
                Err(_) => return Ok(()),
            },
            calls = follow.next() => match calls {
                Some(calls) => tell_calls(surface, &mut follow, calls, to).await?,
                None => return Ok(()),
            },
            () = async { quiet.as_mut().await; surface.metrics.changes().after(changes).await } => {
                let now = surface.metrics.changes().so_far();
                send(to, "changed", None, &json!({ "changes": now.wrapping_sub(changes) }))?;
                changes = now;
                quiet.set(sleep(CHANGES_EVERY));
            }
            () = to.closed() => return Err(Left::Listener),
        }
    }
}

async fn tell_calls(
    surface: &Surface,
    follow: &mut Follow,
    calls: std::ops::RangeInclusive<i64>,
    to: &Sender<Event>,
) -> Result<(), Left> {
    let request = surface.desk.take(&surface.stop).await?;
    for told in follow.calls(calls, &request).await? {
        let call = call(told);
        let id = call.id;
        send(to, "call", Some(id), &json!(call))?;
    }
    Ok(())
}

fn send(to: &Sender<Event>, name: &str, id: Option<i64>, data: &serde_json::Value) -> Result<(), Left> {
    // JSON has no line breaks of its own, which would end the event.
    let mut event = Event::default().event(name).data(data.to_string());
    if let Some(id) = id {
        event = event.id(id.to_string());
    }
    to.try_send(event).map_err(|_| Left::Listener)
}

struct Told {
    receive: Receiver<Event>,
    _working: Working,
}

impl Stream for Told {
    type Item = Result<Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.receive.poll_recv(cx).map(|event| event.map(Ok))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_too_slow_is_left() {
        let (send_to, mut receive) = mpsc::channel(2);
        let one = || send(&send_to, "changed", None, &json!({})).is_ok();
        assert!(one() && one() && !one());
        assert!(receive.try_recv().is_ok() && one());
        drop(receive);
        assert!(!one());
    }
}
