//! What is reached from outside: two routes of the sync protocol, each for who has the token, and health and numbers.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{Method, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http_body::Body as _;
use serde_json::json;
use tokio::time::timeout;

use super::exchange::{Broken, Route};
use super::guard::{self, Turned};
use super::numbers::Numbers;
use super::server::{Server, State as ServerState};
use super::spool::Spool;
use crate::surfaces::http::answer::{answer, refusal};
use crate::surfaces::http::gate::{self, Gate};

const NEEDS_TOKEN: &str = "this needs the remote's token";
/// Beyond it the server, which holds all of it in memory, would be more likely to end than to answer.
const LARGEST: u64 = 2 << 30;
/// Without a byte of a body that is on its way.
const SILENCE: Duration = Duration::from_secs(30);
const WAITS_FOR_ITS_TURN: Duration = Duration::from_secs(300);
const WAITS_FOR_THE_SERVER: Duration = Duration::from_secs(10);

#[derive(Clone)]
pub(super) struct Front {
    pub(super) server: Arc<Server>,
    pub(super) numbers: Arc<Numbers>,
    /// Where large bodies are kept on their way.
    pub(super) room: PathBuf,
}

pub(super) fn router(front: Front, token: crate::token::Token, hosts: Vec<String>) -> Router {
    let gate = Arc::new(Gate::new(token, hosts, NEEDS_TOKEN));
    let (guard, inside) = (gate.clone(), front.clone());
    // The token comes before any route is looked for, so a stranger cannot tell what is there from what is not.
    let guarded = move |request: Request| {
        let (guard, front) = (guard.clone(), inside.clone());
        async move {
            match guard.with_token(request) {
                Ok((request, _working)) => front.routed(request).await,
                Err(refused) => {
                    front.numbers.request("stranger", refused.status().as_u16());
                    *refused
                }
            }
        }
    };
    Router::new()
        .route("/healthz", get(healthz))
        .fallback(guarded)
        .layer(from_fn_with_state(gate, gate::from_here))
        .with_state(front)
}

async fn healthz(State(front): State<Front>) -> Response {
    match *front.server.state().borrow() {
        ServerState::Up(_) => answer(StatusCode::OK, &json!({ "status": "ready" })),
        ServerState::Down => answer(StatusCode::SERVICE_UNAVAILABLE, &json!({ "status": "starting" })),
    }
}

impl Front {
    async fn routed(&self, request: Request) -> Response {
        let (name, response) = match (request.method(), request.uri().path()) {
            (&Method::POST, "/v2/pipeline") => ("pipeline", self.pass_on(Route::Pipeline, request).await),
            (&Method::POST, "/pull-updates") => ("pull-updates", self.pass_on(Route::Pull, request).await),
            (&Method::GET, "/metrics") => ("metrics", self.metrics().await),
            (_, "/v2/pipeline" | "/pull-updates" | "/metrics") => {
                ("other", refusal(StatusCode::METHOD_NOT_ALLOWED, "not with this method"))
            }
            _ => ("other", refusal(StatusCode::NOT_FOUND, "there is nothing here")),
        };
        self.numbers.request(name, response.status().as_u16());
        response
    }

    async fn metrics(&self) -> Response {
        let (numbers, server) = (self.numbers.clone(), self.server.clone());
        match tokio::task::spawn_blocking(move || numbers.text(&server)).await {
            Ok(text) => {
                ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response()
            }
            Err(_) => refusal(StatusCode::INTERNAL_SERVER_ERROR, "the numbers could not be read"),
        }
    }

    async fn pass_on(&self, route: Route, request: Request) -> Response {
        self.passed_on(route, request).await.unwrap_or_else(|refused| *refused)
    }

    async fn passed_on(&self, route: Route, request: Request) -> Result<Response, Box<Response>> {
        let body = self.taken(request).await?;
        let (body, begins) = match route {
            Route::Pipeline => self.looked_at(body).await?,
            Route::Pull => (body, false),
        };
        let no_turn = |_| refused(StatusCode::SERVICE_UNAVAILABLE, "others are at work; ask again");
        let turn = timeout(WAITS_FOR_ITS_TURN, self.server.turn()).await.map_err(no_turn)?;
        let mut state = self.server.state();
        let up = timeout(WAITS_FOR_THE_SERVER, state.wait_for(|state| matches!(state, ServerState::Up(_)))).await;
        let address = match up.map(|up| up.map(|state| *state)) {
            Ok(Ok(ServerState::Up(address))) => address,
            _ => return Err(refused(StatusCode::SERVICE_UNAVAILABLE, "the server is being started; ask again")),
        };
        let answered = turn.ask(address, route, body, begins).await;
        if route == Route::Pipeline {
            self.numbers.look_at_the_log();
        }
        let answer = answered.map_err(|broken| {
            tracing::warn!(%broken, route = route.path(), "a request was not answered");
            let code = match broken {
                Broken::Stuck(_) => StatusCode::GATEWAY_TIMEOUT,
                Broken::NoRoom(_) => StatusCode::INSUFFICIENT_STORAGE,
                Broken::Off(_) | Broken::Junk => StatusCode::BAD_GATEWAY,
            };
            refused(code, &broken.to_string())
        })?;
        let code = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
        let body = answer.body.into_body().map_err(|error| no_room(&error))?;
        Ok((code, [(CONTENT_TYPE, answer.content_type), (CACHE_CONTROL, "no-store".into())], Body::new(body))
            .into_response())
    }

    /// All of its body, however slowly it comes: the server is asked only then.
    async fn taken(&self, request: Request) -> Result<Spool, Box<Response>> {
        let too_large = || refused(StatusCode::PAYLOAD_TOO_LARGE, "a request of more than 2 GiB is not taken");
        let mut body = request.into_body();
        if body.size_hint().lower() > LARGEST {
            return Err(too_large());
        }
        let mut spool = Spool::new(&self.room);
        loop {
            let next = std::future::poll_fn(|cx| std::pin::Pin::new(&mut body).poll_frame(cx));
            let frame = match timeout(SILENCE, next).await {
                Err(_) => return Err(refused(StatusCode::REQUEST_TIMEOUT, "nothing more came of the request")),
                Ok(None) => return Ok(spool),
                Ok(Some(Err(_))) => return Err(refused(StatusCode::BAD_REQUEST, "the request broke off")),
                Ok(Some(Ok(frame))) => frame,
            };
            let Ok(bytes) = frame.into_data() else { continue };
            if spool.length() + bytes.len() as u64 > LARGEST {
                return Err(too_large());
            }
            spool.push(&bytes).map_err(|error| no_room(&error))?;
        }
    }

    async fn looked_at(&self, mut body: Spool) -> Result<(Spool, bool), Box<Response>> {
        let looked = tokio::task::spawn_blocking(move || {
            let seen = guard::look(body.read()?);
            Ok::<_, std::io::Error>((seen, body))
        });
        let broken = |error: &dyn std::fmt::Display| refused(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string());
        let (seen, body) = looked.await.map_err(|error| broken(&error))?.map_err(|error| broken(&error))?;
        match seen {
            Ok(seen) => Ok((body, seen.begins)),
            Err(turned) => {
                if let Turned::Refused(statement) = &turned {
                    self.numbers.statement_refused();
                    tracing::warn!(%statement, "a statement was refused");
                }
                Err(refused(StatusCode::BAD_REQUEST, &turned.to_string()))
            }
        }
    }
}

fn refused(code: StatusCode, message: &str) -> Box<Response> {
    Box::new(refusal(code, message))
}

fn no_room(error: &std::io::Error) -> Box<Response> {
    tracing::error!(%error, "a body could not be kept");
    refused(StatusCode::INSUFFICIENT_STORAGE, "there is no room here for it")
}
