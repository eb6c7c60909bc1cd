//! Who is connected. There is room for so many; when it is taken, whoever comes next gets the place of one for whom
//! nothing is at work, so that clients that only hold places keep nobody out.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

const MAX_PEERS: usize = 64;
/// At work at a time for those who have shown the token: places are left that can always be taken.
pub(crate) const MAX_AT_WORK: usize = 48;

#[derive(Default)]
pub(crate) struct Peers {
    /// By the order in which they came.
    present: Mutex<BTreeMap<u64, Arc<Peer>>>,
}

pub(crate) struct Peer {
    number: u64,
    /// The address of this machine that the peer has connected to.
    pub called: IpAddr,
    at_work: AtomicU32,
    /// Has shown the token once.
    known: AtomicBool,
    evicted: Notify,
}

/// For as long as it is kept, something is at work for the peer.
pub(crate) struct AtWork(Arc<Peer>);

impl Peers {
    /// `None` where everybody who is there has something at work.
    pub fn admit(&self, called: IpAddr) -> Option<Arc<Peer>> {
        let mut present = self.lock();
        if present.len() >= MAX_PEERS {
            let idle = || present.values().filter(|peer| !peer.is_at_work());
            let stranger = idle().find(|peer| !peer.known.load(Ordering::Relaxed));
            let evicted = stranger.or_else(|| idle().next())?.number;
            if let Some(peer) = present.remove(&evicted) {
                peer.evicted.notify_one();
            }
        }
        let number = present.last_key_value().map_or(0, |(last, _)| last + 1);
        let peer = Arc::new(Peer {
            number,
            called,
            at_work: AtomicU32::new(0),
            known: AtomicBool::new(false),
            evicted: Notify::new(),
        });
        present.insert(number, peer.clone());
        Some(peer)
    }

    pub fn gone(&self, peer: &Peer) {
        self.lock().remove(&peer.number);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Peer>>> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Peer {
    /// It has shown the token.
    pub fn begin(self: &Arc<Self>) -> AtWork {
        self.known.store(true, Ordering::Relaxed);
        self.at_work.fetch_add(1, Ordering::Relaxed);
        AtWork(self.clone())
    }

    pub fn is_at_work(&self) -> bool {
        self.at_work.load(Ordering::Relaxed) > 0
    }

    /// Returns when another is to have its place.
    pub async fn evicted(&self) {
        self.evicted.notified().await;
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.at_work.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::net::Ipv4Addr;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn the_first_who_does_nothing_gives_way_and_strangers_before_others() {
        let peers = Peers::default();
        let all: Vec<_> = (0..MAX_PEERS).map(|_| peers.admit(HERE).unwrap()).collect();
        let _working = all[0].begin();
        drop(all[1].begin());
        let gives_way = |index: usize| {
            peers.admit(HERE).unwrap();
            !peers.lock().contains_key(&all[index].number)
        };
        assert!(gives_way(2) && gives_way(3));
        assert!(peers.lock().contains_key(&all[0].number) && peers.lock().contains_key(&all[1].number));
        assert_eq!(peers.lock().len(), MAX_PEERS);
    }

    #[test]
    fn those_at_work_stay_and_a_place_that_was_left_is_free() {
        let peers = Peers::default();
        let all: Vec<_> = (0..MAX_PEERS).map(|_| peers.admit(HERE).unwrap()).collect();
        let mut working: Vec<_> = all.iter().map(Peer::begin).collect();
        assert!(peers.admit(HERE).is_none());
        working.remove(5);
        assert!(peers.admit(HERE).is_some() && !peers.lock().contains_key(&all[5].number));
        peers.gone(&all[6]);
        assert_eq!(peers.lock().len(), MAX_PEERS - 1);
    }
}
