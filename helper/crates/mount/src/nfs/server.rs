//! The port, and those who are connected to it.

use std::collections::HashMap;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::{Export, connection};

/// More are not listened to at once: one that has been silent longest is then turned out, which a client of NFS bears.
const MOST_PEERS: usize = 64;
/// What a request needs is less; a thread takes only what it touches.
const STACK: usize = 1024 * 1024;
/// How long those who are being answered may take to be done.
const PATIENCE: Duration = Duration::from_millis(500);
const AFTER_AN_ERROR: Duration = Duration::from_millis(100);

/// A tree that is served until this is dropped.
pub struct Served {
    address: SocketAddr,
    room: Arc<Room>,
    listener: TcpListener,
}

/// Everything that the threads share.
pub(super) struct Room {
    pub(super) export: Export,
    peers: Mutex<Peers>,
    left: Condvar,
}

#[derive(Default)]
struct Peers {
    next: u64,
    here: HashMap<u64, Peer>,
}

struct Peer {
    stream: TcpStream,
    heard: Instant,
}

pub(super) fn start(export: Export, address: SocketAddr) -> io::Result<Served> {
    let listener = TcpListener::bind(address)?;
    let address = listener.local_addr()?;
    let room = Arc::new(Room { export, peers: Mutex::default(), left: Condvar::new() });
    let served = Served { address, room: room.clone(), listener: listener.try_clone()? };
    thread::Builder::new().name("nfs".into()).stack_size(STACK).spawn(move || accept(&listener, &room))?;
    Ok(served)
}

fn accept(listener: &TcpListener, room: &Arc<Room>) {
    while !room.export.is_closed() {
        match listener.accept() {
            Ok((stream, address)) => {
                if let Err(error) = room.let_in(stream) {
                    tracing::debug!(%error, %address, "a client of NFS was not let in");
                }
            }
            Err(_) if room.export.is_closed() => {}
            Err(error) => {
                // Too many open files: it may be better soon.
                tracing::warn!(%error, "NFS");
                thread::sleep(AFTER_AN_ERROR);
            }
        }
    }
}

impl Room {
    fn peers(&self) -> MutexGuard<'_, Peers> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn let_in(self: &Arc<Self>, stream: TcpStream) -> io::Result<()> {
        connection::prepare(&stream)?;
        let number = {
            let mut peers = self.peers();
            if peers.here.len() >= MOST_PEERS {
                let silent = peers.here.iter().min_by_key(|(_, peer)| peer.heard).map(|(number, _)| *number);
                if let Some(peer) = silent.and_then(|number| peers.here.remove(&number)) {
                    let _ = peer.stream.shutdown(Shutdown::Both);
                }
            }
            peers.next += 1;
            let number = peers.next;
            peers.here.insert(number, Peer { stream: stream.try_clone()?, heard: Instant::now() });
            number
        };
        let room = self.clone();
        let spawned = thread::Builder::new().name("nfs-peer".into()).stack_size(STACK).spawn(move || {
            if let Err(error) = connection::talk(&room, number, &stream) {
                tracing::debug!(%error, "a client of NFS was cut off");
            }
            drop(stream);
            room.forget(number);
        });
        if let Err(error) = spawned {
            self.forget(number);
            return Err(error);
        }
        Ok(())
    }

    /// It has sent a whole request.
    pub(super) fn heard(&self, number: u64) {
        if let Some(peer) = self.peers().here.get_mut(&number) {
            peer.heard = Instant::now();
        }
    }

    fn forget(&self, number: u64) {
        let mut peers = self.peers();
        peers.here.remove(&number);
        let last = peers.here.is_empty();
        drop(peers);
        if last {
            self.export.handles.let_all_go(self.export.tree());
            self.export.listings.sweep();
        }
        self.left.notify_all();
    }
}

impl Served {
    /// With the port that was really bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// After this the tree is asked nothing more.
impl Drop for Served {
    fn drop(&mut self) {
        self.room.export.closed.store(true, Ordering::Release);
        // Wakes the thread that waits for the next client.
        // SAFETY: the descriptor is open for as long as the listener is.
        unsafe { libc::shutdown(self.listener.as_raw_fd(), libc::SHUT_RDWR) };
        let peers = self.room.peers();
        for peer in peers.here.values() {
            let _ = peer.stream.shutdown(Shutdown::Both);
        }
        let all_left = |peers: &mut Peers| !peers.here.is_empty();
        let _ = self.room.left.wait_timeout_while(peers, PATIENCE, all_left);
    }
}
