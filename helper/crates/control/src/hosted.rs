//! Whoever serves a remote of this project's own, and how it is asked.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::client::{Client, Error};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case")]
pub enum HostedRequest {
    Status,
    /// Answered with `held` when nothing is at work on the database, and then nothing is until `release` or the end of the
    /// connection.
    Hold,
    /// Answered with `released` where it was held all the time.
    Release,
    Stop,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum HostedResponse {
    Status(HostedStatus),
    Held,
    Released,
    Stopping,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HostedPhase {
    /// `tursodb` has not answered yet, or was started again
    Starting,
    Ready,
    Stopping,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostedStatus {
    pub remote: String,
    pub pid: i32,
    /// Milliseconds since 1970.
    pub since: u64,
    pub phase: HostedPhase,
    pub address: String,
    pub database: PathBuf,
    /// `tursodb` can be reached through this process alone.
    pub apart: bool,
    /// How often `tursodb` was started again.
    pub restarts: u64,
    /// Requests that were passed on.
    pub requests: u64,
}

/// A connection to whoever serves a remote.
#[derive(Debug)]
pub struct Hosted(Client);

impl Hosted {
    pub fn connect(socket: &Path) -> Result<Self, Error> {
        Client::connect(socket).map(Self)
    }

    pub fn status(mut self, within: Duration) -> Result<HostedStatus, Error> {
        match self.ask(HostedRequest::Status, within)? {
            HostedResponse::Status(status) => Ok(status),
            other => Err(unexpected(&other)),
        }
    }

    /// Returns when nothing is at work, and nothing will be while the hold is kept.
    pub fn hold(mut self, within: Duration) -> Result<Hold, Error> {
        match self.ask(HostedRequest::Hold, within)? {
            HostedResponse::Held => Ok(Hold(self)),
            other => Err(unexpected(&other)),
        }
    }

    /// Returns when it has let go of everything and is gone.
    pub fn stop(mut self, within: Duration) -> Result<(), Error> {
        let until = Some(Instant::now() + within);
        self.ask(HostedRequest::Stop, within)?;
        match self.0.next_line::<HostedResponse>(until) {
            Err(Error::Closed) => Ok(()),
            Err(error) => Err(error),
            Ok(other) => Err(unexpected(&other)),
        }
    }

    fn ask(&mut self, request: HostedRequest, within: Duration) -> Result<HostedResponse, Error> {
        let until = Some(Instant::now() + within);
        self.0.send(&request, until)?;
        self.0.next_line(until)
    }
}

/// Kept while the database must not change.
#[derive(Debug)]
pub struct Hold(Hosted);

impl Hold {
    /// Fails where it has not held until now.
    pub fn release(mut self, within: Duration) -> Result<(), Error> {
        match self.0.ask(HostedRequest::Release, within)? {
            HostedResponse::Released => Ok(()),
            other => Err(unexpected(&other)),
        }
    }
}

fn unexpected(answer: &HostedResponse) -> Error {
    Error::Protocol(format!("unexpected answer {answer:?}"))
}
