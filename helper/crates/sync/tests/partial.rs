//! A machine that brings names and metadata here, and content when somebody reads it; with the real server.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

#[path = "../../remote/tests/common/mod.rs"]
mod common;
mod machine;
#[path = "../../engine/tests/support/slow_machine.rs"]
mod slow_machine;

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{Fate, Network, Server, remote};
use machine::Machine;
use nixbox_engine::{AttrChange, Ino, Options};
use nixbox_remote::Step;
use nixbox_sync::{Done, Error, RemoteContent, Settled};
use slow_machine::HeldUp;

const SEGMENT: u64 = 128 << 10;

impl Machine {
    fn new(name: &str, url: &str, partial: bool) -> Self {
        let machine = Self::in_folder(name, url, tempfile::tempdir().unwrap(), &Options::default());
        let from = url.to_owned();
        let origin = RemoteContent::new("team".into(), move || Ok(remote(&from)));
        machine.database().absent().comes_from(Arc::new(origin), SEGMENT);
        Self { partial, ..machine }
    }

    fn ino(&self, name: &str) -> Ino {
        let attr = self.database().tree().lookup(1, OsStr::new(name)).unwrap();
        self.database().tree().forget(attr.ino, 1);
        attr.ino
    }

    fn rename(&self, from: &str, to: &str) {
        let tree = self.database().tree();
        tree.rename((1, OsStr::new(from)), (1, OsStr::new(to)), nixbox_engine::Rename::Replace).unwrap();
    }

    fn absent(&self) -> u64 {
        self.database().absent().count().unwrap().0
    }
}

fn two(url: &str) -> (Machine, Machine) {
    (Machine::new("ada", url, false), Machine::new("bob", url, true))
}

fn content(seed: u32, length: usize) -> Vec<u8> {
    (0..length as u32).map(|byte| ((byte.wrapping_mul(seed * 2 + 7)) >> 5) as u8).collect()
}

/// Files whose chunks at the remote are not what their sizes say.
fn cut(server: &Server) -> i64 {
    let sql = "SELECT count(*) FROM fs_inode AS i WHERE i.mode & 61440 = 32768 AND i.size <> \
               coalesce((SELECT sum(length(d.data)) FROM fs_data AS d WHERE d.ino = i.ino), 0)";
    nixbox_remote::Rows::int(&server.remote().ask(&Step::new(sql)).unwrap().rows[0], 0).unwrap()
}

fn left_over(server: &Server) -> i64 {
    let sql = "SELECT count(*) FROM fs_data WHERE ino NOT IN (SELECT ino FROM fs_inode)";
    nixbox_remote::Rows::int(&server.remote().ask(&Step::new(sql)).unwrap().rows[0], 0).unwrap()
}

#[test]
fn names_come_at_once_and_content_when_it_is_read() {
    let Some(server) = Server::start() else { return };
    let (a, b) = two(&server.url());
    let large = content(1, 3_000_000);
    a.write("/large", &large);
    a.write("/small", b"small");
    a.write("/empty", b"");
    a.push().unwrap();
    let done = b.pull().unwrap();
    assert_eq!((done.pulled, done.bytes_in), (3, 0));
    assert_eq!(b.database().absent().count().unwrap(), (2, 3_000_005));
    assert_eq!(b.database().tree().getattr(b.ino("large")).unwrap().size, 3_000_000);
    assert_eq!(b.database().tree().read(b.ino("large"), 2_000_000, 100).unwrap(), large[2_000_000..2_000_100]);
    assert_eq!(b.database().absent().count().unwrap(), (2, 3_000_005 - SEGMENT));
    assert!(b.read("/large").unwrap() == large);
    assert_eq!(b.read("/small").unwrap(), b"small");
    assert_eq!(b.read("/empty").unwrap(), b"");
    assert_eq!(b.absent(), 0);
    for machine in [&a, &b] {
        assert_eq!(Done { left: None, ..machine.push().unwrap() }, Done::default());
        assert_eq!(Done { left: None, ..machine.pull().unwrap() }, Done::default());
    }
}

#[test]
fn a_push_never_takes_absent_for_empty() {
    let Some(server) = Server::start() else { return };
    let (a, b) = two(&server.url());
    let names = ["renamed", "chmodded", "written", "cut", "swapped-1", "swapped-2", "linked", "gone", "still"];
    for (seed, name) in names.iter().enumerate() {
        a.write(&format!("/{name}"), content(seed as u32, 300_000 + seed));
    }
    a.push().unwrap();
    b.pull().unwrap();
    assert_eq!(b.absent(), 9);
    let tree = b.database().tree();
    b.files().make_folder(OsStr::new("/folder"), false).unwrap();
    let folder = b.ino("folder");
    tree.rename((1, OsStr::new("renamed")), (folder, OsStr::new("inside")), Default::default()).unwrap();
    tree.setattr(b.ino("chmodded"), AttrChange { perm: Some(0o600), ..AttrChange::default() }).unwrap();
    tree.write(b.ino("written"), 150_000, b"!").unwrap();
    tree.setattr(b.ino("cut"), AttrChange { size: Some(0), ..AttrChange::default() }).unwrap();
    for (from, to) in [("swapped-1", "t"), ("swapped-2", "swapped-1"), ("t", "swapped-2")] {
        b.rename(from, to);
    }
    tree.link(b.ino("linked"), 1, OsStr::new("another-name")).unwrap();
    tree.unlink(1, OsStr::new("gone")).unwrap();
    b.write("/new", b"new");
    assert_eq!(b.absent(), 6, "only what was written came here");
    b.push().unwrap();
    assert_eq!(b.absent(), 6, "nor does a push need it");
    assert_eq!((cut(&server), left_over(&server)), (0, 0));
    a.pull().unwrap();
    let of = |seed: u32| content(seed, 300_000 + seed as usize);
    let mut written = of(2);
    written[150_000] = b'!';
    for (name, expected) in [
        ("folder/inside", of(0)),
        ("chmodded", of(1)),
        ("written", written),
        ("cut", Vec::new()),
        ("swapped-1", of(5)),
        ("swapped-2", of(4)),
        ("linked", of(6)),
        ("another-name", of(6)),
        ("still", of(8)),
        ("new", b"new".to_vec()),
    ] {
        assert!(a.read(&format!("/{name}")).unwrap() == expected, "{name}");
        assert!(b.read(&format!("/{name}")).unwrap() == expected, "{name}");
    }
    assert!(a.read("/gone").is_err() && a.read("/renamed").is_err());
    assert_eq!(b.absent(), 0);
    for machine in [&a, &b] {
        assert_eq!(Done { left: None, ..machine.push().unwrap() }, Done::default());
    }
}

#[test]
fn content_is_found_wherever_it_lies_by_now() {
    let Some(server) = Server::start() else { return };
    let (a, b) = two(&server.url());
    for (seed, name) in ["moved", "touched", "copied", "changed"].into_iter().enumerate() {
        a.write(&format!("/{name}"), content(seed as u32, 200_000));
    }
    a.push().unwrap();
    b.pull().unwrap();
    a.rename("moved", "elsewhere");
    let change = AttrChange { perm: Some(0o640), ..AttrChange::default() };
    a.database().tree().setattr(a.ino("touched"), change).unwrap();
    a.write("/copy", content(2, 200_000));
    a.database().tree().unlink(1, OsStr::new("copied")).unwrap();
    a.write("/changed", b"another");
    a.push().unwrap();
    // Nobody has pulled here since.
    for (seed, name) in ["moved", "touched", "copied"].into_iter().enumerate() {
        assert!(b.read(&format!("/{name}")).unwrap() == content(seed as u32, 200_000), "{name}");
    }
    let error = b.read("/changed").unwrap_err();
    assert_eq!(error.errno(), libc::EIO);
    assert!(error.to_string().contains("no file with this content any more"), "{error}");
    b.pull().unwrap();
    assert_eq!(b.read("/changed").unwrap(), b"another");
}

#[test]
fn what_is_nowhere_any_more_is_not_pushed_as_something_else() {
    let Some(server) = Server::start() else { return };
    let (a, b) = two(&server.url());
    a.write("/file", content(1, 200_000));
    a.write("/other", b"other");
    a.push().unwrap();
    b.pull().unwrap();
    let tree = b.database().tree();
    tree.link(b.ino("file"), 1, OsStr::new("name")).unwrap();
    tree.unlink(1, OsStr::new("file")).unwrap();
    b.write("/other", b"changed");
    a.database().tree().unlink(1, OsStr::new("file")).unwrap();
    a.push().unwrap();
    match b.push() {
        Err(Error::Gone(path)) => assert_eq!(path, "/name"),
        other => panic!("{other:?}"),
    }
    assert_eq!(cut(&server), 0);
    tree.unlink(1, OsStr::new("name")).unwrap();
    b.push().unwrap();
    a.pull().unwrap();
    assert_eq!(a.read("/other").unwrap(), b"changed");
}

#[test]
fn readers_of_what_does_not_come_are_told_so_in_time() {
    let Some(mut server) = Server::start() else { return };
    let a = Machine::new("ada", &server.url(), false);
    let network = Network::before(Some(server.port));
    let b = Machine::new("bob", &network.url(), true);
    let fates = [
        Fate::Dropped,
        Fate::AnswerLost,
        Fate::AnswerCut,
        Fate::Says(500, "no"),
        Fate::Says(401, "who?"),
        Fate::Junk("{}"),
        Fate::Late(Duration::from_secs(30)),
    ];
    for round in 0..=fates.len() {
        a.write(&format!("/{round}"), content(round as u32, 300_000));
    }
    a.write("/here", b"here");
    a.push().unwrap();
    b.pull().unwrap();
    b.read("/here").unwrap();
    for (round, fate) in fates.into_iter().enumerate() {
        let path = format!("/{round}");
        network.fates([fate.clone()]);
        let watch = HeldUp::watch();
        assert_eq!(b.read(&path).unwrap_err().errno(), libc::EIO, "{fate:?}");
        watch.assert_within(Duration::from_secs(11), &format!("{fate:?}"));
        assert_eq!(b.read("/here").unwrap(), b"here");
        network.fates([Fate::Pass]);
        std::thread::sleep(Duration::from_millis(2100));
        assert!(b.read(&path).unwrap() == content(round as u32, 300_000), "{fate:?}");
    }
    server.kill();
    let path = "/7";
    assert_eq!(b.read(path).unwrap_err().errno(), libc::EIO);
    server.again();
    std::thread::sleep(Duration::from_millis(2100));
    assert!(b.read(path).unwrap() == content(7, 300_000));
}

#[test]
fn what_nobody_has_said_the_content_of_comes_whole() {
    let Some(server) = Server::start() else { return };
    let (a, b) = two(&server.url());
    a.write("/ours", content(1, 200_000));
    a.write("/theirs", content(2, 200_000));
    a.push().unwrap();
    // As a program of another make leaves it: the file is another one, and what was said of it stays.
    for sql in [
        "UPDATE fs_inode SET mtime = mtime + 1, ctime = ctime + 1, ctime_nsec = 5, size = 5 \
         WHERE ino = (SELECT ino FROM fs_dentry WHERE name = 'theirs')",
        "DELETE FROM fs_data WHERE ino = (SELECT ino FROM fs_dentry WHERE name = 'theirs')",
        "INSERT INTO fs_data (ino, chunk_index, data) SELECT ino, 0, CAST('hello' AS BLOB) FROM fs_dentry \
         WHERE name = 'theirs'",
    ] {
        server.remote().change(&nixbox_remote::Batch::of([Step::new(sql)])).unwrap();
    }
    b.pull().unwrap();
    assert_eq!(b.absent(), 1);
    assert_eq!(b.read("/theirs").unwrap(), b"hello");
    // The first of ours that comes by says it.
    b.push().unwrap();
    let c = Machine::new("cat", &server.url(), true);
    c.pull().unwrap();
    assert_eq!(c.absent(), 2);
    assert_eq!(c.read("/theirs").unwrap(), b"hello");
    assert!(c.read("/ours").unwrap() == content(1, 200_000));
}

#[test]
fn a_machine_may_change_its_mind() {
    let Some(server) = Server::start() else { return };
    let (a, mut b) = two(&server.url());
    a.write("/one", content(1, 200_000));
    a.write("/two", content(2, 200_000));
    a.push().unwrap();
    b.pull().unwrap();
    b.partial = false;
    b.write("/three", b"three");
    b.push().unwrap();
    // What is absent still is until somebody loads it, and comes from there as ever.
    assert_eq!(b.absent(), 2);
    let all: Vec<_> = b.database().absent().all().unwrap().into_keys().collect();
    b.database().absent().load(&all, &mut |_| true).unwrap();
    assert_eq!(b.absent(), 0);
    a.pull().unwrap();
    a.write("/one", b"1");
    a.push().unwrap();
    b.partial = true;
    b.pull().unwrap();
    assert_eq!((b.absent(), b.read("/one").unwrap()), (1, b"1".to_vec()));
    b.write("/two", b"2");
    b.push().unwrap();
    a.pull().unwrap();
    assert_eq!(a.read("/two").unwrap(), b"2");
    assert_eq!((cut(&server), left_over(&server)), (0, 0));
}

#[test]
fn both_sides_of_a_conflict_are_kept_without_being_here() {
    let Some(server) = Server::start() else { return };
    let (a, b) = two(&server.url());
    a.write("/plan.md", content(1, 200_000));
    a.push().unwrap();
    b.pull().unwrap();
    a.write("/plan.md", content(2, 200_000));
    a.push().unwrap();
    b.write("/plan.md", content(3, 200_000));
    assert!(matches!(b.push(), Err(Error::Conflicts(_))));
    b.push_settled(&|_| Some(Settled::Both)).unwrap();
    assert_eq!((b.absent(), cut(&server), left_over(&server)), (1, 0, 0));
    a.pull().unwrap();
    for machine in [&a, &b] {
        assert!(machine.read("/plan.md").unwrap() == content(3, 200_000));
        assert!(machine.read("/plan.theirs.md").unwrap() == content(2, 200_000));
    }
}

/// A table, too: `NIXBOX_NIGHTLY=1 cargo test --release --test partial what_it_costs -- --nocapture`.
#[test]
fn what_it_costs() {
    let Some(server) = Server::start() else { return };
    let (files, large) = match std::env::var_os("NIXBOX_NIGHTLY") {
        Some(_) => (1000, 100_000_000),
        None => (20, 2_000_000),
    };
    let a = Machine::new("ada", &server.url(), false);
    for file in 0..files {
        a.write(&format!("/{file}"), content(file, 42_000));
    }
    a.write("/large", content(7, large));
    let took = |what: &str, network: &Network, work: &mut dyn FnMut() -> u64| {
        let (began, seen) = (Instant::now(), network.seen());
        let bytes = work();
        let (took, asked) = (began.elapsed(), network.seen() - seen);
        println!("{what:40} {:8.2} s {bytes:12} bytes {asked:6} requests", took.as_secs_f64());
        bytes
    };
    let network = Network::before(Some(server.port));
    took("push", &network, &mut || a.push().unwrap().bytes_out);
    let whole = Machine::new("whole", &network.url(), false);
    let all = took("pull, all of it", &network, &mut || whole.pull().unwrap().bytes_in);
    let b = Machine::new("bob", &network.url(), true);
    let names = took("pull, names and metadata", &network, &mut || b.pull().unwrap().bytes_in);
    assert!(names * 10 < all, "{names} of {all}");
    took("read one small file", &network, &mut || b.read("/0").unwrap().len() as u64);
    took("read 1 byte of the large file", &network, &mut || {
        b.database().tree().read(b.ino("large"), large as u64 / 2, 1).unwrap().len() as u64
    });
    took("read the small files, one by one", &network, &mut || {
        (0..files).map(|file| b.read(&format!("/{file}")).unwrap().len() as u64).sum()
    });
    took("read the large file, by 128 KiB", &network, &mut || {
        let (tree, ino, mut at) = (b.database().tree(), b.ino("large"), 0);
        while let piece @ 1.. = tree.read(ino, at, 128 << 10).unwrap().len() as u64 {
            at += piece;
        }
        at
    });
    let c = Machine::new("cat", &network.url(), true);
    c.pull().unwrap();
    took("fetch all of it", &network, &mut || {
        let all: Vec<_> = c.database().absent().all().unwrap().into_keys().collect();
        c.database().absent().load(&all, &mut |_| true).unwrap()
    });
}
