use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;
use nix::unistd::geteuid;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::body::{Frame, frame_header, read_frame, write_frame};
use crate::message::{Refusal, Request, Response, Status};
use crate::usage::Usage;
use crate::wire::{MAX_LINE, decode, encode};

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No socket, or nobody behind it.
    #[error("no owner is running")]
    NotRunning,
    #[error("the owner did not answer in time")]
    TimedOut,
    /// The owner went away in the middle of the conversation.
    #[error("the owner closed the connection")]
    Closed,
    #[error("{}", .0.message)]
    Refused(Refusal),
    #[error("the owner speaks another protocol: {0}")]
    Protocol(String),
    #[error("control socket: {0}")]
    Io(std::io::Error),
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => Self::NotRunning,
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Self::TimedOut,
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof => Self::Closed,
            _ => Self::Io(error),
        }
    }
}

/// One connection to an owner. Every call has a deadline, `None` waits for as long as it takes.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
    /// What has come of the next line: a deadline may pass in the middle of one.
    line: Vec<u8>,
}

impl Client {
    pub fn connect(socket: &Path) -> Result<Self, Error> {
        let stream = UnixStream::connect(socket)?;
        // In a folder that others may write to, anybody can listen; nobody is told anything but root and ourselves.
        let owner = getsockopt(&stream, PeerCredentials).map_err(std::io::Error::from)?.uid();
        let me = geteuid().as_raw();
        if owner != me && owner != 0 && me != 0 {
            let why = format!("it is user {owner} who listens there");
            return Err(Error::Io(std::io::Error::new(ErrorKind::PermissionDenied, why)));
        }
        Ok(Self::over(stream))
    }

    /// One end of a pair, with an owner for one request at the other.
    pub fn over(stream: UnixStream) -> Self {
        Self { stream: BufReader::new(stream), line: Vec::new() }
    }

    /// Sends a request that works on the database. What comes back is for [`Conversation`] to say.
    pub fn ask(mut self, request: &Request, within: Option<Duration>) -> Result<Conversation, Error> {
        self.send(request, within.map(|d| Instant::now() + d))?;
        Ok(Conversation { client: self })
    }

    pub fn status(mut self, within: Option<Duration>) -> Result<Status, Error> {
        let deadline = within.map(|d| Instant::now() + d);
        self.send(&Request::Status, deadline)?;
        self.next_status(deadline)
    }

    pub fn usage(mut self, within: Option<Duration>) -> Result<Usage, Error> {
        let deadline = within.map(|d| Instant::now() + d);
        self.send(&Request::Usage, deadline)?;
        match self.receive(deadline)? {
            Response::Usage(usage) => Ok(usage),
            other => Err(Error::Protocol(format!("unexpected answer {other:?}"))),
        }
    }

    /// Returns once the owner has begun to stop; `wait_closed` then waits until it is gone.
    pub fn stop(&mut self, keep: bool, within: Option<Duration>) -> Result<(), Error> {
        let deadline = within.map(|d| Instant::now() + d);
        self.send(&Request::Stop { keep }, deadline)?;
        match self.receive(deadline)? {
            Response::Stopping => Ok(()),
            other => Err(Error::Protocol(format!("unexpected answer {other:?}"))),
        }
    }

    pub fn subscribe(mut self, within: Option<Duration>) -> Result<Subscription, Error> {
        self.send(&Request::Subscribe, within.map(|d| Instant::now() + d))?;
        Ok(Subscription { client: self })
    }

    /// Waits for the other side to close, which an owner does last of all.
    pub fn wait_closed(&mut self, deadline: Option<Instant>) -> Result<(), Error> {
        loop {
            match self.receive(deadline) {
                Ok(_) => {}
                Err(Error::Closed) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn next_status(&mut self, deadline: Option<Instant>) -> Result<Status, Error> {
        match self.receive(deadline)? {
            Response::Status(status) => Ok(status),
            other => Err(Error::Protocol(format!("unexpected answer {other:?}"))),
        }
    }

    pub(crate) fn send(&mut self, request: &impl Serialize, deadline: Option<Instant>) -> Result<(), Error> {
        let stream = self.stream.get_mut();
        stream.set_write_timeout(remaining(deadline)?)?;
        Ok(stream.write_all(&encode(request))?)
    }

    fn receive(&mut self, deadline: Option<Instant>) -> Result<Response, Error> {
        match self.next_line(deadline)? {
            Response::Refused(refusal) => Err(Error::Refused(refusal)),
            response => Ok(response),
        }
    }

    pub(crate) fn next_line<T: DeserializeOwned>(&mut self, deadline: Option<Instant>) -> Result<T, Error> {
        // A line may come in pieces, so the deadline is set anew before each.
        loop {
            self.stream.get_mut().set_read_timeout(remaining(deadline)?)?;
            let room = (MAX_LINE - self.line.len()) as u64;
            match self.stream.by_ref().take(room).read_until(b'\n', &mut self.line) {
                Ok(_) if self.line.ends_with(b"\n") => break,
                Ok(0) => return Err(Error::Closed),
                Ok(_) if self.line.len() >= MAX_LINE => return Err(Error::Protocol("line too long".into())),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        decode(&std::mem::take(&mut self.line)).map_err(|error| Error::Protocol(error.to_string()))
    }
}

/// What follows a request that works on the database.
#[derive(Debug)]
pub struct Conversation {
    client: Client,
}

impl Conversation {
    /// The next line. After `TimedOut` it may be asked for again.
    pub fn answer(&mut self, within: Option<Duration>) -> Result<Response, Error> {
        self.client.receive(within.map(|d| Instant::now() + d))
    }

    /// Sends a part of the body. False when the owner has already said what it has to say: no more is wanted then.
    pub fn send(&mut self, bytes: &[u8]) -> Result<bool, Error> {
        if self.has_spoken()? {
            return Ok(false);
        }
        let stream = self.client.stream.get_mut();
        stream.set_write_timeout(None)?;
        match write_frame(stream, bytes).map_err(Error::from) {
            Ok(()) => Ok(true),
            // Why it does not listen any more is what it has said.
            Err(Error::Closed) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The body was whole.
    pub fn end(&mut self) -> Result<(), Error> {
        match self.client.stream.get_mut().write_all(&frame_header(0)).map_err(Error::from) {
            Ok(()) | Err(Error::Closed) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The next part of the owner's body, in place of what `buffer` held. False after the last.
    pub fn next(&mut self, buffer: &mut Vec<u8>) -> Result<bool, Error> {
        self.client.stream.get_mut().set_read_timeout(None)?;
        match read_frame(&mut self.client.stream, buffer)? {
            Frame::Bytes(_) => Ok(true),
            Frame::End => Ok(false),
            Frame::BrokenOff => match self.client.receive(None) {
                Err(error) => Err(error),
                Ok(other) => Err(Error::Protocol(format!("unexpected answer {other:?}"))),
            },
        }
    }

    /// The stream, and what has already come of what the peer says on it.
    pub fn into_stream(self) -> Result<(UnixStream, Vec<u8>), Error> {
        let early = self.client.stream.buffer().to_vec();
        let stream = self.client.stream.into_inner();
        stream.set_read_timeout(None)?;
        stream.set_write_timeout(None)?;
        Ok((stream, early))
    }

    /// Returns when the owner has closed, which one that answered this request alone does when it has let go.
    pub fn close(mut self) -> Result<(), Error> {
        self.client.stream.get_mut().shutdown(std::net::Shutdown::Write)?;
        self.client.wait_closed(None)
    }

    fn has_spoken(&mut self) -> Result<bool, Error> {
        if !self.client.stream.buffer().is_empty() {
            return Ok(true);
        }
        let stream = self.client.stream.get_mut();
        stream.set_nonblocking(true)?;
        let filled = self.client.stream.fill_buf().map(|_| ());
        self.client.stream.get_mut().set_nonblocking(false)?;
        match filled {
            Ok(()) => Ok(true),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// The status now and after every change.
#[derive(Debug)]
pub struct Subscription {
    client: Client,
}

impl Subscription {
    pub fn next(&mut self, deadline: Option<Instant>) -> Result<Status, Error> {
        self.client.next_status(deadline)
    }
}

fn remaining(deadline: Option<Instant>) -> Result<Option<Duration>, Error> {
    match deadline.map(|at| at.saturating_duration_since(Instant::now())) {
        Some(Duration::ZERO) => Err(Error::TimedOut),
        left => Ok(left),
    }
}
