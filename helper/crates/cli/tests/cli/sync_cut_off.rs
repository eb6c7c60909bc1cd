//! Instances that are synced by themselves over a network that does what networks do.

use std::time::Duration;

use super::sync_modes::{NO_MOUNT, has, is_writable, project, state, write};
use super::syncing::common::{Fate, Network, Server};
use crate::support::until;

#[test]
fn whatever_breaks_what_was_written_arrives() {
    let Some(server) = Server::start() else { return };
    let network = Network::before(Some(server.port));
    let ada = project(&network.url(), "mode = \"real-time\"\ndebounce = \"10ms\"\nlease = \"1h\"", NO_MOUNT);
    let bob = project(&server.url(), "", NO_MOUNT);
    ada.run("up -d").success();
    let broken = [
        Fate::Dropped,
        Fate::AnswerLost,
        Fate::AnswerCut,
        Fate::Says(500, "no"),
        Fate::Says(401, "no"),
        Fate::Junk("<html>"),
        Fate::Late(Duration::from_millis(300)),
    ];
    for (number, fate) in broken.into_iter().enumerate() {
        // At each step of a push in turn: which of its requests is hit depends on how many went well before.
        network.fates((0..number).map(|_| Fate::Pass).chain([fate.clone(), Fate::Pass]));
        let name = format!("file-{number}");
        write(&ada, &name, &format!("{fate:?}"));
        until("it has arrived", || {
            bob.run("sync pull").success();
            has(&bob, &name)
        });
        assert_eq!(bob.run(&format!("fs cat {name}")).success().stdout, format!("{fate:?}"));
    }
    until("nothing is left to say", || {
        let now = state(&ada);
        now["pending"] == 0 && now["last_failure"].is_null() && now["writable"] == true
    });
}

#[test]
fn who_is_cut_off_longer_than_the_lease_is_good_for_writes_on_only_where_that_is_allowed() {
    let Some(server) = Server::start() else { return };
    for (offline, goes_on) in [("refuse", false), ("allow", true)] {
        let network = Network::before(Some(server.port));
        let sync = format!("mode = \"real-time\"\ndebounce = \"10ms\"\nlease = \"2s\"\noffline = \"{offline}\"");
        let ada = project(&network.url(), &sync, NO_MOUNT);
        ada.run("up -d").success();
        network.fates([Fate::Dropped]);
        // Twice as long as the lease is good for.
        std::thread::sleep(Duration::from_secs(4));
        let late = ada.args(["fs", "write", "late"]).stdin("0");
        if goes_on {
            late.success();
        } else {
            late.stderr("nixbox::sync::read-only").stderr("run out").code(7);
        }
        network.fates([Fate::Pass]);
        until("it goes on by itself", || is_writable(&ada) && state(&ada)["last_failure"].is_null());
        write(&ada, "after", "1");
        ada.run("sync push").success();
        assert_eq!(has(&ada, "late"), goes_on);
        ada.run("down").success();
    }
}
