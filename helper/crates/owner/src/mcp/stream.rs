//! MCP over a stream that carries a message a line, as it goes over standard input and output.

use std::io;

use rmcp::RoleServer;
use rmcp::service::{ServerInitializeError, serve_server};
use rmcp::transport::async_rw::AsyncRwTransport;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Agent, MAX_MESSAGE};
use crate::stop::Stop;

/// Until the client has no more to say, or this owner stops. What was asked before the end is still answered.
pub(crate) async fn serve<R, W>(agent: Agent, read: R, write: W, stop: &Stop) -> io::Result<()>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    let transport = AsyncRwTransport::<RoleServer, _, _>::new(read, write).with_max_line_length(MAX_MESSAGE);
    let begun = tokio::select! {
        begun = serve_server(agent, transport) => begun,
        () = stop.requested() => return Ok(()),
    };
    let running = match begun {
        Ok(running) => running,
        // Gone before it said anything, which is no harm.
        Err(ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
        Err(error) => return Err(io::Error::other(error)),
    };
    let cancel = running.cancellation_token();
    let mut ended = std::pin::pin!(running.waiting());
    tokio::select! {
        ended = &mut ended => ended.map(drop).map_err(io::Error::other),
        () = stop.requested() => {
            cancel.cancel();
            ended.await.map(drop).map_err(io::Error::other)
        }
    }
}
