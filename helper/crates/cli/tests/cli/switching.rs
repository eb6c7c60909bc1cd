//! An instance becomes synced, and is on its machine alone again.

use std::os::unix::fs::symlink;
use std::time::Duration;

use crate::support::Test;
use crate::syncing::common::{Fate, Network, Server};
use crate::syncing::{answer, names};

/// With a remote that nothing is synced with yet, and comments that stay.
fn local(url: &str) -> Test {
    crate::support::owner();
    let test = Test::new().config(&format!(
        "[remotes.team]\nurl = \"{url}\"\n\n[instances.a] # the only one\nmount.backend = \"none\" # no need\n\n# the end\n"
    ));
    test.run("init").success();
    test.args(["fs", "write", "mine"]).stdin("mine").success();
    test.run("kv set k 1").success();
    test
}

fn written(test: &Test) -> String {
    std::fs::read_to_string(test.path("nixbox.toml")).unwrap()
}

/// Nothing half done is beside it.
fn only_the_file(test: &Test) {
    let left: Vec<_> = std::fs::read_dir(test.root()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().ends_with(".nixbox.toml")), "{left:?}");
}

#[test]
fn what_a_local_one_holds_stays_when_it_is_synced_and_when_it_is_not_any_more() {
    let Some(server) = Server::start() else { return };
    let (ada, bob) = (local(&server.url()), local(&server.url()));
    let before = written(&ada);
    // As in a shell that has the variables of `env`.
    let ada = ada.env("NIXBOX_CONFIG", "nixbox.toml").env("AGENTFS_LOG_LEVEL", "warn");
    let enabled = answer(&ada, "sync enable a team");
    assert_eq!((&enabled["pushed"], &enabled["pulled"]), (&2.into(), &0.into()));
    assert_eq!(written(&ada), before.replace("# no need\n", "# no need\nsync.remote = \"team\"\n"));
    assert_eq!(answer(&ada, "snapshot ls")["snapshots"][0]["before"], "enable");
    // Again is nothing new.
    ada.run("sync enable a team").stderr("nothing to pull, nothing to push").success();
    ada.run("sync enable a other").stderr("declared are team").code(2);
    // Another machine's, which has other things.
    bob.args(["fs", "write", "mine"]).stdin("bob's").success();
    bob.args(["fs", "write", "more"]).stdin("more").success();
    bob.run("sync enable a team").stderr("nixbox::sync::not-empty").stderr("--merge").code(5);
    assert!(!written(&bob).contains("sync"));
    bob.run("sync enable a team --merge").stderr("nixbox::sync::conflict").stderr("/mine").code(5);
    assert!(written(&bob).contains("sync.remote = \"team\""));
    bob.run("sync resolve --all --both").success();
    bob.run("sync push").success();
    bob.run("fs cat mine").stdout("bob's").success();
    bob.run("fs cat mine.theirs").stdout("mine").success();
    ada.run("sync pull").stderr("3 pulled").success();
    // And back.
    ada.args(["fs", "write", "later"]).stdin("later").success();
    ada.run("sync disable a").stderr("nixbox::sync::pending").stderr("1 to push").code(5);
    ada.run("up -d").success();
    ada.run("sync disable a").stderr("nixbox::owner::held").code(4);
    ada.run("sync enable a team").stderr("nixbox::owner::held").code(4);
    ada.run("stop").success();
    let disabled = answer(&ada, "sync disable a --force");
    assert_eq!(disabled["snapshot"], answer(&ada, "snapshot ls")["snapshots"][0]["id"]);
    assert_eq!(written(&ada), before);
    ada.run("fs cat later").stdout("later").success();
    ada.run("sync push").stderr("nixbox::sync::not-declared").code(3);
    assert!(!ada.path(".agentfs/a.d/sync/team").exists());
    let log = answer(&ada, "sync log");
    let did: Vec<_> = log["entries"].as_array().unwrap().iter().map(|entry| entry["did"].as_str().unwrap()).collect();
    assert_eq!(did, ["disable", "pull", "enable"]);
    // Nothing is agreed on any more, so what is there is asked about again.
    ada.run("fs rm mine").success();
    ada.run("sync enable a team").stderr("nixbox::sync::not-empty").code(5);
    ada.run("sync enable a team --merge").success();
    ada.run("fs cat mine").stdout("bob's").success();
    bob.run("sync pull").success();
    bob.run("fs cat later").stdout("later").success();
    only_the_file(&ada);
    only_the_file(&bob);
}

#[test]
fn a_first_sync_that_fails_changes_nothing() {
    let Some(server) = Server::start() else { return };
    let network = Network::before(Some(server.port));
    let ada = local(&network.url());
    let before = written(&ada);
    for (fate, code, exit) in [
        (Fate::Says(401, "no"), "nixbox::sync::not-allowed", 7),
        (Fate::Says(500, "no"), "nixbox::sync::refused", 8),
        (Fate::Dropped, "nixbox::sync::unreachable", 8),
    ] {
        network.fates([fate]);
        ada.run("sync enable a team").stderr(code).code(exit);
        assert_eq!(written(&ada), before);
        only_the_file(&ada);
    }
    network.fates([Fate::Pass]);
    // Called off while it asks.
    network.fates([Fate::Late(Duration::from_millis(500))]);
    let asked = network.seen();
    let enabling = ada.spawn("sync enable a team");
    crate::support::until("it asks", || network.seen() > asked);
    enabling.signal(nix::sys::signal::Signal::SIGINT);
    enabling.finish();
    crate::support::until("it has cleared away", || {
        let mut left = std::fs::read_dir(ada.root()).unwrap().map(|entry| entry.unwrap().file_name());
        !left.any(|name| name.to_string_lossy().ends_with(".nixbox.toml"))
    });
    network.fates([Fate::Pass]);
    ada.run("sync enable a team").success();
    assert_eq!(names(&answer(&ada, "sync status")["to_push"]), [""; 0]);
    network.fates([Fate::Dropped]);
    ada.run("sync disable a").stderr("--force").code(8);
    assert!(written(&ada).contains("sync.remote"));
    ada.run("sync disable a --force").success();
    assert_eq!(written(&ada), before);
}

#[test]
fn what_nix_has_made_is_left_to_nix() {
    let ada = local("http://127.0.0.1:9");
    let store = ada.path("store/0c5b8vw40dy178xlpddw65q9gf1h2186-nixbox.toml");
    std::fs::create_dir(ada.path("store")).unwrap();
    std::fs::rename(ada.path("nixbox.toml"), &store).unwrap();
    symlink(&store, ada.path("nixbox.toml")).unwrap();
    let said = ada.run("sync enable a team").stderr("nixbox::config::not-written").code(2).stderr;
    assert!(said.contains("services.agentfs.instances.a.sync.remote = \"team\";"), "{said}");
    assert!(ada.path("nixbox.toml").is_symlink());
}
