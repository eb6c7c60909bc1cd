use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::message::{Request, Response, Status};
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
    #[error("{message}")]
    Refused { code: String, message: String },
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
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Io(error),
        }
    }
}

/// One connection to an owner. Every call has a deadline, `None` waits for as long as it takes.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
}

impl Client {
    pub fn connect(socket: &Path) -> Result<Self, Error> {
        Ok(Self { stream: BufReader::new(UnixStream::connect(socket)?) })
    }

    pub fn status(mut self, within: Option<Duration>) -> Result<Status, Error> {
        let deadline = within.map(|d| Instant::now() + d);
        self.send(&Request::Status, deadline)?;
        self.next_status(deadline)
    }

    /// Returns once the owner has begun to stop; `wait_closed` then waits until it is gone.
    pub fn stop(&mut self, within: Option<Duration>) -> Result<(), Error> {
        let deadline = within.map(|d| Instant::now() + d);
        self.send(&Request::Stop, deadline)?;
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

    fn send(&mut self, request: &Request, deadline: Option<Instant>) -> Result<(), Error> {
        let stream = self.stream.get_mut();
        stream.set_write_timeout(remaining(deadline)?)?;
        Ok(stream.write_all(&encode(request))?)
    }

    fn receive(&mut self, deadline: Option<Instant>) -> Result<Response, Error> {
        let mut line = Vec::new();
        // A line may come in pieces, so the deadline is set anew before each.
        loop {
            self.stream.get_mut().set_read_timeout(remaining(deadline)?)?;
            let room = (MAX_LINE - line.len()) as u64;
            match self.stream.by_ref().take(room).read_until(b'\n', &mut line) {
                Ok(_) if line.ends_with(b"\n") => break,
                Ok(0) => return Err(Error::Closed),
                Ok(_) if line.len() >= MAX_LINE => return Err(Error::Protocol("line too long".into())),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        match decode(&line).map_err(|error| Error::Protocol(error.to_string()))? {
            Response::Refused { code, message } => Err(Error::Refused { code, message }),
            response => Ok(response),
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
