//! A database that was copied, restored or cloned syncs as what it is: nothing is taken back, nothing is lost.

use std::path::Path;
use std::process::Command;

use crate::support::Test;
use crate::syncing::common::Server;
use crate::syncing::{answer, project};

/// By another process: closing a descriptor of a database gives up the locks that this one holds.
fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

fn write(test: &Test, name: &str) {
    test.args(["fs", "write", name]).stdin(name).success();
}

fn listed(test: &Test) -> String {
    test.run("fs ls").success().stdout
}

/// Both push, and both have everything.
fn come_together(one: &Test, two: &Test, all: &str) {
    for test in [one, two, one] {
        test.run("sync push").success();
    }
    assert_eq!((listed(one).as_str(), listed(two).as_str()), (all, all));
    for test in [one, two] {
        assert_eq!(answer(test, "sync status")["to_push"].as_array().unwrap().len(), 0);
        for name in all.lines() {
            test.run(&format!("fs cat {name}")).stdout(name).success();
        }
    }
}

#[test]
fn a_database_that_was_put_back_takes_nothing_back() {
    let Some(server) = Server::start() else { return };
    let (ada, bob) = (project(&server.url(), ""), project(&server.url(), ""));
    write(&ada, "1");
    ada.run("sync push").success();
    copy(&ada.path(".agentfs/a.db"), &ada.path("saved.db"));
    write(&ada, "2");
    ada.run("sync push").success();
    bob.run("sync pull").success();
    bob.run("fs rm 1").success();
    write(&bob, "3");
    bob.run("sync push").success();
    copy(&ada.path("saved.db"), &ada.path(".agentfs/a.db"));
    // Written to before anything is pulled.
    write(&ada, "4");
    come_together(&ada, &bob, "2\n3\n4\n");
    let log = answer(&ada, "sync log");
    let noticed = log["entries"].as_array().unwrap().iter().filter(|entry| entry["did"] == "noticed").count();
    assert_eq!(noticed, 1, "{log}");
    ada.run("sync log").stdout_has("it was restored, or replaced").success();
}

#[test]
fn a_copy_of_the_database_alone_is_another_machine() {
    let Some(server) = Server::start() else { return };
    let (ada, clone) = (project(&server.url(), ""), project(&server.url(), ""));
    write(&ada, "1");
    ada.run("sync push").success();
    copy(&ada.path(".agentfs/a.db"), &clone.path(".agentfs/a.db"));
    write(&ada, "2");
    write(&clone, "3");
    come_together(&ada, &clone, "1\n2\n3\n");
}

#[test]
fn a_copy_of_everything_is_another_holder_and_so_is_a_clone_under_another_name() {
    let Some(server) = Server::start() else { return };
    let (ada, clone) = (project(&server.url(), ""), project(&server.url(), ""));
    write(&ada, "1");
    ada.run("sync push").success();
    std::fs::remove_dir_all(clone.path(".agentfs")).unwrap();
    copy(&ada.path(".agentfs"), &clone.path(".agentfs"));
    write(&ada, "2");
    write(&clone, "3");
    come_together(&ada, &clone, "1\n2\n3\n");
    let holder = |test: &Test, name: &str| {
        let file = std::fs::read_to_string(test.path(&format!(".agentfs/{name}.d/sync/team/holder"))).unwrap();
        file.lines().next().unwrap().to_owned()
    };
    assert_ne!(holder(&ada, "a"), holder(&clone, "a"));
    // In the same project, with all that lies beside it.
    let text = std::fs::read_to_string(ada.path("nixbox.toml")).unwrap();
    let more = "[instances.b]\nmount.backend = \"none\"\nsync.remote = \"team\"\n";
    let text = text.replacen("version = 1\n", "version = 1\ndefault_instance = \"a\"\n", 1) + more;
    std::fs::write(ada.path("nixbox.toml"), text).unwrap();
    for end in ["db", "d"] {
        copy(&ada.path(&format!(".agentfs/a.{end}")), &ada.path(&format!(".agentfs/b.{end}")));
    }
    write(&ada, "4");
    ada.args(["fs", "write", "-i", "b", "5"]).stdin("5").success();
    ada.run("sync push -i b").success();
    assert_ne!(holder(&ada, "a"), holder(&ada, "b"));
    come_together(&ada, &clone, "1\n2\n3\n4\n5\n");
    // Its lease is its own, too: the one that holds it is not taken for the other.
    ada.run("sync status -i b").stderr("nobody writes there now").success();
}
