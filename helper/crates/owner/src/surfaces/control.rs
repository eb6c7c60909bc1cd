//! The control socket: verbs ask here. A peer that says nothing, too much or never listens costs only itself.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::geteuid;
use nixbox_control::{MAX_LINE, Request, Response, decode, encode};
use nixbox_report::{Code, codes};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::status::Board;
use crate::stop::{Reason, Stop};

/// More than any project has verbs and subscribers.
const MAX_PEERS: usize = 256;
const REQUEST_WITHIN: Duration = Duration::from_secs(10);
const TAKES_WITHIN: Duration = Duration::from_secs(5);

/// Under the lock only: a socket file that nobody answers behind is a dead owner's and is replaced.
pub(crate) fn bind(path: &Path) -> io::Result<net::UnixListener> {
    match net::UnixStream::connect(path) {
        Ok(_) => return Err(io::ErrorKind::AddrInUse.into()),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path)?,
        Err(_) => {}
    }
    let listener = net::UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Answers from here on until the runtime ends, which is the last thing that a peer waiting for it sees.
pub(crate) fn offer(listener: net::UnixListener, board: Board, stop: Stop) -> io::Result<()> {
    let listener = UnixListener::from_std(listener)?;
    tokio::spawn(async move {
        let room = Arc::new(Semaphore::new(MAX_PEERS));
        loop {
            // Fails only for a closed semaphore, which this one never is.
            let Ok(place) = room.clone().acquire_owned().await else { return };
            match listener.accept().await {
                Ok((peer, _)) => {
                    let (board, stop) = (board.clone(), stop.clone());
                    tokio::spawn(async move {
                        if let Err(error) = serve(peer, &board, &stop).await {
                            tracing::debug!(%error, "control connection ended");
                        }
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "control socket");
                    // Out of descriptors, most likely; they come back.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    });
    Ok(())
}

async fn serve(peer: UnixStream, board: &Board, stop: &Stop) -> io::Result<()> {
    let uid = peer.peer_cred()?.uid();
    if uid != 0 && uid != geteuid().as_raw() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("peer is user {uid}")));
    }
    let (read, mut write) = peer.into_split();
    let mut read = BufReader::new(read);
    let line = match timeout(REQUEST_WITHIN, read_line(&mut read)).await? {
        Ok(line) if line.is_empty() => return Ok(()),
        Ok(line) => line,
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            return say(&mut write, &refused(&codes::CONTROL_LINE_TOO_LONG, "the request is too long")).await;
        }
        Err(error) => return Err(error),
    };
    match understand(&line) {
        Ok(Request::Status) => {
            let status = board.watch().borrow().clone();
            say(&mut write, &Response::Status(status)).await
        }
        Ok(Request::Subscribe) => tell(board.watch(), &mut read, &mut write).await,
        Ok(Request::Stop) => {
            say(&mut write, &Response::Stopping).await?;
            stop.request(Reason::Asked);
            hang_up(&mut read).await
        }
        Err(response) => say(&mut write, &response).await,
    }
}

/// The status now and after every change. Who is slow gets the newest only, who takes nothing is left.
async fn tell(
    mut status: watch::Receiver<nixbox_control::Status>,
    read: &mut BufReader<OwnedReadHalf>,
    write: &mut OwnedWriteHalf,
) -> io::Result<()> {
    loop {
        let now = status.borrow_and_update().clone();
        say(write, &Response::Status(now)).await?;
        tokio::select! {
            changed = status.changed() => if changed.is_err() { return Ok(()) },
            gone = hang_up(read) => return gone,
        }
    }
}

/// Until the peer closes. What else it says is thrown away.
async fn hang_up(read: &mut BufReader<OwnedReadHalf>) -> io::Result<()> {
    loop {
        match read.fill_buf().await?.len() {
            0 => return Ok(()),
            more => read.consume(more),
        }
    }
}

async fn say(write: &mut OwnedWriteHalf, response: &Response) -> io::Result<()> {
    timeout(TAKES_WITHIN, write.write_all(&encode(response))).await?
}

async fn read_line(read: &mut BufReader<OwnedReadHalf>) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    read.take(MAX_LINE as u64).read_until(b'\n', &mut line).await?;
    if line.len() >= MAX_LINE && !line.ends_with(b"\n") {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(line)
}

/// The request, or what to say instead of doing it.
fn understand(line: &[u8]) -> Result<Request, Box<Response>> {
    decode::<Request>(line).map_err(|error| {
        let name = decode::<serde_json::Value>(line).ok();
        Box::new(match name.as_ref().and_then(|value| value.get("request")?.as_str()) {
            Some(name) if error.to_string().starts_with("unknown variant") => {
                refused(&codes::CONTROL_UNKNOWN_REQUEST, &format!("this owner knows no request `{name}`"))
            }
            _ => refused(&codes::CONTROL_MALFORMED, &format!("the request was not understood: {error}")),
        })
    })
}

fn refused(code: &Code, message: &str) -> Response {
    Response::Refused { code: code.id.into(), message: message.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(line: &str) -> String {
        match understand(line.as_bytes()).map_err(|response| *response) {
            Ok(request) => format!("{request:?}"),
            Err(Response::Refused { code, .. }) => code,
            Err(other) => format!("{other:?}"),
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_by_name() {
        assert_eq!(code(r#"{"request":"status"}"#), "Status");
        assert_eq!(code(r#"{"request":"fly"}"#), "nixbox::control::unknown-request");
        assert_eq!(code(r#"{"request":7}"#), "nixbox::control::malformed");
        assert_eq!(code("{}"), "nixbox::control::malformed");
        assert_eq!(code("stop"), "nixbox::control::malformed");
    }
}
