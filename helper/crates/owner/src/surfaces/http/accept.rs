//! Lets peers in and speaks HTTP with them, within limits that no token is needed to reach.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::metrics::gauge::Gauge;
use tokio::net::{TcpListener, TcpStream};
use tower_service::Service;

use super::connection::Connection;
use super::peers::{Peer, Peers};

/// A request's head has to be here by then, however slowly it drips.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
const MAX_HEADERS: usize = 64;
const MAX_HEAD: usize = 16 * 1024;
const MAX_BUFFER: usize = 64 * 1024;

pub(crate) async fn run(listener: TcpListener, app: Router, connections: Gauge) {
    let peers = Arc::new(Peers::default());
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "HTTP");
                // Out of descriptors, most likely; they come back.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(called) = stream.local_addr() else { continue };
        let Some(peer) = peers.admit(called.ip().to_canonical()) else { continue };
        let (peers, app, connections) = (peers.clone(), app.clone(), connections.clone());
        tokio::spawn(async move {
            connections.inc();
            tokio::select! {
                () = talk(stream, &peer, app) => {}
                () = peer.evicted() => {}
            }
            connections.dec();
            peers.gone(&peer);
        });
    }
}

async fn talk(stream: TcpStream, peer: &Arc<Peer>, app: Router) {
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer.clone());
        let mut app = app.clone();
        async move { Ok::<_, Infallible>(app.call(request).await.unwrap_or_else(|never| match never {})) }
    });
    let io = TokioIo::new(Connection::new(stream, peer.clone()));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_headers(MAX_HEADERS)
        .max_header_size(MAX_HEAD)
        .max_buf_size(MAX_BUFFER)
        .serve_connection(io, service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "HTTP connection ended");
    }
}
