use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use nixbox_report::Report;

use super::DONE;
use crate::context::Context;

/// Ask an address once, as a health check does: exit 0 where the status is from 200 to 299
#[derive(Debug, clap::Args)]
pub struct Args {
    pub address: String,
}

/// Whoever runs this ends it when its own time is over; this is for nobody watching.
const PATIENCE: Duration = Duration::from_secs(60);
const LONGEST: u64 = 8 * 1024;

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    match status(&args.address) {
        Ok(200..=299) => Ok(DONE),
        Ok(status) => {
            context.output.note(format!("{} answers {status}", args.address));
            Ok(1)
        }
        Err(error) => {
            context.output.note(format!("{} does not answer: {error}", args.address));
            Ok(1)
        }
    }
}

fn status(address: &str) -> std::io::Result<u16> {
    let malformed = || std::io::Error::from(std::io::ErrorKind::InvalidData);
    let rest = address.strip_prefix("http://").ok_or_else(malformed)?;
    let (place, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let with_port = if place.contains(':') { place.to_owned() } else { format!("{place}:80") };
    let found = with_port.to_socket_addrs()?.next().ok_or(std::io::ErrorKind::NotFound)?;
    let mut stream = TcpStream::connect_timeout(&found, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let path = if path.is_empty() { "/" } else { path };
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {place}\r\nConnection: close\r\n\r\n")?;
    let mut line = String::new();
    BufReader::new(stream.take(LONGEST)).read_line(&mut line)?;
    let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)).ok_or_else(malformed)?;
    status.trim().parse().map_err(|_| malformed())
}
