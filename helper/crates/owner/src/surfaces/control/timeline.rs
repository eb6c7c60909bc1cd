//! The tool log, as it is read: some of it, or everything new from here on.

use nixbox_control::{TimelineRequest, ToolCall};
use nixbox_engine::Filter;

use super::talk::{Ended, Talk, lines};
use crate::desk::Request;
use crate::failure;
use crate::follow::Follow;

pub(super) async fn answer(asked: TimelineRequest, talk: &mut Talk, request: &Request) -> Result<(), Ended> {
    let TimelineRequest { limit, tool, status, since, until, path, follow } = asked;
    let filter = Filter { tool, status, since, until, path };
    let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    if follow {
        return tell_on(filter, limit, talk, request).await;
    }
    let (mut left, mut behind, mut begun) = (limit, None, false);
    loop {
        let (asked, from) = (filter.clone(), behind);
        let (mut calls, next) =
            request.work(move |open| open.calls.page(&asked, from).map_err(failure::working)).await?;
        if !std::mem::replace(&mut begun, true) {
            talk.begin_body().await?;
        }
        calls.truncate(left);
        left -= calls.len();
        talk.send(&lines(calls.into_iter().map(call)), request.stop()).await?;
        behind = next;
        if behind.is_none() || left == 0 {
            return Ok(talk.end_body().await?);
        }
    }
}

/// The newest `limit` that there are, oldest first, then each that begins or ends, until somebody closes.
async fn tell_on(filter: Filter, limit: usize, talk: &mut Talk, request: &Request) -> Result<(), Ended> {
    let mut follow = Follow::begin(request.desk());
    let asked = filter.clone();
    let past = request
        .work(move |open| {
            let (mut past, mut behind) = (Vec::new(), None);
            while past.len() < limit {
                let (calls, next) = open.calls.page(&asked, behind).map_err(failure::working)?;
                past.extend(calls);
                behind = next;
                if behind.is_none() {
                    break;
                }
            }
            past.truncate(limit);
            past.reverse();
            Ok(past)
        })
        .await?;
    follow.look(request).await?;
    talk.begin_body().await?;
    talk.send(&lines(past.into_iter().map(call)), request.stop()).await?;
    loop {
        let wanted = tokio::select! {
            wanted = follow.next() => wanted,
            gone = talk.hang_up() => return Ok(gone?),
            () = request.stop().requested() => None,
        };
        let Some(wanted) = wanted else { return Ok(talk.end_body().await?) };
        let calls = follow.calls(wanted, request).await?;
        let wanted = calls.into_iter().filter(|call| filter.wants(call));
        talk.send(&lines(wanted.map(call)), request.stop()).await?;
    }
}

pub(crate) fn call(call: nixbox_engine::ToolCall) -> ToolCall {
    ToolCall {
        id: call.id,
        name: call.name,
        parameters: call.parameters,
        result: call.result,
        error: call.error,
        status: call.status,
        started_at: call.started_at,
        completed_at: call.completed_at,
        duration_ms: call.duration_ms,
    }
}
