//! An instance that has names and metadata, and content when somebody reads it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::support::{HeldUp, Test, fuse, owner, until};
use crate::syncing::common::{Fate, Network, Server};
use crate::syncing::{answer, project};

/// What answers in JSON, and is looked at here.
pub const ANSWERS: [&str; 1] = ["sync fetch"];

fn partial(url: &str, more: &str) -> Test {
    owner();
    let test = Test::new().config(&format!(
        "[remotes.team]\nurl = \"{url}\"\n[instances.a]\nsync.remote = \"team\"\n\
         mount = {{ path = \"mnt\" }}\n[instances.a.sync.partial]\n{more}\n"
    ));
    test.run("init").success();
    test
}

fn large() -> Vec<u8> {
    (0..600_000u32).map(|byte| ((byte * 7) >> 4) as u8).collect()
}

/// At the remote: three small files, and a large one.
fn filled(url: &str) -> Test {
    let ada = project(url, "");
    ada.run("fs mkdir docs").success();
    for (path, content) in
        [("a", vec![b'a'; 10]), ("docs/b", vec![b'b'; 100]), ("c", vec![b'c'; 1000]), ("large", large())]
    {
        ada.args(["fs", "write", path]).stdin(content).success();
    }
    ada.run("sync push").success();
    ada
}

fn absent(test: &Test) -> (u64, u64) {
    let absent = &answer(test, "sync status")["absent"];
    (absent["files"].as_u64().unwrap(), absent["bytes"].as_u64().unwrap())
}

#[test]
fn content_comes_when_it_is_read_or_asked_for() {
    let Some(server) = Server::start() else { return };
    let ada = filled(&server.url());
    let bob = partial(&server.url(), "segment_size = \"64KiB\"");
    assert_eq!(answer(&bob, "sync pull")["bytes_in"], 0);
    assert_eq!(absent(&bob), (4, 601_110));
    bob.run("sync status").stdout("Not loaded yet:\n  4 files, 587.0 KiB\n").success();
    bob.run("fs stat large").stdout_has("600000").success();
    bob.run("fs cat docs/b").stdout(&"b".repeat(100)).success();
    assert_eq!(absent(&bob), (3, 601_010));
    bob.run("fs cp large copy").success();
    bob.run("fs mv c moved").success();
    bob.run("sync fetch nowhere").stderr("nixbox::file::missing").code(3);
    assert_eq!(answer(&bob, "sync fetch moved docs"), serde_json::json!({ "schema": 1, "files": 1, "bytes": 1000 }));
    assert_eq!(absent(&bob), (3, 1_200_010));
    // What is copied and moved here is made there out of what is there.
    bob.run("sync push").success();
    ada.run("sync pull").success();
    for path in ["copy", "large", "moved"] {
        let of = |test: &Test| test.args(["fs", "cat", path]).success().stdout;
        assert!(!of(&ada).is_empty() && of(&ada) == of(&bob), "{path}");
    }
    bob.run("sync fetch").stderr("loaded 1 file, 10 B").success();
    bob.run("sync fetch").stderr("all of it is here").success();
    bob.run("sync status").stdout("").success();
    let plain = Test::bare(&["a"]);
    plain.run("init").success();
    plain.run("sync fetch").stderr("nixbox::sync::not-declared").code(3);
}

#[test]
fn what_comes_at_once_is_said_by_size_or_by_a_question() {
    let Some(server) = Server::start() else { return };
    let _ada = filled(&server.url());
    let first = |more: &str| {
        let test = partial(&server.url(), more);
        let bytes = answer(&test, "sync pull")["bytes_in"].as_u64().unwrap();
        (bytes, absent(&test).0)
    };
    assert_eq!(first("bootstrap_length = 1109"), (110, 2));
    assert_eq!(first("bootstrap_length = \"1110B\""), (1110, 1));
    assert_eq!(first("bootstrap_query = \"SELECT ino FROM fs_dentry WHERE name = 'large'\""), (600_000, 3));
    let both = "bootstrap_query = \"SELECT 'docs/b' UNION SELECT 'nowhere'\"\nbootstrap_length = 10";
    assert_eq!(first(both), (110, 2));
    let wrong = partial(&server.url(), "bootstrap_query = \"SELECT ino FROM nowhere\"");
    wrong.run("sync pull").stderr("nixbox::sync::refused").stderr("bootstrap_query").stderr("nowhere").code(8);
}

#[test]
fn a_mount_goes_on_where_the_remote_does_not() {
    let Some(mut server) = Server::start() else { return };
    if !fuse() {
        return;
    }
    let _ada = filled(&server.url());
    let network = Network::before(Some(server.port));
    let bob = partial(&network.url(), "segment_size = \"64KiB\"");
    bob.run("up -d").success();
    bob.run("sync pull").success();
    let at = |path: &str| bob.path("mnt").join(path);
    assert_eq!(fs::read_dir(at("")).unwrap().count(), 4);
    let meta = fs::metadata(at("large")).unwrap();
    assert_eq!((meta.len(), meta.blocks()), (600_000, 1172));
    assert_eq!(fs::read(at("a")).unwrap(), [b'a'; 10]);
    // Silence. Both threads that answer the kernel would be at it.
    network.fates([Fate::Late(Duration::from_secs(60))]);
    let watch = HeldUp::watch();
    let readers: Vec<_> = ["large", "c", "docs/b", "large"]
        .map(|path| {
            let path = at(path);
            std::thread::spawn(move || fs::read(path))
        })
        .into();
    std::thread::sleep(Duration::from_millis(500));
    let meanwhile = (0..20).filter(|round| {
        fs::write(at("new"), format!("{round}")).unwrap();
        assert_eq!(fs::read(at("a")).unwrap(), [b'a'; 10]);
        assert_eq!(fs::read_to_string(at("new")).unwrap(), format!("{round}"));
        readers.iter().all(|reader| !reader.is_finished())
    });
    assert!(meanwhile.count() > 0, "all waited until the readers were told");
    for reader in readers {
        assert_eq!(reader.join().unwrap().unwrap_err().raw_os_error(), Some(Errno::EIO as i32));
    }
    watch.assert_within(Duration::from_secs(12), "until they were told");
    bob.run("fs cat c").stderr("nixbox::sync::not-loaded").code(8);
    let said = fs::read_to_string(bob.path("run/a.log")).unwrap();
    let told: Vec<_> = said.lines().filter(|line| line.contains("content could not be loaded")).collect();
    assert!(matches!(told[..], [line] if line.contains("path=\"/") && line.contains("remote=\"team\"")), "{said}");
    assert!(!said.contains("ERROR"), "{said}");
    // Nobody listens at all.
    network.fates([Fate::Pass]);
    server.kill();
    std::thread::sleep(Duration::from_millis(2100));
    assert_eq!(fs::read(at("c")).unwrap_err().raw_os_error(), Some(Errno::EIO as i32));
    fs::rename(at("c"), at("renamed")).unwrap();
    fs::remove_file(at("docs/b")).unwrap();
    // Back again.
    server.again();
    std::thread::sleep(Duration::from_millis(2100));
    assert_eq!(fs::read(at("renamed")).unwrap(), [b'c'; 1000]);
    // Killed with a part of it loaded.
    let mut part = [0; 10];
    std::os::unix::fs::FileExt::read_exact_at(&fs::File::open(at("large")).unwrap(), &mut part, 300_000).unwrap();
    assert_eq!(part, large()[300_000..300_010]);
    let pid = bob.pid("a");
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    until("the owner is gone", || !crate::support::alive(pid));
    bob.run("up -d").success();
    assert!(fs::read(at("large")).unwrap() == large());
    fs::write(at("large"), b"another").unwrap();
    bob.run("sync push").success();
    bob.run("down").success();
}

#[test]
fn the_rest_comes_by_itself_where_that_is_wanted() {
    let Some(server) = Server::start() else { return };
    if !fuse() {
        return;
    }
    let ada = filled(&server.url());
    let bob = partial(&server.url(), "prefetch = true");
    bob.run("up -d").success();
    bob.run("sync pull").success();
    until("all is here", || absent(&bob) == (0, 0));
    ada.args(["fs", "write", "later"]).stdin(large()).success();
    ada.run("sync push").success();
    bob.run("sync pull").success();
    until("what came later is here", || absent(&bob) == (0, 0));
    drop(server);
    assert!(fs::read(bob.path("mnt/later")).unwrap() == large());
    bob.run("down").success();
}

#[test]
fn what_leaves_the_instance_is_whole() {
    let Some(server) = Server::start() else { return };
    let _ada = filled(&server.url());
    let bob = partial(&server.url(), "");
    bob.run("sync pull").success();
    bob.run("export --dir tree").success();
    assert!(fs::read(bob.path("tree/large")).unwrap() == large());
    assert_eq!(absent(&bob).0, 4, "it was only read");
    bob.run("export --db whole.db").success();
    assert_eq!(absent(&bob).0, 0);
    drop(server);
    let test = Test::bare(&["a"]);
    test.run("init").success();
    test.args(["import", "a", bob.path("whole.db").to_str().unwrap()]).success();
    assert_eq!(test.run("fs cat docs/b").success().stdout, "b".repeat(100));
    let answer: Value = test.run("fs stat large --json").success().json();
    assert_eq!(answer["size"], 600_000);
}
