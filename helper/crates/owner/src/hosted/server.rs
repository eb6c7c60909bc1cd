//! `tursodb` while it runs: one at a time asks it, and where it ends by itself it is started again, a few times.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nixbox_supervisor::{Ended, Spec};
use tokio::sync::{Mutex, Notify, OwnedMutexGuard, mpsc, watch};
use tokio::time::{sleep, timeout};

use super::apart::Place;
use super::exchange::{Answer, Broken, Route, exchange};
use super::spool::Spool;
use crate::program::Program;

/// Longer than a push of a gigabyte takes.
const ANSWERS_WITHIN: Duration = Duration::from_secs(300);
const READY_WITHIN: Duration = Duration::from_secs(30);
const PROBE_WITHIN: Duration = Duration::from_secs(5);
const PROBE_AGAIN: Duration = Duration::from_millis(10);
const ENDS_WITHIN: Duration = Duration::from_secs(1);
/// As often within this time it may end by itself; once more is too often.
const RESTARTS: usize = 5;
const RESTARTS_WITHIN: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_millis(50);

const PROBE: &str =
    r#"{"baton":null,"requests":[{"type":"execute","stmt":{"sql":"SELECT 1","args":[],"want_rows":true}}]}"#;
/// What a client that was broken off has left open would be in the next one's way.
const TIDY: &str = r#"{"baton":null,"requests":[{"type":"batch","batch":{"steps":[{"condition":{"type":"not","cond":{"type":"is_autocommit"}},"stmt":{"sql":"ROLLBACK","args":[],"want_rows":false}}]}}]}"#;

/// What is run.
#[derive(Debug, Clone)]
pub(super) struct Order {
    pub(super) program: PathBuf,
    pub(super) database: PathBuf,
    pub(super) place: Place,
}

/// Where it can be asked, while it can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Down,
    Up(SocketAddr),
}

pub(super) struct Server {
    order: Order,
    state: watch::Sender<State>,
    one: Arc<Mutex<()>>,
    /// It is at a request for longer than anything takes.
    stuck: Notify,
    restarts: AtomicU64,
    requests: AtomicU64,
}

/// The right to ask. Nobody else is asking while it is kept.
pub(super) struct Turn {
    server: Arc<Server>,
    _one: OwnedMutexGuard<()>,
}

/// Why it is served no more.
#[derive(Debug, thiserror::Error)]
pub(super) enum Over {
    #[error("it cannot be started: {0}")]
    NotStarted(std::io::Error),
    #[error("it ended with {}", .0.describe())]
    Ended(Ended),
    #[error("it runs, and did not answer within {} s", READY_WITHIN.as_secs())]
    Silent,
}

impl Server {
    pub(super) fn new(order: Order) -> Arc<Self> {
        Arc::new(Self {
            order,
            state: watch::Sender::new(State::Down),
            one: Arc::default(),
            stuck: Notify::new(),
            restarts: AtomicU64::new(0),
            requests: AtomicU64::new(0),
        })
    }

    pub(super) fn state(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    pub(super) fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Relaxed)
    }

    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    pub(super) fn is_apart(&self) -> bool {
        self.order.place.apart
    }

    /// In the order in which it was asked for.
    pub(super) async fn turn(self: &Arc<Self>) -> Turn {
        Turn { server: self.clone(), _one: self.one.clone().lock_owned().await }
    }

    /// Runs it until `stop`, or until it ends too often.
    pub(super) async fn keep(&self, stop: impl Future<Output = ()>) -> Result<(), Over> {
        let mut stop = std::pin::pin!(stop);
        let mut ends: Vec<Instant> = Vec::new();
        loop {
            let (told, mut ended) = mpsc::unbounded_channel();
            let address = self.order.place.address().map_err(Over::NotStarted)?;
            let spec = Spec::new(&self.order.program)
                .args([self.order.database.as_os_str()])
                .args(["--sync-server", &address.to_string()]);
            let said = |line: &str| tracing::info!(tursodb = line);
            let program = Program::start(spec, said, move |end| drop(told.send(end))).map_err(Over::NotStarted)?;
            let over = tokio::select! {
                () = &mut stop => None,
                over = self.run(address, &mut ended) => Some(over),
            };
            self.state.send_replace(State::Down);
            let Some(over) = over else {
                end(program).await;
                return Ok(());
            };
            end(program).await;
            ends.retain(|at| at.elapsed() < RESTARTS_WITHIN);
            if ends.len() >= RESTARTS || ends.is_empty() && matches!(over, Over::Silent) {
                return Err(over);
            }
            tracing::error!(reason = %over, "tursodb is started again");
            let pause = FIRST_PAUSE * (1 << ends.len());
            ends.push(Instant::now());
            self.restarts.fetch_add(1, Ordering::Relaxed);
            tokio::select! {
                () = &mut stop => return Ok(()),
                () = sleep(pause) => {}
            }
        }
    }

    /// From its start until it is of no more use.
    async fn run(&self, address: SocketAddr, ended: &mut mpsc::UnboundedReceiver<Ended>) -> Over {
        let ready = async {
            while !self.answers(address).await {
                sleep(PROBE_AGAIN).await;
            }
        };
        tokio::select! {
            end = ended.recv() => return end.map_or(Over::Silent, Over::Ended),
            is_ready = timeout(READY_WITHIN, ready) => if is_ready.is_err() { return Over::Silent },
        }
        self.state.send_replace(State::Up(address));
        tokio::select! {
            end = ended.recv() => end.map_or(Over::Silent, Over::Ended),
            () = self.stuck.notified() => Over::Silent,
        }
    }

    /// A whole question and a whole answer: what only accepts a connection may serve nothing.
    async fn answers(&self, address: SocketAddr) -> bool {
        let room = self.room();
        let asked = tokio::task::spawn_blocking(move || say(address, PROBE, &room, PROBE_WITHIN));
        matches!(asked.await, Ok(Ok(answer)) if answer.status == 200)
    }

    fn room(&self) -> PathBuf {
        self.order.database.parent().map_or_else(Default::default, PathBuf::from)
    }
}

/// One that is told to end ends at once: what it has not written it has told nobody.
async fn end(program: Program) {
    let ended = tokio::task::spawn_blocking(move || {
        program.interrupt();
        if !program.ends_within(ENDS_WITHIN) {
            program.kill();
            program.ends_within(ENDS_WITHIN);
        }
    });
    // Fails only where that thread panics, and then it ends with this process.
    let _ = ended.await;
}

fn say(server: SocketAddr, text: &str, room: &std::path::Path, within: Duration) -> Result<Answer, Broken> {
    let mut body = Spool::new(room);
    body.push(text.as_bytes()).map_err(Broken::NoRoom)?;
    exchange(server, Route::Pipeline, &mut body, room, within)
}

impl Turn {
    /// Whoever asked may have gone meanwhile; it is done all the same, and the next one's turn comes only then. `begins`:
    /// it may leave a transaction open.
    pub(super) async fn ask(
        self,
        server: SocketAddr,
        route: Route,
        mut body: Spool,
        begins: bool,
    ) -> Result<Answer, Broken> {
        self.server.requests.fetch_add(1, Ordering::Relaxed);
        let done = tokio::task::spawn_blocking(move || {
            let room = self.server.room();
            let answer = exchange(server, route, &mut body, &room, ANSWERS_WITHIN);
            match &answer {
                Err(Broken::Stuck(_)) => self.server.stuck.notify_one(),
                Ok(_) if begins => drop(say(server, TIDY, &room, PROBE_WITHIN)),
                _ => {}
            }
            answer
        });
        done.await.unwrap_or(Err(Broken::Junk))
    }

    /// Nothing is at work on the database for as long as the turn is kept: it does one thing after the other, and has
    /// answered.
    pub(super) async fn is_quiet(&self) -> bool {
        let state = *self.server.state.borrow();
        match state {
            State::Up(address) => self.server.answers(address).await,
            State::Down => false,
        }
    }
}
