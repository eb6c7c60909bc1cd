//! The socket by which verbs ask: how it is, to hold still for a copy, to stop. Only its user, and root, are heard.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::geteuid;
use nixbox_control::{HostedPhase, HostedRequest, HostedResponse, HostedStatus, MAX_LINE, decode, encode};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::server::{Server, State};
use crate::stop::{Reason, Stop};

const MAX_PEERS: usize = 32;
const SPEAKS_WITHIN: Duration = Duration::from_secs(10);
/// A copy that takes longer than this is given up, for everybody waits for it.
const HELD_AT_MOST: Duration = Duration::from_secs(600);

#[derive(Clone)]
pub(super) struct Desk {
    pub(super) remote: String,
    pub(super) address: String,
    pub(super) database: PathBuf,
    pub(super) since: u64,
    pub(super) server: Arc<Server>,
    pub(super) stop: Stop,
}

pub(super) fn offer(listener: std::os::unix::net::UnixListener, desk: Desk) -> io::Result<()> {
    let listener = UnixListener::from_std(listener)?;
    tokio::spawn(async move {
        let room = Arc::new(Semaphore::new(MAX_PEERS));
        loop {
            // Fails only for a closed semaphore, which this one never is.
            let Ok(place) = room.clone().acquire_owned().await else { return };
            match listener.accept().await {
                Ok((peer, _)) => {
                    let desk = desk.clone();
                    tokio::spawn(async move {
                        if let Err(error) = desk.talk(peer).await {
                            tracing::debug!(%error, "control connection ended");
                        }
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "control socket");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    });
    Ok(())
}

impl Desk {
    async fn talk(&self, peer: UnixStream) -> io::Result<()> {
        let uid = peer.peer_cred()?.uid();
        if uid != 0 && uid != geteuid().as_raw() {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("peer is user {uid}")));
        }
        let mut talk = Talk(BufReader::new(peer));
        match talk.hear(SPEAKS_WITHIN).await? {
            Some(HostedRequest::Status) => talk.say(&HostedResponse::Status(self.status())).await,
            Some(HostedRequest::Hold) => self.hold(&mut talk).await,
            Some(HostedRequest::Stop) => {
                talk.say(&HostedResponse::Stopping).await?;
                self.stop.request(Reason::Asked);
                // It closes with the process: for who waits, it is gone then.
                std::future::pending().await
            }
            Some(HostedRequest::Release) | None => Ok(()),
        }
    }

    /// Everybody else waits meanwhile. A server that is being started again writes nothing either, but may begin to.
    async fn hold(&self, talk: &mut Talk) -> io::Result<()> {
        let turn = self.server.turn().await;
        if !turn.is_quiet().await {
            return Ok(());
        }
        let restarts = self.server.restarts();
        talk.say(&HostedResponse::Held).await?;
        if talk.hear(HELD_AT_MOST).await? == Some(HostedRequest::Release)
            && self.server.restarts() == restarts
            && matches!(*self.server.state().borrow(), State::Up(_))
        {
            talk.say(&HostedResponse::Released).await?;
        }
        drop(turn);
        Ok(())
    }

    fn status(&self) -> HostedStatus {
        let phase = match *self.server.state().borrow() {
            _ if self.stop.is_requested() => HostedPhase::Stopping,
            State::Up(_) => HostedPhase::Ready,
            State::Down => HostedPhase::Starting,
        };
        HostedStatus {
            remote: self.remote.clone(),
            pid: std::process::id() as i32,
            since: self.since,
            phase,
            address: self.address.clone(),
            database: self.database.clone(),
            apart: self.server.is_apart(),
            restarts: self.server.restarts(),
            requests: self.server.requests(),
        }
    }
}

struct Talk(BufReader<UnixStream>);

impl Talk {
    async fn hear(&mut self, within: Duration) -> io::Result<Option<HostedRequest>> {
        let mut line = Vec::new();
        let mut limited = (&mut self.0).take(MAX_LINE as u64);
        timeout(within, limited.read_until(b'\n', &mut line)).await??;
        match line.is_empty() {
            true => Ok(None),
            false => decode(&line).map(Some).map_err(io::Error::from),
        }
    }

    async fn say(&mut self, response: &HostedResponse) -> io::Result<()> {
        self.0.get_mut().write_all(&encode(response)).await
    }
}
