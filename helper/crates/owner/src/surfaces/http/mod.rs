//! HTTP. `/healthz` is open; all else needs the token.

pub(crate) mod accept;
pub(crate) mod answer;
mod connection;
mod events;
pub(crate) mod gate;
mod mcp;
mod peers;
mod status;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use nixbox_config::{Http, Instance};
use nixbox_control::Phase;
use serde_json::json;
use tokio::net::TcpListener;
use tower_service::Service;

use self::answer::{answer, refusal};
use self::gate::Gate;
use crate::desk::Desk;
use crate::metrics::Metrics;
use crate::status::Board;
use crate::stop::Stop;
use crate::token::Token;

const NEEDS_TOKEN: &str = "this needs the token of the file AGENTFS_TOKEN_FILE names";

/// What every handler may want.
#[derive(Clone)]
pub(crate) struct Surface {
    pub(crate) instance: Arc<Instance>,
    pub(crate) board: Board,
    pub(crate) desk: Desk,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) stop: Stop,
}

/// Returns the address with the port that was really bound.
pub(crate) async fn offer(http: &Http, token: Token, surface: Surface) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(SocketAddr::new(http.bind, http.port)).await?;
    let bound = listener.local_addr()?;
    let gate = Arc::new(Gate::new(token, http.hosts.clone(), NEEDS_TOKEN));
    let connections = surface.metrics.http_connections.clone();
    tokio::spawn(accept::run(listener, router(surface, gate), connections));
    Ok(bound)
}

fn router(surface: Surface, gate: Arc<Gate>) -> Router {
    let routes = Router::new()
        .route("/metrics", get(metrics))
        .route("/v1/status", get(status::status))
        .route("/v1/events", get(events::events));
    let closed = mcp::routed(routes, &surface)
        .fallback(|| async { refusal(StatusCode::NOT_FOUND, "there is nothing here") })
        .method_not_allowed_fallback(|| async { refusal(StatusCode::METHOD_NOT_ALLOWED, "not with this method") })
        .with_state(surface.clone());
    // The token comes before any route is looked for, so a stranger cannot tell what is there from what is not.
    let guard = gate.clone();
    let guarded = move |request: Request| {
        let (guard, mut closed) = (guard.clone(), closed.clone());
        async move {
            match guard.with_token(request) {
                Ok((request, _working)) => closed.call(request).await.unwrap_or_else(|never| match never {}),
                Err(refused) => *refused,
            }
        }
    };
    Router::new()
        .route("/healthz", get(healthz))
        .fallback(guarded)
        .layer(from_fn_with_state(gate, gate::from_here))
        .layer(from_fn_with_state(surface.clone(), counted))
        .with_state(surface)
}

async fn healthz(State(surface): State<Surface>) -> Response {
    let (code, status) = match surface.board.watch().borrow().phase {
        Phase::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting"),
        Phase::Ready { .. } => (StatusCode::OK, "ready"),
        Phase::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
    };
    answer(code, &json!({ "status": status }))
}

async fn metrics(State(surface): State<Surface>) -> Response {
    let metrics = surface.metrics.clone();
    match tokio::task::spawn_blocking(move || metrics.text()).await {
        Ok(text) => {
            ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response()
        }
        Err(_) => refusal(StatusCode::INTERNAL_SERVER_ERROR, "the numbers could not be read"),
    }
}

async fn counted(State(surface): State<Surface>, request: Request, next: Next) -> Response {
    let routes = ["/healthz", "/metrics", "/v1/status", "/v1/events", "/mcp"];
    let route = routes.into_iter().find(|route| *route == request.uri().path()).unwrap_or("other");
    let response = next.run(request).await;
    surface.metrics.http_request(route, response.status().as_u16());
    response
}
