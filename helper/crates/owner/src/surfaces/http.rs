//! HTTP on loopback. `/healthz` is open; all else needs the token. Names and origins that are not this machine's are
//! turned away everywhere: a web page whose name was pointed at 127.0.0.1 must learn nothing here.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use nixbox_control::{Phase, Status};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::patience::Patient;
use crate::status::Board;
use crate::token::Token;

const MAX_BODY: usize = 1024 * 1024;

#[derive(Clone)]
struct Surface {
    status: watch::Receiver<Status>,
    token: Arc<Token>,
    /// The address that was asked for by name may be called by it.
    bound: IpAddr,
}

/// Returns the address with the port that was really bound.
pub(crate) async fn offer(address: SocketAddr, token: Token, board: Board) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    let surface = Surface { status: board.watch(), token: Arc::new(token), bound: bound.ip() };
    tokio::spawn(async move {
        if let Err(error) = axum::serve(Patient::new(listener), router(surface)).await {
            tracing::error!(%error, "the HTTP surface ended");
        }
    });
    Ok(bound)
}

fn router(surface: Surface) -> Router {
    // What is not open comes after the token, so that a stranger cannot tell what is there from what is not.
    let closed = Router::new()
        .fallback(|| async { refusal(StatusCode::NOT_FOUND, "there is nothing here") })
        .layer(from_fn_with_state(surface.clone(), with_token));
    Router::new()
        .route("/healthz", get(healthz))
        .fallback_service(closed)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn_with_state(surface.clone(), from_here))
        .with_state(surface)
}

async fn healthz(State(surface): State<Surface>) -> Response {
    let (code, status) = match surface.status.borrow().phase {
        Phase::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting"),
        Phase::Ready { .. } => (StatusCode::OK, "ready"),
        Phase::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
    };
    answer(code, &json!({ "status": status }))
}

async fn from_here(State(surface): State<Surface>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let host = headers.get(HOST).and_then(text).is_some_and(|host| is_here(host, surface.bound));
    // `null` is what a sandboxed page or a local file sends.
    let origin = match headers.get(ORIGIN) {
        None => true,
        Some(origin) => text(origin)
            .and_then(|origin| origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")))
            .is_some_and(|host| is_here(host, surface.bound)),
    };
    if host && origin {
        next.run(request).await
    } else {
        refusal(StatusCode::FORBIDDEN, "the Host or Origin header names another machine")
    }
}

async fn with_token(State(surface): State<Surface>, request: Request, next: Next) -> Response {
    if bearer(request.headers()).is_some_and(|offered| surface.token.is(offered.as_bytes())) {
        return next.run(request).await;
    }
    let mut response = refusal(StatusCode::UNAUTHORIZED, "this needs the token of the file AGENTFS_TOKEN_FILE names");
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION).and_then(text)?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn text(value: &HeaderValue) -> Option<&str> {
    value.to_str().ok()
}

/// `localhost`, a loopback address or the one that was bound, with or without a port.
fn is_here(host: &str, bound: IpAddr) -> bool {
    let (name, port) = match host.strip_prefix('[') {
        Some(bracketed) => match bracketed.split_once(']') {
            Some((name, "")) => (name, None),
            Some((name, rest)) => match rest.strip_prefix(':') {
                Some(port) => (name, Some(port)),
                None => return false,
            },
            None => return false,
        },
        None => match host.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (host, None),
        },
    };
    let port_is_one = port.is_none_or(|port| port.parse::<u16>().is_ok());
    let name_is_here = name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback() || (ip == bound && !ip.is_unspecified()));
    port_is_one && name_is_here
}

fn refusal(code: StatusCode, message: &str) -> Response {
    answer(code, &json!({ "error": message }))
}

fn answer(code: StatusCode, body: &serde_json::Value) -> Response {
    (code, [(CONTENT_TYPE, "application/json")], format!("{body}\n")).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_here() {
        let bound = IpAddr::from([192, 0, 2, 7]);
        for host in ["localhost", "LOCALHOST:80", "127.0.0.1", "127.0.0.1:4321", "[::1]", "[::1]:80", "192.0.2.7:1"] {
            assert!(is_here(host, bound), "{host}");
        }
        let others = [
            "",
            ":80",
            "example.com",
            "localhost.example.com",
            "127.0.0.1.example.com",
            "127.0.0.1@example.com",
            "localhost:x",
            "localhost:80:80",
            "[::1",
            "[::1]80",
            "192.0.2.8",
            "0.0.0.0",
            "user@localhost",
        ];
        for host in others {
            assert!(!is_here(host, bound), "{host}");
        }
    }
}
