//! The lease on the real server: one holder, and nobody writes who is not.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Barrier;
use std::time::Duration;

use common::{Server, claim};
use nixbox_remote::{Batch, Claim, Error, Held, Lease, Remote, Rows, Standing, Step, guard};

const LONG: Duration = Duration::from_secs(60);

fn take(claim: &Claim, remote: &Remote) -> Held {
    match claim.take(remote, false).unwrap() {
        Lease::Ours(held) => held,
        Lease::Theirs(standing) => panic!("{standing}"),
    }
}

fn table(remote: &Remote) {
    remote.change(&Batch::of([Step::new("CREATE TABLE t (a INTEGER NOT NULL)")])).unwrap();
}

fn guarded(claim: &Claim, held: Held, value: i64) -> Batch {
    let [is_held, clean] = guard(claim, held);
    Batch::of([is_held, clean, Step::with("INSERT INTO t VALUES (?)", [value.into()])])
}

fn values(remote: &Remote) -> Vec<i64> {
    let rows = remote.ask(&Step::new("SELECT a FROM t ORDER BY a")).unwrap().rows;
    rows.iter().map(|row| Rows::int(row, 0).unwrap()).collect()
}

#[test]
fn of_fifty_that_start_at_once_one_has_it() {
    let Some(server) = Server::start() else { return };
    let barrier = Barrier::new(50);
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..50)
            .map(|number| {
                let (barrier, server) = (&barrier, &server);
                scope.spawn(move || {
                    let (claim, remote) = (claim(&format!("m{number}"), LONG), server.remote());
                    barrier.wait();
                    (claim.clone(), claim.take(&remote, false).unwrap())
                })
            })
            .collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    let ours: Vec<_> = outcomes.iter().filter(|(_, lease)| matches!(lease, Lease::Ours(_))).collect();
    assert_eq!(ours.len(), 1, "{ours:?}");
    let winner = &ours[0].0;
    for (_, lease) in &outcomes {
        if let Lease::Theirs(standing) = lease {
            assert_eq!((&standing.holder, &standing.host), (&winner.holder, &winner.host));
            assert!(standing.left.is_some());
        }
    }
}

#[test]
fn a_holder_that_slept_past_its_time_writes_nothing() {
    let Some(server) = Server::start() else { return };
    let remote = server.remote();
    table(&remote);
    let other = claim("other", LONG);
    // On a slow machine one that is short runs out before anything is written.
    let in_time = [800, 8000, 60_000].into_iter().find_map(|length| {
        let sleeper = claim("sleeper", Duration::from_millis(length));
        let held = take(&sleeper, &remote);
        let written = remote.change(&guarded(&sleeper, held, 1));
        assert!(written.is_ok() || !held.is_good(), "{written:?}");
        written.is_ok().then_some((sleeper, held))
    });
    let (sleeper, held) = in_time.unwrap();
    while held.is_good() {
        std::thread::sleep(Duration::from_millis(20));
    }
    // The server begins to count a moment later.
    std::thread::sleep(Duration::from_millis(200));
    let theirs = take(&other, &remote);
    assert_eq!(theirs.fence, held.fence + 1);
    match remote.change(&guarded(&sleeper, held, 2)) {
        Err(Error::Refused { step: 0, .. }) => {}
        other => panic!("{other:?}"),
    }
    match sleeper.renew(&remote, held) {
        Err(Error::Lost(Some(standing))) => assert_eq!(standing.holder, "other"),
        other => panic!("{other:?}"),
    }
    // Giving back what is another's changes nothing.
    sleeper.release(&remote, held).unwrap();
    remote.change(&guarded(&other, theirs, 3)).unwrap();
    assert_eq!(values(&remote), [1, 3]);
}

#[test]
fn one_that_ran_out_and_that_nobody_took_is_renewed_before_it_writes() {
    let Some(server) = Server::start() else { return };
    let remote = server.remote();
    table(&remote);
    let claim = claim("a", Duration::from_millis(500));
    let held = take(&claim, &remote);
    std::thread::sleep(Duration::from_millis(700));
    assert!(matches!(remote.change(&guarded(&claim, held, 1)), Err(Error::Refused { step: 0, .. })));
    let held = claim.renew(&remote, held).unwrap();
    remote.change(&guarded(&claim, held, 2)).unwrap();
    assert_eq!(values(&remote), [2]);
}

#[test]
fn it_is_given_back_and_it_is_taken_by_force() {
    let Some(server) = Server::start() else { return };
    let remote = server.remote();
    table(&remote);
    assert_eq!(Standing::of(&remote).unwrap(), None);
    let (a, b) = (claim("a", LONG), claim("b", LONG));
    let first = take(&a, &remote);
    assert!(matches!(b.take(&remote, false).unwrap(), Lease::Theirs(standing) if standing.holder == "a"));
    let Lease::Ours(forced) = b.take(&remote, true).unwrap() else { panic!("not by force") };
    assert!(matches!(remote.change(&guarded(&a, first, 1)), Err(Error::Refused { .. })));
    b.release(&remote, forced).unwrap();
    assert_eq!(Standing::of(&remote).unwrap().unwrap().left, None);
    assert!(matches!(remote.change(&guarded(&b, forced, 2)), Err(Error::Refused { .. })));
    // The same machine twice, as after a crash: what the first still has in hand is worth nothing.
    let (before, after) = (take(&a, &remote), take(&a, &remote));
    assert!(matches!(remote.change(&guarded(&a, before, 3)), Err(Error::Refused { .. })));
    remote.change(&guarded(&a, after, 4)).unwrap();
    assert_eq!(values(&remote), [4]);
}

#[test]
fn it_outlives_the_server() {
    let Some(mut server) = Server::start() else { return };
    let claim = claim("a", LONG);
    let held = take(&claim, &server.remote());
    server.kill();
    assert!(matches!(claim.renew(&server.remote(), held), Err(Error::Unreachable(_))));
    server.again();
    claim.renew(&server.remote(), held).unwrap();
}

#[test]
fn a_remote_that_was_begun_anew_knows_no_lease() {
    let Some(server) = Server::start() else { return };
    let remote = server.remote();
    let claim = claim("a", LONG);
    let held = take(&claim, &remote);
    remote.change(&Batch::of([Step::new("DROP TABLE nixbox_lease")])).unwrap();
    assert!(matches!(claim.renew(&remote, held), Err(Error::Lost(None))));
    table(&remote);
    assert!(matches!(remote.change(&guarded(&claim, held, 1)), Err(Error::Refused { step: 0, .. })));
}
