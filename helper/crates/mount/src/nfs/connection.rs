//! One client: its requests in the order in which they come. It may send many before it reads an answer; it is read
//! no further than it reads itself.

use std::io;
use std::net::TcpStream;
use std::time::Duration;

use super::rpc;
use super::server::Room;
use super::xdr::Malformed;

/// Between two requests there may be any time; this is how often is looked after what is kept for the client.
const SWEEP: Duration = Duration::from_secs(30);
/// In the middle of a request or an answer something has to move.
const STUCK: Duration = Duration::from_secs(30);

pub(super) fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SWEEP))?;
    stream.set_write_timeout(Some(STUCK))
}

pub(super) fn talk(room: &Room, number: u64, mut stream: &TcpStream) -> io::Result<()> {
    let mut requests = 0u32;
    loop {
        wait(room, stream)?;
        let Some(message) = rpc::receive(&mut stream)? else { return Ok(()) };
        if room.export.is_closed() {
            return Ok(());
        }
        room.heard(number);
        let answer = match rpc::understand(&message) {
            Ok(Ok(call)) => room.export.answer(call),
            Ok(Err(refusal)) => refusal,
            Err(Malformed) => return Err(io::Error::new(io::ErrorKind::InvalidData, "what it sent is no call")),
        };
        drop(message);
        rpc::send(&mut stream, &answer)?;
        requests = requests.wrapping_add(1);
        if requests.is_multiple_of(4096) {
            room.export.sweep();
        }
    }
}

/// Until there is something to read, or the other side has closed.
fn wait(room: &Room, stream: &TcpStream) -> io::Result<()> {
    loop {
        match stream.peek(&mut [0]) {
            Ok(_) => return Ok(()),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                room.export.sweep();
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
