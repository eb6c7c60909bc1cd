//! `serve-remote NAME`: a remote of this project's own. `tursodb --sync-server` does the work; it asks nobody for a token,
//! lets everybody do everything, and has one connection for all of them. So it runs where only this process can reach it
//! ([`apart`]), and what is reached from outside is here ([`front`]): it lets in who has the token, takes a request whole
//! before it passes it on ([`spool`], [`exchange`]), and refuses statements that reach beyond the database ([`guard`]).

mod apart;
mod desk;
mod exchange;
mod failures;
mod front;
mod guard;
mod numbers;
mod plan;
mod server;
mod spool;
mod sql;
mod token;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nixbox_report::{Failure, Report, codes};
use nixbox_state::Lock;
use sd_notify::NotifyState;
use tokio::time::timeout;

use self::apart::Place;
use self::plan::Plan;
use self::server::{Order, Server, State};
use crate::args::Target;
use crate::failure;
use crate::folders;
use crate::held;
use crate::logging;
use crate::moment;
use crate::serve::notify;
use crate::signals;
use crate::stop::Stop;
use crate::surfaces::control;
use crate::surfaces::http::accept;
use crate::token::Token;
use crate::upstream::on_path;

const PROGRAM: &str = "tursodb";
/// What a request that is at work when the stop comes may still take.
const LAST_REQUEST: Duration = Duration::from_secs(2);

pub(crate) fn run(target: &Target) -> Result<(), Report> {
    let plan = Plan::read(target)?;
    logging::start(plan.log_level, target.project.log_format);
    let paths = &plan.served.paths;
    // What is synced is in it, and the token.
    nixbox_state::create_private_dir(&paths.dir).map_err(|error| failure::io(&paths.dir, &error))?;
    folders::runtime(&plan.runtime_dir)?;
    let since = moment::now();
    let lock =
        held::take_at(&paths.lock, since, Some(&paths.socket)).map_err(|error| failures::held(&plan.name, error))?;
    let program = program(&plan)?;
    let token = token::had(&plan.token, &plan.name, &plan.root)?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, plan.served.port));
    // Before the network is left in which it is to be reached.
    let listener = TcpListener::bind(address).map_err(|error| failures::bind(&plan.name, address, &error))?;
    let order = Order { program, database: paths.db.clone(), place: Place::make() };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(&codes::UNEXPECTED, "the remote cannot be served").why(error))?;
    let hosting = Hosting { since, lock, listener, address, token, order, plan };
    let end = runtime.block_on(hosting.serve());
    // Closes the control connections: for who waits on one, this process is gone now.
    runtime.shutdown_background();
    end
}

fn program(plan: &Plan) -> Result<PathBuf, Report> {
    let named = plan.served.program.clone();
    let found = named.clone().filter(|path| path.is_file()).or_else(|| on_path(PROGRAM).filter(|_| named.is_none()));
    found.ok_or_else(|| {
        let why = match &named {
            Some(path) => format!("`remotes.{}.serve.program` is {}, which is no file", plan.name, path.display()),
            None => "it is not on PATH".to_owned(),
        };
        failures::program(&plan.name).why(why).into()
    })
}

/// All that is held, from its start to its end.
struct Hosting {
    plan: Plan,
    since: u64,
    lock: Lock,
    listener: TcpListener,
    address: SocketAddr,
    token: Token,
    order: Order,
}

impl Hosting {
    async fn serve(self) -> Result<(), Report> {
        let Self { plan, since, lock, listener, address, token, order } = self;
        let paths = &plan.served.paths;
        let stop = Stop::new();
        signals::listen(&stop)?;
        let socket = control::bind(&paths.socket).map_err(|error| failure::io(&paths.socket, &error))?;
        let server = Server::new(order);
        let numbers = Arc::new(numbers::Numbers::new(&plan.name, &plan.served));
        let desk = desk::Desk {
            remote: plan.name.clone(),
            address: format!("http://{address}"),
            database: paths.db.clone(),
            since,
            server: server.clone(),
            stop: stop.clone(),
        };
        let front = front::Front { server: server.clone(), numbers: numbers.clone(), room: paths.dir.clone() };
        let app = front::router(front, token, plan.served.hosts.clone());
        let offered = listener
            .set_nonblocking(true)
            .and_then(|()| tokio::net::TcpListener::from_std(listener))
            .and_then(|listener| desk::offer(socket, desk).map(|()| listener));
        let ended = match offered {
            Ok(listener) => {
                tokio::spawn(accept::run(listener, app, numbers.connections.clone()));
                tokio::spawn(tell_ready(server.clone(), address));
                numbers.look_at_the_log();
                server
                    .keep(last_request(server.clone(), stop.clone()))
                    .await
                    .map_err(|over| failures::over(&plan.name, &over))
            }
            Err(error) => Err(failures::bind(&plan.name, address, &error)),
        };
        notify(&[NotifyState::Stopping]);
        let _ = std::fs::remove_file(&paths.socket);
        drop(lock);
        ended.map_err(Into::into)
    }
}

/// From the stop on, until nothing is at work any more, or for as long as that may take.
async fn last_request(server: Arc<Server>, stop: Stop) {
    stop.requested().await;
    tracing::info!("stopping");
    // Whoever comes after it waits until the connection closes.
    if let Ok(turn) = timeout(LAST_REQUEST, server.turn()).await {
        std::mem::forget(turn);
    }
}

/// It has answered a request, and so takes others.
async fn tell_ready(server: Arc<Server>, address: SocketAddr) {
    let mut state = server.state();
    if state.wait_for(|state| matches!(state, State::Up(_))).await.is_ok() {
        notify(&[NotifyState::Ready]);
        tracing::info!(%address, apart = server.is_apart(), "ready");
    }
}
