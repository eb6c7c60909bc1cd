//! Who is let through: those who mean this machine, and, for all but its health, those who have the token. A web page
//! whose name was pointed at 127.0.0.1 must learn nothing here.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use tokio::sync::Semaphore;

use super::answer::refusal;
use super::peers::{AtWork, MAX_AT_WORK, Peer};
use crate::token::Token;

pub(crate) struct Gate {
    token: Token,
    hosts: Vec<String>,
    /// What a stranger is told.
    needs_token: &'static str,
    room: Arc<Semaphore>,
}

/// What a handler keeps for as long as its answer takes, where that is longer than the call.
#[derive(Clone)]
pub(crate) struct Working(
    #[expect(dead_code, reason = "kept, not read")] Arc<(AtWork, tokio::sync::OwnedSemaphorePermit)>,
);

impl Gate {
    /// `hosts`: what this machine is called, beside the names that it always has.
    pub fn new(token: Token, hosts: Vec<String>, needs_token: &'static str) -> Self {
        Self { token, hosts, needs_token, room: Arc::new(Semaphore::new(MAX_AT_WORK)) }
    }
}

pub(crate) async fn from_here(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let Some(called) = request.extensions().get::<Arc<Peer>>().map(|peer| peer.called) else {
        return refusal(StatusCode::FORBIDDEN, "the connection is not known");
    };
    let is_here = |host: &str| is_here(host, called, &gate.hosts);
    let headers = request.headers();
    let host = only(headers, HOST).is_some_and(is_here);
    let target = request.uri().authority().is_none_or(|authority| is_here(authority.as_str()));
    // `null` is what a sandboxed page or a local file sends.
    let origin = headers.get_all(ORIGIN).iter().all(|origin| {
        let name = text(origin).and_then(|name| name.strip_prefix("http://").or_else(|| name.strip_prefix("https://")));
        name.is_some_and(is_here)
    });
    if host && target && origin {
        next.run(request).await
    } else {
        refusal(StatusCode::FORBIDDEN, "the Host or Origin header names another machine")
    }
}

impl Gate {
    /// The request, with its place among those at work, or why it is refused.
    pub fn with_token(&self, mut request: Request) -> Result<(Request, Working), Box<Response>> {
        let peer = request.extensions().get::<Arc<Peer>>().cloned();
        let known = bearer(request.headers()).is_some_and(|offered| self.token.is(offered.as_bytes()));
        let (true, Some(peer)) = (known, peer) else {
            let mut response = refusal(StatusCode::UNAUTHORIZED, self.needs_token);
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            return Err(Box::new(response));
        };
        let Ok(place) = self.room.clone().try_acquire_owned() else {
            let message = "too many requests are at work";
            return Err(Box::new(refusal(StatusCode::SERVICE_UNAVAILABLE, message)));
        };
        let working = Working(Arc::new((peer.begin(), place)));
        request.extensions_mut().insert(working.clone());
        Ok((request, working))
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = only(headers, AUTHORIZATION)?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Of two that say different things, one program on the way may have looked at the other.
fn only(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut all = headers.get_all(name).iter();
    match (all.next(), all.next()) {
        (Some(one), None) => text(one),
        _ => None,
    }
}

fn text(value: &HeaderValue) -> Option<&str> {
    value.to_str().ok()
}

/// `localhost`, a loopback address, the one that was called or a name of ours, with or without a port.
fn is_here(host: &str, called: IpAddr, names: &[String]) -> bool {
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
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback() || ip == called)
        || names.iter().any(|ours| name.eq_ignore_ascii_case(ours));
    port_is_one && name_is_here
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_here() {
        let (called, names) = (IpAddr::from([192, 0, 2, 7]), ["box.example.org".to_owned()]);
        for host in [
            "localhost",
            "LOCALHOST:80",
            "127.0.0.1",
            "127.0.0.1:4321",
            "[::1]",
            "[::1]:80",
            "192.0.2.7:1",
            "Box.example.org:1",
        ] {
            assert!(is_here(host, called, &names), "{host}");
        }
        let others = [
            "",
            ":80",
            "example.com",
            "example.org",
            "a.box.example.org",
            "box.example.org.",
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
            assert!(!is_here(host, called, &names), "{host}");
        }
    }
}
