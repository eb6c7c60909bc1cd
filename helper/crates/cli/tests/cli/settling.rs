//! What was changed on both sides, what is kept before it gives way, and what is on record of it.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::{Test, until};
use crate::syncing::common::{Fate, Network, Server};
use crate::syncing::{answer, names, project};

/// Two that have changed x, each in its own way.
fn apart(url: &str) -> (Test, Test) {
    let (ada, bob) = (project(url, ""), project(url, ""));
    ada.args(["fs", "write", "x.md"]).stdin("0").success();
    ada.run("sync push").success();
    bob.run("sync pull").success();
    ada.args(["fs", "write", "x.md"]).stdin("from ada").success();
    ada.run("kv set k 1").success();
    ada.run("sync push").success();
    bob.args(["fs", "write", "x.md"]).stdin("from bob!").success();
    bob.run("kv set k 2").success();
    (ada, bob)
}

#[test]
fn what_gives_way_is_a_snapshot_and_can_be_had_back() {
    let Some(server) = Server::start() else { return };
    let (_ada, bob) = apart(&server.url());
    let told = "hooks.snapshot = [[\"sh\", \"-c\", \"cat >> heard\"]]\n";
    std::fs::OpenOptions::new().append(true).open(bob.path("nixbox.toml")).unwrap().write_all(told.as_bytes()).unwrap();
    bob.run("snapshot ls").stdout("").stderr("no snapshots").success();
    let settled = answer(&bob, "sync resolve --all --theirs");
    assert_eq!(settled["names"], serde_json::json!(["/x.md", "kv:k"]));
    // Looking and settling change nothing, so nothing is kept yet.
    assert!(answer(&bob, "snapshot ls")["snapshots"].as_array().unwrap().is_empty());
    bob.run("up -d").success();
    let said = bob.run("sync pull").stderr("2 pulled").stderr("snapshot restore").success().stderr;
    bob.run("fs cat x.md").stdout("from ada").success();
    let list = answer(&bob, "snapshot ls");
    let id = list["snapshots"][0]["id"].as_str().unwrap();
    assert!(said.contains(id), "{said}");
    assert_eq!(list["snapshots"][0]["before"], "sync");
    // While somebody serves it, it is not put back.
    bob.run(&format!("snapshot restore {id}")).stderr("nixbox::owner::held").code(4);
    bob.run("stop").success();
    bob.run("snapshot restore nothing").stderr("nixbox::snapshot::unknown").code(3);
    let restored = answer(&bob, &format!("snapshot restore {id}"));
    bob.run("fs cat x.md").stdout("from bob!").success();
    bob.run("kv get k").stdout("2\n").success();
    // And that can be undone.
    bob.run(&format!("snapshot restore {}", restored["kept"].as_str().unwrap())).success();
    bob.run("fs cat x.md").stdout("from ada").success();
    assert_eq!(answer(&bob, "snapshot ls")["snapshots"].as_array().unwrap().len(), 3);
    let heard = std::fs::read_to_string(bob.path("heard")).unwrap();
    let heard: Vec<serde_json::Value> = heard.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let before: Vec<_> = heard.iter().map(|told| told["before"].as_str().unwrap()).collect();
    assert_eq!(before, ["sync", "restore", "restore"]);
    assert_eq!((&heard[0]["event"], &heard[0]["snapshot"]), (&"snapshot".into(), &id.into()));
    bob.run("sync push").stderr("nothing to pull, nothing to push").success();
}

#[test]
fn a_merge_that_takes_something_away_keeps_what_was_here_whichever_verb_it_is() {
    let Some(server) = Server::start() else { return };
    let (ada, bob) = (project(&server.url(), ""), project(&server.url(), ""));
    let write = |test: &Test, path: &str, content: &str| {
        test.args(["fs", "write", path]).stdin(content.to_owned()).success();
    };
    // What both sides do, in one way each; what bob then says is its snapshot is one, and on record.
    let is_kept = |call: &str, number: u32| {
        write(&ada, "x.md", &format!("ada's {number}"));
        ada.run("sync push").success();
        write(&bob, "mine.md", &format!("bob's {number}"));
        let was = bob.run("fs cat x.md").success().stdout;
        let done = answer(&bob, call);
        let id = done["snapshot"].as_str().unwrap_or_else(|| panic!("{call}: {done}")).to_owned();
        bob.run("fs cat x.md").stdout(&format!("ada's {number}")).success();
        bob.run("fs cat mine.md").stdout(&format!("bob's {number}")).success();
        let newest = answer(&bob, "sync log")["entries"][0].clone();
        let verb = call.split(' ').nth(1).unwrap();
        assert_eq!((&newest["did"], &newest["snapshot"]), (&verb.into(), &id.as_str().into()), "{newest}");
        bob.run("sync log --limit 1").stdout_has(&format!("before: snapshot {id}")).success();
        assert!(
            answer(&bob, "snapshot ls")["snapshots"].as_array().unwrap().iter().any(|kept| kept["id"] == id.as_str())
        );
        (id, was)
    };
    write(&ada, "x.md", "0");
    ada.run("sync push").success();
    bob.run("sync pull").success();
    // Only there something was changed: there is nothing of ours to keep.
    write(&ada, "x.md", "1");
    ada.run("sync push").success();
    assert!(answer(&bob, "sync pull")["snapshot"].is_null());
    is_kept("sync pull", 2);
    is_kept("sync push", 3);
    bob.run("up -d").success();
    let (id, was) = is_kept("sync take", 4);
    bob.run("sync push").success();
    bob.run("sync release").success();
    write(&ada, "x.md", "5");
    ada.run("sync push").success();
    write(&bob, "mine.md", "5");
    bob.run("sync take").stderr("has the lease of team").stderr("What was here before is snapshot").success();
    bob.run("down").success();
    bob.run(&format!("snapshot restore {id}")).success();
    bob.run("fs cat x.md").stdout(&was).success();
    bob.run("fs cat mine.md").stdout("bob's 4").success();
}

#[test]
fn a_remote_that_was_restored_from_a_backup_is_refused_until_somebody_says_which_side_counts() {
    let Some(mut server) = Server::start() else { return };
    let (ada, bob) = (project(&server.url(), ""), project(&server.url(), ""));
    let write = |test: &Test, path: &str, content: &str| {
        test.args(["fs", "write", path]).stdin(content.to_owned()).success();
    };
    write(&ada, "x.md", "old");
    ada.run("sync push").success();
    let backup = server.backup();
    write(&ada, "x.md", "new");
    write(&ada, "later.md", "since");
    ada.run("sync push").success();
    bob.run("sync pull").success();
    server.put_back(backup.path());
    for test in [&ada, &bob] {
        for call in ["sync pull", "sync push", "sync status"] {
            let said = test.run(call).stderr("nixbox::sync::older").code(5).stderr;
            for way in ["nixbox-helper sync take", "nixbox-helper sync push --again"] {
                assert!(said.contains(way), "{said}");
            }
        }
        test.run("fs cat later.md").stdout("since").success();
    }
    assert_eq!(answer(&bob, "sync log")["entries"][0]["code"], "nixbox::sync::older");
    bob.run("up -d").success();
    let taken = answer(&bob, "sync take");
    let id = taken["snapshot"].as_str().unwrap().to_owned();
    bob.run("fs cat x.md").stdout("old").success();
    bob.run("fs cat later.md").code(3);
    bob.run("down").success();
    ada.run("sync push --again").stderr("nixbox::sync::conflict").stderr("/x.md").code(5);
    ada.run("sync resolve --all --ours").success();
    ada.run("sync push").stderr("2 pushed").success();
    bob.run("sync pull").success();
    bob.run("fs cat x.md").stdout("new").success();
    bob.run("fs cat later.md").stdout("since").success();
    assert!(answer(&bob, "snapshot ls")["snapshots"].as_array().unwrap().iter().any(|kept| kept["id"] == id.as_str()));
    // Of one that was not put back it is a push like any other.
    ada.run("sync push --again").stderr("nothing to push").success();
}

#[test]
fn both_are_kept_and_what_was_done_is_on_record() {
    let Some(server) = Server::start() else { return };
    let (ada, bob) = apart(&server.url());
    bob.run("sync push").code(5);
    bob.run("sync push").code(5);
    bob.run("sync resolve --all").code(2);
    bob.run("sync resolve x.md --all --both").code(2);
    bob.run("sync resolve --all --both").stderr("both for 2 things").success();
    assert_eq!(names(&answer(&bob, "sync status")["to_pull"]), ["/x.theirs.md", "kv:k.theirs"]);
    let done = answer(&bob, "sync push");
    assert_eq!((&done["pulled"], &done["pushed"]), (&2.into(), &4.into()));
    ada.run("sync pull").success();
    for test in [&ada, &bob] {
        test.run("fs cat x.md").stdout("from bob!").success();
        test.run("fs cat x.theirs.md").stdout("from ada").success();
        test.run("kv get k.theirs").stdout("1\n").success();
    }
    bob.run("sync resolve --all --ours").stderr("Nothing is in conflict").success();
    let log = answer(&bob, "sync log");
    let entries = log["entries"].as_array().unwrap();
    let did: Vec<_> = entries.iter().map(|entry| entry["did"].as_str().unwrap()).collect();
    assert_eq!(did, ["push", "resolve", "push", "pull"]);
    assert_eq!((&entries[0]["pushed"], &entries[0]["snapshot"]), (&4.into(), &done["snapshot"]));
    assert_eq!(entries[1]["conflicts"], serde_json::json!(["/x.md", "kv:k"]));
    assert_eq!((&entries[2]["code"], &entries[2]["times"]), (&"nixbox::sync::conflict".into(), &2.into()));
    bob.run("sync log --limit 3").stdout_has("nixbox::sync::conflict (2 times): /x.md, kv:k").success();
    assert_eq!(answer(&bob, "sync log --limit 1")["entries"].as_array().unwrap().len(), 1);
}

#[test]
fn a_checkpoint_gives_room_back_while_it_is_served() {
    let Some(server) = Server::start() else { return };
    let ada = project(&server.url(), "");
    ada.run("up -d").success();
    ada.args(["fs", "write", "large"]).stdin(vec![1; 8_000_000]).success();
    ada.run("sync push").success();
    ada.run("fs rm large").success();
    ada.run("sync push").success();
    let sizes = answer(&ada, "sync checkpoint");
    let size = |name: &str| sizes[name].as_u64().unwrap();
    assert!(size("after") + 8_000_000 < size("before"), "{sizes}");
    let file = |name: &str| std::fs::metadata(ada.path(name)).map_or(0, |file| file.len());
    assert_eq!(
        size("after"),
        file(".agentfs/a.db") + file(".agentfs/a.db-wal") + file(".agentfs/a.d/sync/team/mirror.db")
    );
    ada.run("sync status").stderr("Both sides are the same").success();
}

#[test]
fn a_verb_that_is_interrupted_calls_its_sync_off() {
    let Some(server) = Server::start() else { return };
    let network = Network::before(Some(server.port));
    let (ada, bob) = (project(&server.url(), ""), project(&network.url(), ""));
    ada.args(["fs", "write", "x"]).stdin(vec![1; 100_000]).success();
    ada.run("sync push").success();
    for served in [true, false] {
        if served {
            bob.run("up -d").success();
        }
        let asked = network.seen();
        network.fates([Fate::Late(Duration::from_secs(600))]);
        let pulling = bob.spawn("sync pull");
        until("it asks the remote", || network.seen() > asked);
        // What runs in the background of a script has INT ignored.
        pulling.signal(Signal::SIGTERM);
        assert_eq!(pulling.finish().code, None);
        network.goes_on();
        network.fates([Fate::Pass]);
        if served {
            // Its owner goes on, and is not at it any more.
            until("the sync has ended", || bob.run("sync status").try_code() == Some(0));
            bob.run("fs ls").stdout("").success();
            bob.run("stop").success();
        } else {
            bob.run("fs ls").stdout("").success();
        }
    }
    let codes = |log: &serde_json::Value| {
        let entries = log["entries"].as_array().unwrap().clone();
        entries.iter().map(|entry| entry["code"].as_str().unwrap_or("done").to_owned()).collect::<Vec<_>>()
    };
    assert!(codes(&answer(&bob, "sync log")).contains(&"nixbox::sync::called-off".to_owned()));
    bob.run("sync pull").stderr("1 pulled").success();
}

/// As a person sees it, and as nobody else does.
#[test]
fn how_far_it_is_is_shown_on_a_terminal_alone() {
    let Some(server) = Server::start() else { return };
    let ada = project(&server.url(), "");
    ada.args(["fs", "write", "large"]).stdin((0..12_000_000u32).map(|n| (n >> 5) as u8).collect::<Vec<_>>()).success();
    let mut command = ada.command("script");
    let call = format!("{} sync push", crate::support::helper().display());
    command.args(["-qec", &call, "/dev/null"]).env("TERM", "xterm").stdout(Stdio::piped());
    let said = String::from_utf8_lossy(&command.output().unwrap().stdout).into_owned();
    assert!(said.contains("1 pushed"), "{said:?}");
    assert!(said.contains("sending") || said.contains("packing"), "{said:?}");
    ada.args(["fs", "write", "large"]).stdin(vec![3; 12_000_000]).success();
    let quiet = ada.run("sync push").success();
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.lines().count()), ("", 1), "{}", quiet.stderr);
}
