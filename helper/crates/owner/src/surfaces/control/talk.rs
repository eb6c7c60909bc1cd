//! One conversation: lines and frames, asynchronously, as `nixbox_control` describes them.

use std::io;
use std::time::Duration;

use nixbox_control::{BROKEN_OFF, Frame, MAX_FRAME, MAX_LINE, Refusal, Response, encode, frame_header};
use nixbox_report::{Failure, Report, codes};
use serde::Serialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use crate::desk;
use crate::stop::Stop;

const REQUEST_WITHIN: Duration = Duration::from_secs(10);
const TAKES_WITHIN: Duration = Duration::from_secs(5);
/// What is held in memory whole: a value, or what is recorded of a tool call.
const MAX_VALUE: usize = 16 << 20;

pub(crate) struct Talk {
    read: BufReader<OwnedReadHalf>,
    write: OwnedWriteHalf,
    /// Frames have been sent, so what else there is to say comes after the mark that they break off.
    in_body: bool,
}

/// Why a conversation is over early.
pub(crate) enum Ended {
    /// The peer is still to be told.
    Refused(Report),
    /// There is nobody left to tell.
    Peer(io::Error),
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self::Peer(error)
    }
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Refused(failure.into())
    }
}

impl From<Report> for Ended {
    fn from(report: Report) -> Self {
        Self::Refused(report)
    }
}

impl Talk {
    pub(crate) fn with(peer: UnixStream) -> Self {
        let (read, write) = peer.into_split();
        Self { read: BufReader::new(read), write, in_body: false }
    }

    /// What follows is in another protocol.
    pub(super) fn into_parts(self) -> (BufReader<OwnedReadHalf>, OwnedWriteHalf) {
        (self.read, self.write)
    }

    /// The first line; none where the peer has nothing to say.
    pub(super) async fn line(&mut self) -> Result<Option<Vec<u8>>, Ended> {
        let mut line = Vec::new();
        let mut read = (&mut self.read).take(MAX_LINE as u64);
        timeout(REQUEST_WITHIN, read.read_until(b'\n', &mut line)).await.map_err(io::Error::from)??;
        match line.as_slice() {
            [] => Ok(None),
            [.., b'\n'] => Ok(Some(line)),
            long if long.len() >= MAX_LINE => {
                Err(Failure::new(&codes::CONTROL_LINE_TOO_LONG, "the request is too long").into())
            }
            _ => Ok(Some(line)),
        }
    }

    pub(super) async fn say(&mut self, response: &Response) -> io::Result<()> {
        timeout(TAKES_WITHIN, self.write.write_all(&encode(response))).await?
    }

    pub(super) async fn refuse(&mut self, report: &Report) -> io::Result<()> {
        let Some(failure) = report.failures.first() else { return Ok(()) };
        if self.in_body {
            timeout(TAKES_WITHIN, self.write.write_all(&BROKEN_OFF.to_be_bytes())).await??;
        }
        self.say(&Response::Refused(refusal(failure))).await?;
        // Closing with something unread would take back what was said.
        let _ = timeout(TAKES_WITHIN, self.hang_up()).await;
        Ok(())
    }

    /// The next part of the peer's body. Waits for as long as the peer takes, but for this owner's own end.
    pub(super) async fn frame(&mut self, stop: &Stop) -> Result<Option<Vec<u8>>, Ended> {
        tokio::select! {
            // What is there already is taken, and answered.
            biased;
            frame = next_frame(&mut self.read) => Ok(frame?),
            () = stop.requested() => Err(desk::stopping().into()),
        }
    }

    /// A body that is held in memory whole.
    pub(super) async fn value(&mut self, stop: &Stop) -> Result<Vec<u8>, Ended> {
        self.say(&Response::Go).await?;
        let mut value = Vec::new();
        while let Some(frame) = self.frame(stop).await? {
            if value.len() + frame.len() > MAX_VALUE {
                return Err(Failure::new(&codes::CONTROL_BODY_TOO_LONG, "this is too much for one value")
                    .why(format_args!("it is longer than {} MiB", MAX_VALUE >> 20))
                    .help("write it to a file with `nixbox-helper fs write`")
                    .into());
            }
            value.extend_from_slice(&frame);
        }
        Ok(value)
    }

    pub(super) async fn begin_body(&mut self) -> io::Result<()> {
        self.say(&Response::Body).await?;
        self.in_body = true;
        Ok(())
    }

    /// Waits for as long as the peer takes.
    pub(super) async fn send(&mut self, bytes: &[u8], stop: &Stop) -> Result<(), Ended> {
        let write = &mut self.write;
        let send = async {
            for piece in bytes.chunks(MAX_FRAME) {
                write.write_all(&frame_header(piece.len())).await?;
                write.write_all(piece).await?;
            }
            io::Result::Ok(())
        };
        tokio::select! {
            biased;
            sent = send => Ok(sent?),
            // In the middle of a frame nothing more can be said.
            () = stop.requested() => Err(Ended::Peer(io::ErrorKind::Interrupted.into())),
        }
    }

    pub(super) async fn end_body(&mut self) -> io::Result<()> {
        self.in_body = false;
        timeout(TAKES_WITHIN, self.write.write_all(&frame_header(0))).await?
    }

    /// Until the peer closes. What else it says is thrown away.
    pub(super) async fn hang_up(&mut self) -> io::Result<()> {
        loop {
            match self.read.fill_buf().await?.len() {
                0 => return Ok(()),
                more => self.read.consume(more),
            }
        }
    }
}

/// `None` after the last. One that breaks off is an error: it must not pass for a whole body.
async fn next_frame(read: &mut BufReader<OwnedReadHalf>) -> io::Result<Option<Vec<u8>>> {
    let mut header = [0; 4];
    read.read_exact(&mut header).await?;
    match Frame::announced(header)? {
        Frame::End => Ok(None),
        Frame::BrokenOff => Err(io::ErrorKind::UnexpectedEof.into()),
        Frame::Bytes(length) => {
            let mut frame = vec![0; length];
            read.read_exact(&mut frame).await?;
            Ok(Some(frame))
        }
    }
}

/// Things of one kind, a JSON object a line.
pub(super) fn lines<T: Serialize>(things: impl IntoIterator<Item = T>) -> Vec<u8> {
    things.into_iter().flat_map(|thing| encode(&thing)).collect()
}

fn refusal(failure: &Failure) -> Refusal {
    let Failure { code, what, why, help, .. } = failure;
    Refusal { code: code.id.into(), message: what.clone(), why: why.clone(), help: help.clone() }
}
