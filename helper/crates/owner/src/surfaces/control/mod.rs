//! The control socket: verbs ask here. A peer that says nothing, too much or never listens costs only itself.

mod files;
mod kv;
mod review;
mod snapshot;
mod sync;
mod talk;
mod timeline;
mod tools;

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::geteuid;
use nixbox_config::Instance;
use nixbox_control::{Request, Response, SyncRequest, decode};
use nixbox_report::{Failure, Report, codes};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};

pub(crate) use self::files::entry::kind as file_kind;
pub(crate) use self::files::search;
use self::talk::{Ended, Talk};
pub(crate) use self::timeline::call;
use crate::desk::Desk;
use crate::mcp::{self, Agent};
use crate::status::Board;
use crate::stop::{Reason, Stop};

/// More than any project has verbs and subscribers.
const MAX_PEERS: usize = 256;

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
pub(crate) fn offer(
    listener: net::UnixListener,
    instance: Arc<Instance>,
    board: Board,
    desk: Desk,
    stop: Stop,
) -> io::Result<()> {
    let listener = UnixListener::from_std(listener)?;
    tokio::spawn(async move {
        let room = Arc::new(Semaphore::new(MAX_PEERS));
        loop {
            // Fails only for a closed semaphore, which this one never is.
            let Ok(place) = room.clone().acquire_owned().await else { return };
            match listener.accept().await {
                Ok((peer, _)) => {
                    let (instance, board) = (instance.clone(), board.clone());
                    let (desk, stop) = (desk.clone(), stop.clone());
                    tokio::spawn(async move {
                        if let Err(error) = serve(peer, &instance, &board, &desk, &stop).await {
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

async fn serve(peer: UnixStream, instance: &Arc<Instance>, board: &Board, desk: &Desk, stop: &Stop) -> io::Result<()> {
    let uid = peer.peer_cred()?.uid();
    if uid != 0 && uid != geteuid().as_raw() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("peer is user {uid}")));
    }
    let mut talk = Talk::with(peer);
    let Some(request) = hear(&mut talk).await? else { return Ok(()) };
    desk.metrics().request(kind(&request));
    match request {
        Request::Status => {
            let status = board.watch().borrow().clone();
            talk.say(&Response::Status(status)).await
        }
        // A look at a few numbers, and at the size of two files.
        Request::Usage => talk.say(&Response::Usage(desk.metrics().usage())).await,
        Request::Subscribe => tell(board.watch(), &mut talk).await,
        Request::Stop { keep } => {
            if keep && let Err(report) = stop.keep() {
                return talk.refuse(&report).await;
            }
            talk.say(&Response::Stopping).await?;
            stop.request(Reason::Asked);
            talk.hang_up().await
        }
        Request::Mcp => {
            let agent = Agent::new(instance.clone(), desk.clone(), stop.clone());
            Conversation { request, talk }.session(agent, stop).await
        }
        request => work(request, &mut talk, desk, stop).await,
    }
}

/// A conversation with whoever started this process for it, once it is known what is asked.
pub(crate) struct Conversation {
    request: Request,
    talk: Talk,
}

/// `None` where there is nothing to answer.
pub(crate) async fn converse(peer: UnixStream) -> io::Result<Option<Conversation>> {
    let mut talk = Talk::with(peer);
    Ok(hear(&mut talk).await?.map(|request| Conversation { request, talk }))
}

impl Conversation {
    pub(crate) fn is_a_session(&self) -> bool {
        self.request == Request::Mcp
    }

    pub(crate) async fn session(mut self, agent: Agent, stop: &Stop) -> io::Result<()> {
        self.talk.say(&Response::Yours).await?;
        let (read, write) = self.talk.into_parts();
        mcp::serve(agent, read, write, stop).await
    }

    pub(crate) async fn refuse(&mut self, report: &Report) -> io::Result<()> {
        self.talk.refuse(report).await
    }

    /// `open` is called where the database is needed.
    pub(crate) async fn answer(
        self,
        desk: &Desk,
        stop: &Stop,
        open: impl FnOnce() -> Result<(), Report>,
    ) -> io::Result<()> {
        let Self { request, mut talk } = self;
        let nobody_serves = match &request {
            Request::Status | Request::Usage | Request::Subscribe | Request::Stop { .. } => true,
            Request::Timeline(timeline) => timeline.follow,
            // Whatever was taken would be given back at once.
            Request::Sync(SyncRequest::Watch | SyncRequest::Take { .. }) => true,
            _ => false,
        };
        if nobody_serves {
            let failure = Failure::new(&codes::OWNER_NOT_RUNNING, "no owner serves this instance")
                .why("only an owner that serves it can be asked for that")
                .help("start it with `nixbox-helper up`");
            return talk.refuse(&failure.into()).await;
        }
        match open() {
            Ok(()) => work(request, &mut talk, desk, stop).await,
            Err(report) => talk.refuse(&report).await,
        }
    }
}

/// `None` where there is nothing to answer any more.
async fn hear(talk: &mut Talk) -> io::Result<Option<Request>> {
    let refused = match talk.line().await {
        Ok(None) => return Ok(None),
        Ok(Some(line)) => match understand(&line) {
            Ok(request) => return Ok(Some(request)),
            Err(report) => report,
        },
        Err(Ended::Refused(report)) => report,
        Err(Ended::Peer(error)) => return Err(error),
    };
    talk.refuse(&refused).await?;
    Ok(None)
}

fn kind(request: &Request) -> &'static str {
    match request {
        Request::Status => "status",
        Request::Usage => "usage",
        Request::Subscribe => "subscribe",
        Request::Stop { .. } => "stop",
        Request::Kv(_) => "kv",
        Request::Tool(_) => "tool",
        Request::Timeline(_) => "timeline",
        Request::Files(_) => "files",
        Request::Review(_) => "review",
        Request::Snapshot(_) => "snapshot",
        Request::Sync(_) => "sync",
        Request::Mcp => "mcp",
    }
}

/// What is done with the database.
async fn work(asked: Request, talk: &mut Talk, desk: &Desk, stop: &Stop) -> io::Result<()> {
    let done = match desk.take(stop).await {
        Err(report) => Err(report.into()),
        Ok(request) => match asked {
            Request::Kv(asked) => kv::answer(asked, talk, &request).await,
            Request::Tool(asked) => tools::answer(asked, talk, &request).await,
            Request::Timeline(asked) => timeline::answer(asked, talk, &request).await,
            Request::Files(asked) => files::answer(asked, talk, &request).await,
            Request::Review(asked) => review::answer(asked, talk, &request).await,
            Request::Snapshot(asked) => snapshot::answer(asked, talk, &request).await,
            Request::Sync(asked) => sync::answer(asked, talk, &request).await,
            // Answered before they come here.
            Request::Status | Request::Usage | Request::Subscribe | Request::Stop { .. } | Request::Mcp => Ok(()),
        },
    };
    match done {
        Ok(()) => Ok(()),
        Err(Ended::Refused(report)) => talk.refuse(&report).await,
        Err(Ended::Peer(error)) => Err(error),
    }
}

/// The status now and after every change. Who is slow gets the newest only, who takes nothing is left.
async fn tell(mut status: watch::Receiver<nixbox_control::Status>, talk: &mut Talk) -> io::Result<()> {
    loop {
        let now = status.borrow_and_update().clone();
        talk.say(&Response::Status(now)).await?;
        tokio::select! {
            changed = status.changed() => if changed.is_err() { return Ok(()) },
            gone = talk.hang_up() => return gone,
        }
    }
}

/// The request, or why there is none.
fn understand(line: &[u8]) -> Result<Request, Report> {
    decode::<Request>(line).map_err(|error| {
        let said = decode::<serde_json::Value>(line).ok();
        let name = said.as_ref().and_then(|value| value.get("request")?.as_str());
        let failure = match name {
            Some(name) if error.to_string().starts_with("unknown variant") => {
                Failure::new(&codes::CONTROL_UNKNOWN_REQUEST, format!("this owner knows no request `{name}`"))
                    .why("it is older or newer than the program that asks")
                    .help("restart the owner")
            }
            _ => Failure::new(&codes::CONTROL_MALFORMED, "the request was not understood").why(error),
        };
        failure.into()
    })
}

/// Text that is JSON, without the blanks around it.
fn json(text: Vec<u8>) -> Result<String, String> {
    let text = String::from_utf8(text).map_err(|error| error.to_string())?;
    serde_json::from_str::<serde::de::IgnoredAny>(&text).map_err(|error| error.to_string())?;
    Ok(text.trim_matches([' ', '\t', '\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(line: &str) -> String {
        match understand(line.as_bytes()) {
            Ok(request) => format!("{request:?}"),
            Err(report) => report.failures[0].code.id.to_owned(),
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_by_name() {
        assert_eq!(code(r#"{"request":"status"}"#), "Status");
        assert_eq!(code(r#"{"request":"fly"}"#), "nixbox::control::unknown-request");
        assert_eq!(code(r#"{"request":7}"#), "nixbox::control::malformed");
        assert_eq!(code("{}"), "nixbox::control::malformed");
        assert_eq!(code(r#"{"request":"kv","do":"delete","key":"a"}"#), r#"Kv(Delete { key: "a" })"#);
        assert_eq!(code(r#"{"request":"kv","do":"fly"}"#), "nixbox::control::unknown-request");
        assert_eq!(code(r#"{"request":"kv","do":"get"}"#), "nixbox::control::malformed");
        assert_eq!(code("stop"), "nixbox::control::malformed");
    }
}
