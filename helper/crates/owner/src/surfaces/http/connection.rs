//! A connection with an end to patience: one on which nothing moves is closed. What is at work for somebody who has
//! shown the token may take its time; who does not take the answer has none.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use super::peers::Peer;

const IDLE: Duration = Duration::from_secs(15);

pub(crate) struct Connection {
    stream: TcpStream,
    peer: Arc<Peer>,
    reading: Pin<Box<Sleep>>,
    writing: Pin<Box<Sleep>>,
}

impl Connection {
    pub fn new(stream: TcpStream, peer: Arc<Peer>) -> Self {
        Self { stream, peer, reading: Box::pin(sleep(IDLE)), writing: Box::pin(sleep(IDLE)) }
    }

    fn wind_up(&mut self) {
        let until = Instant::now() + IDLE;
        self.reading.as_mut().reset(until);
        self.writing.as_mut().reset(until);
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let moved = Pin::new(&mut self.stream).poll_read(cx, buf);
        if moved.is_ready() {
            self.wind_up();
            return moved;
        }
        loop {
            ready!(self.reading.as_mut().poll(cx));
            if !self.peer.is_at_work() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.reading.as_mut().reset(Instant::now() + IDLE);
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let moved = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if moved.is_ready() {
            self.wind_up();
            return moved;
        }
        ready!(self.writing.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
