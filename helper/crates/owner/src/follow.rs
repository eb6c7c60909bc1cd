//! The tool log as it grows.

use std::ops::RangeInclusive;

use nixbox_engine::ToolCall;
use nixbox_report::Report;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::desk::{Desk, Request};
use crate::failure;

pub(crate) struct Follow {
    events: broadcast::Receiver<i64>,
    /// All up to here were told, or were there before.
    seen: i64,
}

impl Follow {
    /// Before a look back, so that none falls in between.
    pub(crate) fn begin(desk: &Desk) -> Self {
        Self { events: desk.follow(), seen: 0 }
    }

    /// The number of the newest call there is; those after it are to come.
    pub(crate) async fn look(&mut self, request: &Request) -> Result<i64, Report> {
        self.seen = request.work(|open| open.calls.newest().map_err(failure::working)).await?;
        Ok(self.seen)
    }

    /// The numbers of those that have begun or ended; `None` when there will be no more.
    pub(crate) async fn next(&mut self) -> Option<RangeInclusive<i64>> {
        match self.events.recv().await {
            Ok(id) if id <= self.seen => Some(id..=id),
            Ok(id) => Some(self.seen + 1..=id),
            // Too slow: what is new is looked up by number. What had begun before and ended meanwhile is not told.
            Err(RecvError::Lagged(_)) => Some(self.seen + 1..=i64::MAX),
            Err(RecvError::Closed) => None,
        }
    }

    /// Those calls, as far as there are any.
    pub(crate) async fn calls(
        &mut self,
        wanted: RangeInclusive<i64>,
        request: &Request,
    ) -> Result<Vec<ToolCall>, Report> {
        let (calls, newest) = request
            .work(move |open| {
                let newest = open.calls.newest().map_err(failure::working)?.min(*wanted.end());
                let mut calls = Vec::new();
                for id in *wanted.start()..=newest {
                    calls.extend(open.calls.get(id).map_err(failure::working)?);
                }
                Ok((calls, newest))
            })
            .await?;
        self.seen = self.seen.max(newest);
        Ok(calls)
    }
}
