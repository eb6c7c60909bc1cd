//! Two machines and the real server between them.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

#[path = "../../remote/tests/common/mod.rs"]
mod common;
mod machine;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Fate, Network, Server, remote};
use machine::{Machine, OWNER};
use nixbox_engine::{AttrChange, Database, Kind, NewNode, Options, Time, TimeChange};
use nixbox_remote::{Batch, Lease, Step};
use nixbox_sync::{Company, Done, Error, Older, Phase, Progress, Room, Settled};

type Tree = BTreeMap<String, (Kind, u16, u32, Time, Vec<u8>)>;

impl Machine {
    fn new(name: &str, url: &str) -> Self {
        Self::in_folder(name, url, tempfile::tempdir().unwrap(), &Options::default())
    }

    fn tree(&self) -> Tree {
        let mut walk = self.files().list(OsStr::new("/"), true).unwrap();
        let found = walk.next(usize::MAX, |_| true).unwrap();
        let entry = |found: nixbox_engine::Found| {
            let path = found.path.to_str().unwrap().to_owned();
            let content = match found.attr.kind {
                Kind::File => self.read(&format!("/{path}")).unwrap(),
                _ => found.target.map(|target| target.to_str().unwrap().as_bytes().to_vec()).unwrap_or_default(),
            };
            let time = if found.attr.kind == Kind::Directory { Time::default() } else { found.attr.mtime };
            (path, (found.attr.kind, found.attr.perm, found.attr.nlink, time, content))
        };
        found.into_iter().map(entry).collect()
    }

    fn paths(&self) -> Vec<String> {
        self.tree().into_keys().collect()
    }
}

fn two(url: &str) -> (Machine, Machine) {
    (Machine::new("ada", url), Machine::new("bob", url))
}

fn conflicts(done: Result<Done, Error>) -> Vec<String> {
    match done {
        Err(Error::Conflicts(conflicts)) => conflicts.iter().map(|conflict| conflict.key.to_string()).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn whatever_a_tree_can_hold_comes_to_the_other_machine() {
    let Some(server) = Server::start() else { return };
    let (a, b) = two(&server.url());
    let large: Vec<u8> = (0..20_000_000u32).map(|byte| ((byte * 7) >> 3) as u8).collect();
    a.files().make_folder(OsStr::new("/src/deep/er"), true).unwrap();
    a.write("/src/main.rs", b"fn main() {}");
    a.write("/src/deep/er/large.bin", &large);
    a.write("/empty", b"");
    a.write("/a name with 'quotes' and \u{1F600}", b"x");
    let tree = a.database().tree();
    let (src, main) = (tree.lookup(1, OsStr::new("src")).unwrap().ino, OsStr::new("main.rs"));
    let main = tree.lookup(src, main).unwrap().ino;
    tree.link(main, 1, OsStr::new("another-name")).unwrap();
    tree.symlink(1, OsStr::new("to-src"), OsStr::new("src/main.rs"), OWNER).unwrap();
    tree.create(1, OsStr::new("pipe"), NewNode { kind: Kind::Fifo, perm: 0o640, rdev: 0, caller: OWNER }).unwrap();
    let change = AttrChange {
        perm: Some(0o4751),
        mtime: Some(TimeChange::At(Time { sec: -5, nsec: 7 })),
        ..AttrChange::default()
    };
    tree.setattr(main, change).unwrap();
    a.database().kv().set("plan", r#"{"step": 3}"#).unwrap();
    let done = a.push().unwrap();
    assert_eq!((done.pushed, done.pulled), (11, 0));
    let done = b.pull().unwrap();
    assert_eq!((done.pulled, done.bytes_in), (11, 20_000_000 + 12 + 1));
    assert_eq!(a.tree(), b.tree());
    assert_eq!(b.database().kv().get("plan").unwrap().unwrap().value, r#"{"step": 3}"#);
    // And nothing is left to do on either side.
    for machine in [&a, &b] {
        assert_eq!(Done { left: None, ..machine.push().unwrap() }, Done::default());
        assert_eq!(Done { left: None, ..machine.pull().unwrap() }, Done::default());
    }
    // One byte of the large file is a chunk of it on the way, not all.
    let tree = b.database().tree();
    let large = ["src", "deep", "er", "large.bin"];
    let ino = large.iter().fold(1, |ino, name| tree.lookup(ino, OsStr::new(name)).unwrap().ino);
    tree.write(ino, 9_999_999, b"!").unwrap();
    let done = b.push().unwrap();
    assert_eq!(done.pushed, 1);
    assert!(done.bytes_out < 100_000, "{done:?}");
    a.pull().unwrap();
    assert_eq!(a.tree(), b.tree());
}

#[test]
fn a_pull_that_only_asked_says_nothing_of_what_is_left_here() {
    let Some(server) = Server::start() else { return };
    let (a, b) = two(&server.url());
    a.write("/a", b"a");
    assert_eq!(a.push().unwrap().left, Some(0));
    b.pull().unwrap();
    a.write("/b", b"b");
    b.write("/c", b"c");
    let network = Network::before(Some(server.port));
    let room = Room::open(&a.folder.path().join("sync"), remote(&network.url())).unwrap();
    // One question, and then nobody answers any more.
    network.fates([Fate::Pass, Fate::Dropped]);
    assert_eq!(room.pull(&a.local(), &|_| None).unwrap(), Done::default());
    b.push().unwrap();
    let pulled = a.pull().unwrap();
    assert_eq!((pulled.pulled, pulled.left), (1, Some(1)));
    assert_eq!(a.push().unwrap().pushed, 1);
}

#[test]
fn what_each_did_without_the_other_is_brought_together() {
    let Some(server) = Server::start() else { return };
    let (a, b) = two(&server.url());
    a.write("/both", b"1");
    a.write("/gone", b"1");
    a.write("/moved", b"m");
    a.push().unwrap();
    b.pull().unwrap();
    a.write("/from-a", b"a");
    a.write("/both", b"2");
    b.write("/from-b", b"b");
    b.files().remove(OsStr::new("/gone"), false).unwrap();
    b.files().move_to(OsStr::new("/moved"), OsStr::new("/elsewhere")).unwrap();
    a.push().unwrap();
    // Neither has pulled before it wrote: with upstream's sync one of the two files is lost.
    b.push().unwrap();
    a.pull().unwrap();
    assert_eq!(a.tree(), b.tree());
    assert_eq!(a.paths(), ["both", "elsewhere", "from-a", "from-b"]);
    assert_eq!(b.read("/both").unwrap(), b"2");
}

#[test]
fn what_both_changed_is_told_and_left_until_somebody_settles_it() {
    let Some(server) = Server::start() else { return };
    let (a, b) = two(&server.url());
    a.write("/x", b"0");
    a.write("/y", b"0");
    a.push().unwrap();
    b.pull().unwrap();
    a.write("/x", b"from a");
    a.database().kv().set("k", "1").unwrap();
    a.push().unwrap();
    b.write("/x", b"from b");
    b.write("/y", b"1");
    b.database().kv().set("k", "2").unwrap();
    let before = b.tree();
    assert_eq!(conflicts(b.pull()), ["/x", "kv:k"]);
    assert_eq!(conflicts(b.push()), ["/x", "kv:k"]);
    assert_eq!(b.tree(), before);
    a.pull().unwrap();
    assert_eq!(a.read("/y").unwrap(), b"0");
    b.push_settled(&|conflict| Some(if conflict.key.to_string() == "/x" { Settled::Ours } else { Settled::Theirs }))
        .unwrap();
    a.pull().unwrap();
    assert_eq!(a.tree(), b.tree());
    assert_eq!(a.read("/x").unwrap(), b"from b");
    assert_eq!(b.database().kv().get("k").unwrap().unwrap().value, "1");
}

#[test]
fn an_older_state_of_a_database_takes_nothing_back() {
    let Some(server) = Server::start() else { return };
    let (mut a, b) = two(&server.url());
    a.write("/one", b"1");
    a.push().unwrap();
    let saved = a.folder.path().join("saved.db");
    a.database().snapshots().copy_to(&saved).unwrap();
    a.write("/two", b"2");
    a.push().unwrap();
    // Restored, and written to before anything is pulled.
    a.database.take().unwrap().close().unwrap();
    std::fs::copy(&saved, a.folder.path().join("a.db")).unwrap();
    a.database = Some(Database::open_or_create(&a.folder.path().join("a.db"), &Options::default()).unwrap());
    a.write("/three", b"3");
    a.push().unwrap();
    b.pull().unwrap();
    assert_eq!(b.paths(), ["one", "three", "two"]);
    assert_eq!(a.tree(), b.tree());
}

#[test]
fn a_lease_that_was_taken_away_pushes_nothing() {
    let Some(server) = Server::start() else { return };
    let (a, b) = two(&server.url());
    a.write("/a", b"a");
    let held = a.lease();
    let Lease::Ours(_) = b.claim.take(&remote(&server.url()), true).unwrap() else { panic!("not by force") };
    match a.room().push(&a.local(), &a.claim, held, &|_| None) {
        Err(Error::Remote(nixbox_remote::Error::Lost(Some(standing)))) => assert_eq!(standing.holder, "bob"),
        other => panic!("{other:?}"),
    }
    assert_eq!(Done { left: None, ..b.pull().unwrap() }, Done::default());
    assert_eq!(b.paths(), [""; 0]);
    assert_eq!(a.read("/a").unwrap(), b"a");
}

#[test]
fn a_push_that_was_held_up_past_its_lease_is_refused_and_merged_later() {
    let Some(server) = Server::start() else { return };
    let network = Network::before(Some(server.port));
    let mut a = Machine::new("ada", &network.url());
    let b = Machine::new("bob", &server.url());
    a.write("/first", b"1");
    a.push().unwrap();
    b.pull().unwrap();
    a.write("/from-a", b"a");
    b.write("/from-b", b"b");
    a.claim.length = Duration::from_secs(1);
    let held = a.lease();
    // The question what the remote is; then the push, on its way for longer than the lease is good for.
    network.fates([Fate::Pass, Fate::Late(Duration::from_secs(600)), Fate::Pass]);
    std::thread::scope(|scope| {
        let held_up = scope.spawn(|| a.room().push(&a.local(), &a.claim, held, &|_| None));
        std::thread::sleep(Duration::from_millis(2000));
        b.push().unwrap();
        network.goes_on();
        match held_up.join().unwrap() {
            Err(Error::Remote(nixbox_remote::Error::Lost(Some(standing)))) => assert_eq!(standing.holder, "bob"),
            other => panic!("{other:?}"),
        }
    });
    assert_eq!(b.pull().unwrap(), Done::default());
    assert_eq!(b.paths(), ["first", "from-b"]);
    a.claim.length = Duration::from_secs(60);
    a.push().unwrap();
    b.pull().unwrap();
    assert_eq!(a.tree(), b.tree());
    assert_eq!(a.paths(), ["first", "from-a", "from-b"]);
}

#[test]
fn an_answer_that_is_lost_is_found_out_about() {
    let Some(server) = Server::start() else { return };
    let network = Network::before(Some(server.port));
    let a = Machine::new("ada", &network.url());
    let b = Machine::new("bob", &server.url());
    a.write("/a", b"1");
    let held = a.lease();
    let room = a.room();
    // Two questions come before the push: what the remote is, and whether it has anything at all.
    network.fates([Fate::Pass, Fate::Pass, Fate::AnswerLost, Fate::Pass]);
    assert_eq!(room.push(&a.local(), &a.claim, held, &|_| None).unwrap().pushed, 1);
    b.pull().unwrap();
    assert_eq!(a.tree(), b.tree());
    a.write("/a", b"2");
    network.fates([Fate::Pass, Fate::Dropped, Fate::Pass]);
    assert!(room.push(&a.local(), &a.claim, held, &|_| None).is_err());
    assert_eq!(Done { left: None, ..b.pull().unwrap() }, Done::default());
    network.fates([Fate::Pass]);
    room.push(&a.local(), &a.claim, held, &|_| None).unwrap();
    b.pull().unwrap();
    assert_eq!(b.read("/a").unwrap(), b"2");
}

#[test]
fn two_that_work_in_turns_stay_the_same() {
    let Some(server) = Server::start() else { return };
    let (a, b) = two(&server.url());
    let mut random = Random(7);
    for round in 0..40 {
        let (writer, reader) = if random.below(2) == 0 { (&a, &b) } else { (&b, &a) };
        writer.pull().unwrap();
        for _ in 0..1 + random.below(6) {
            let path = format!("/{}", ["a", "b", "c", "d/a", "d/b", "d/e/a"][random.below(6) as usize]);
            match random.below(5) {
                0 => drop(writer.files().remove(OsStr::new(&path), true)),
                1 => drop(writer.files().move_to(OsStr::new(&path), OsStr::new("/moved"))),
                2 => drop(writer.files().make_folder(OsStr::new(&path), true)),
                _ => {
                    let folder = path.rsplit_once('/').unwrap().0;
                    let _ = writer.files().make_folder(OsStr::new(&format!("{folder}/")), true);
                    let content = vec![round as u8; random.below(40_000) as usize];
                    if let Ok(mut writing) = writer.files().write(OsStr::new(&path), false) {
                        writing.push(&content).unwrap();
                        writing.finish().unwrap();
                    }
                }
            }
        }
        writer.push().unwrap();
        reader.pull().unwrap();
        assert_eq!(a.tree(), b.tree(), "round {round}");
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

#[test]
fn whatever_happens_on_the_way_nothing_is_lost() {
    let Some(mut server) = Server::start() else { return };
    let network = Network::before(Some(server.port));
    let a = Machine::new("ada", &network.url());
    let b = Machine::new("bob", &server.url());
    let mut random = Random(11);
    let faults = [
        Fate::Dropped,
        Fate::AnswerLost,
        Fate::AnswerCut,
        Fate::Late(Duration::from_millis(30)),
        Fate::Says(401, "no"),
        Fate::Says(404, "no"),
        Fate::Says(500, "no"),
        Fate::Says(200, ""),
        Fate::Redirects("http://127.0.0.1:9/"),
        Fate::Junk("<html></html>"),
        Fate::Junk(r#"{"results":[{"type":"ok","response":{"result":{"step_results":[],"step_errors":[]}}}]}"#),
        Fate::Pass,
    ];
    let (mut failed, mut lost) = (0, 0);
    for round in 0..40u64 {
        a.write(&format!("/a-{}", round % 7), vec![round as u8; random.below(30_000) as usize]);
        b.write(&format!("/b-{}", round % 5), vec![round as u8; random.below(30_000) as usize]);
        let (ours, theirs) = (a.tree(), b.tree());
        let fates: Vec<_> = (0..5).map(|_| faults[random.below(faults.len() as u64) as usize].clone()).collect();
        let lost_before = fates.iter().filter(|fate| matches!(fate, Fate::AnswerLost | Fate::AnswerCut)).count();
        network.fates(fates.into_iter().chain([Fate::Pass]));
        if random.below(2) == 0 {
            b.push().unwrap();
        }
        let held = match a.claim.take(&server.remote(), false).unwrap() {
            Lease::Ours(held) => held,
            Lease::Theirs(standing) => panic!("{standing}"),
        };
        let killed = random.below(4) == 0;
        let done = std::thread::scope(|scope| {
            let pushing = scope.spawn(|| a.room().push(&a.local(), &a.claim, held, &|_| None));
            if killed {
                std::thread::sleep(Duration::from_millis(random.below(40)));
                server.kill();
            }
            pushing.join().unwrap()
        });
        if killed {
            server.again();
        }
        if let Err(error) = done {
            failed += 1;
            lost += lost_before;
            assert!(!matches!(error, Error::Conflicts(_)), "{error}");
            // What this side had it still has, whatever has come besides.
            let now = a.tree();
            assert!(
                ours.iter().filter(|(path, _)| path.starts_with('a')).all(|(path, look)| now.get(path) == Some(look))
            );
        }
        network.fates([Fate::Pass]);
        let held = a.claim.renew(&server.remote(), held).unwrap();
        a.room().push(&a.local(), &a.claim, held, &|_| None).unwrap();
        a.claim.release(&server.remote(), held).unwrap();
        b.push().unwrap();
        a.pull().unwrap();
        assert_eq!(a.tree(), b.tree(), "round {round}");
        assert!(
            theirs
                .iter()
                .filter(|(path, _)| path.starts_with('b'))
                .all(|(path, look)| a.tree().get(path) == Some(look))
        );
    }
    assert!(failed > 8 && lost > 1, "{failed} failed, of them {lost} without an answer");
}

#[test]
fn both_sides_of_everything_can_be_kept() {
    let Some(server) = Server::start() else { return };
    let (a, b) = two(&server.url());
    let link = |machine: &Machine, name: &str, target: &str| {
        let tree = machine.database().tree();
        tree.symlink(1, OsStr::new(name), OsStr::new(target), OWNER).unwrap();
    };
    a.write("/plan.md", b"0");
    a.write("/gone-here", b"0");
    a.write("/folder-here", b"0");
    a.push().unwrap();
    b.pull().unwrap();
    let large: Vec<u8> = (0..3_000_000u32).map(|byte| (byte >> 4) as u8).collect();
    a.write("/plan.md", &large);
    a.write("/gone-here", b"changed there");
    a.write("/folder-here", b"still a file");
    a.files().make_folder(OsStr::new("/folder-there/deep"), true).unwrap();
    a.write("/folder-there/deep/x", b"deep");
    let tree = a.database().tree();
    let deep = ["folder-there", "deep"].iter().fold(1, |ino, name| tree.lookup(ino, OsStr::new(name)).unwrap().ino);
    let x = tree.lookup(deep, OsStr::new("x")).unwrap().ino;
    tree.link(x, deep, OsStr::new("y")).unwrap();
    link(&a, "link", "there");
    a.database().kv().set("k", "\"there\"").unwrap();
    a.push().unwrap();
    b.write("/plan.md", b"from b");
    b.files().remove(OsStr::new("/gone-here"), false).unwrap();
    b.files().remove(OsStr::new("/folder-here"), false).unwrap();
    b.files().make_folder(OsStr::new("/folder-here"), true).unwrap();
    b.write("/folder-here/mine", b"mine");
    b.write("/folder-there", b"a file here");
    link(&b, "link", "here");
    b.database().kv().set("k", "\"here\"").unwrap();
    let names = conflicts(b.pull());
    assert_eq!(names, ["/folder-here", "/folder-there", "/gone-here", "/link", "/plan.md", "kv:k"]);
    b.push_settled(&|_| Some(Settled::Both)).unwrap();
    a.pull().unwrap();
    assert_eq!(a.tree(), b.tree());
    for machine in [&a, &b] {
        let read = |path: &str| String::from_utf8(machine.read(path).unwrap()).unwrap();
        assert_eq!(read("/plan.md"), "from b");
        assert_eq!(machine.read("/plan.theirs.md").unwrap(), large);
        assert_eq!(read("/gone-here"), "changed there");
        assert_eq!((read("/folder-here/mine"), read("/folder-here.theirs")), ("mine".into(), "still a file".into()));
        assert_eq!(read("/folder-there"), "a file here");
        assert_eq!(
            (read("/folder-there.theirs/deep/x"), read("/folder-there.theirs/deep/y")),
            ("deep".into(), "deep".into())
        );
        let target = |name: &str| String::from_utf8(machine.tree()[name].4.clone()).unwrap();
        assert_eq!((target("link"), target("link.theirs")), ("here".into(), "there".into()));
        let value = |key: &str| machine.database().kv().get(key).unwrap().unwrap().value;
        assert_eq!((value("k"), value("k.theirs")), ("\"here\"".into(), "\"there\"".into()));
        assert_eq!(Done { left: None, ..machine.push().unwrap() }, Done::default());
    }
}

/// Keeps nothing, or calls it off once so much has been told.
struct Watching {
    told: Mutex<Vec<Progress>>,
    off_at: Option<(Phase, usize)>,
    keeps: bool,
}

impl Company for Watching {
    fn tell(&self, progress: Progress) {
        self.told.lock().unwrap().push(progress);
    }

    fn is_called_off(&self) -> bool {
        let told = self.told.lock().unwrap();
        self.off_at.is_some_and(|(phase, at)| told.iter().filter(|told| told.phase == phase).count() >= at)
    }

    fn keep(&self) -> nixbox_sync::Result<()> {
        if self.keeps { Ok(()) } else { Err(Error::NotKept("no room".into())) }
    }
}

#[test]
fn one_that_is_called_off_changes_nothing_wherever_it_was() {
    let Some(server) = Server::start() else { return };
    let (a, b) = two(&server.url());
    for file in 0..8 {
        a.write(&format!("/{file}"), vec![7; 3_000_000]);
    }
    a.push().unwrap();
    b.write("/mine", b"mine");
    let before = b.tree();
    let watching = |off_at, keeps| Arc::new(Watching { told: Mutex::default(), off_at, keeps });
    for off_at in [(Phase::Fetching, 1), (Phase::Fetching, 3), (Phase::Comparing, 1), (Phase::Applying, 4)] {
        let company = watching(Some(off_at), true);
        let done = b.room().in_company(company.clone()).pull(&b.local(), &|_| None);
        assert!(matches!(done, Err(Error::CalledOff)), "{off_at:?}: {done:?}");
        assert_eq!(b.tree(), before, "{off_at:?}");
    }
    let held = b.lease();
    let company = watching(Some((Phase::Packing, 1)), true);
    let done = b.room().in_company(company).push(&b.local(), &b.claim, held, &|_| None);
    assert!(matches!(done, Err(Error::CalledOff)), "{done:?}");
    a.pull().unwrap();
    assert!(a.read("/mine").is_err());
    let company = watching(None, true);
    b.room().in_company(company.clone()).push(&b.local(), &b.claim, b.lease(), &|_| None).unwrap();
    let told = company.told.lock().unwrap();
    assert!(told.iter().all(|told| told.things <= told.of_things || told.of_things == 0), "{told:?}");
    assert_eq!(told.last().unwrap().phase, Phase::Sending);
    drop(told);
    a.pull().unwrap();
    assert_eq!(a.tree(), b.tree());
}

#[test]
fn nothing_gives_way_that_could_not_be_kept() {
    let Some(server) = Server::start() else { return };
    let (a, b) = two(&server.url());
    a.write("/x", b"there");
    a.push().unwrap();
    b.write("/x", b"here, and longer");
    let before = b.tree();
    let full = || b.room().in_company(Arc::new(Watching { told: Mutex::default(), off_at: None, keeps: false }));
    let done = full().pull(&b.local(), &|_| Some(Settled::Theirs));
    assert!(matches!(done, Err(Error::NotKept(_))), "{done:?}");
    assert_eq!(b.tree(), before);
    // Ours does not give way.
    full().pull(&b.local(), &|_| Some(Settled::Ours)).unwrap();
    assert_eq!(b.tree(), before);
}

#[test]
fn where_both_sides_moved_on_what_is_here_is_kept_before_a_merge_takes_any_of_it() {
    let Some(server) = Server::start() else { return };
    let (a, b) = two(&server.url());
    let full = || b.room().in_company(Arc::new(Watching { told: Mutex::default(), off_at: None, keeps: false }));
    let mut round = 0;
    let mut refused = |change: &dyn Fn(&Machine)| {
        round += 1;
        a.write("/x", format!("{round}"));
        a.write("/gone", format!("{round}"));
        a.database().kv().set("k", &format!("{round}")).unwrap();
        a.push().unwrap();
        b.pull().unwrap();
        change(&a);
        a.push().unwrap();
        // What was only brought here, and then moved on there, gives way to nothing of ours.
        b.write("/mine", format!("{round}"));
        let before = b.tree();
        let done = full().pull(&b.local(), &|_| None);
        let is_refused = matches!(done, Err(Error::NotKept(_)));
        assert_eq!(is_refused, done.is_err(), "{done:?}");
        assert_eq!(is_refused, b.tree() == before);
        b.push().unwrap();
        a.pull().unwrap();
        is_refused
    };
    assert!(refused(&|a| a.write("/x", b"changed")));
    assert!(refused(&|a| a.files().remove(OsStr::new("/gone"), false).unwrap()));
    assert!(refused(&|a| a.database().kv().set("k", "\"changed\"").unwrap()));
    assert!(!refused(&|a| a.write("/new", b"beside all that is here")));
    // Nothing was changed here.
    a.write("/x", b"changed once more");
    a.push().unwrap();
    assert_eq!(full().pull(&b.local(), &|_| None).unwrap().pulled, 1);
}

#[test]
fn a_remote_that_was_put_back_takes_nothing_away_and_can_be_had_either_way() {
    let Some(mut server) = Server::start() else { return };
    let (a, b) = two(&server.url());
    let nothing = server.backup();
    a.write("/kept", b"old");
    a.write("/stays", b"the same");
    a.push().unwrap();
    b.pull().unwrap();
    let backup = server.backup();
    a.write("/kept", b"new");
    a.write("/later", b"since");
    a.files().remove(OsStr::new("/stays"), false).unwrap();
    a.push().unwrap();
    b.pull().unwrap();
    for older in [&nothing, &backup] {
        server.put_back(older.path());
        for machine in [&a, &b] {
            let before = machine.tree();
            for done in [machine.pull(), machine.push()] {
                assert!(matches!(done, Err(Error::Older { seen: 2, .. })), "{done:?}");
            }
            let state = machine.room().look(&machine.local(), &|_| None).unwrap();
            assert!(state.older.is_some() && machine.tree() == before);
        }
    }
    // Who has not seen what it lacks gets what it has.
    let c = Machine::new("eve", &server.url());
    c.pull().unwrap();
    assert_eq!((c.paths(), c.read("/kept").unwrap()), (vec!["kept".into(), "stays".into()], b"old".to_vec()));
    // As it is: what is here is kept before, where it can be.
    let take = |keeps| {
        let company = Arc::new(Watching { told: Mutex::default(), off_at: None, keeps });
        b.room().older(Older::Take).in_company(company).pull(&b.local(), &|_| None)
    };
    let before = b.tree();
    assert!(matches!(take(false), Err(Error::NotKept(_))));
    assert_eq!(b.tree(), before);
    take(true).unwrap();
    assert_eq!(b.tree(), c.tree());
    // A push on that has the number of one that the remote has lost, and is another.
    b.write("/b", b"from b");
    b.push().unwrap();
    assert!(matches!(a.pull(), Err(Error::Older { seen: 2, last: Some(2) })));
    // What is here goes there again.
    assert!(a.room().is_older(&a.local()).unwrap() && !b.room().is_older(&b.local()).unwrap());
    a.database().agreed().forget().unwrap();
    assert_eq!(conflicts(a.push()), ["/kept"]);
    a.push_settled(&|_| Some(Settled::Ours)).unwrap();
    b.pull().unwrap();
    c.pull().unwrap();
    for machine in [&a, &b, &c] {
        // What was removed since comes again: nobody can know that it was not put there anew.
        assert_eq!(machine.paths(), ["b", "kept", "later", "stays"]);
        assert_eq!(machine.read("/kept").unwrap(), b"new");
        assert_eq!(Done { left: None, ..machine.push().unwrap() }, Done::default());
    }
}

#[test]
fn what_is_here_under_another_name_is_not_brought_again() {
    let Some(server) = Server::start() else { return };
    let (a, b) = two(&server.url());
    let large: Vec<u8> = (0..900_000u32).map(|n| (n >> 3) as u8).collect();
    a.write("/x", &large);
    a.files().make_folder(OsStr::new("/folder"), false).unwrap();
    for file in 0..20 {
        a.write(&format!("/folder/{file}"), format!("{file} ").repeat(700));
    }
    a.push().unwrap();
    assert!(b.pull().unwrap().bytes_in > 900_000);
    let moved = |from: &str, to: &str| a.files().move_to(OsStr::new(from), OsStr::new(to)).unwrap();
    moved("/x", "/y");
    moved("/folder", "/elsewhere");
    a.push().unwrap();
    assert_eq!(b.pull().unwrap().bytes_in, 0);
    assert_eq!(b.tree(), a.tree());
    // Two that have changed places, and a copy.
    a.write("/other", b"small");
    a.push().unwrap();
    b.pull().unwrap();
    moved("/y", "/between");
    moved("/other", "/y");
    moved("/between", "/other");
    a.write("/copy", &large);
    a.push().unwrap();
    assert_eq!(b.pull().unwrap().bytes_in, 0);
    assert_eq!(b.tree(), a.tree());
    // Times alone.
    let change = AttrChange { mtime: Some(TimeChange::At(Time { sec: 7, nsec: 7 })), ..AttrChange::default() };
    a.files().change(OsStr::new("/copy"), change).unwrap();
    a.push().unwrap();
    assert_eq!(b.pull().unwrap().bytes_in, 0);
    // One byte.
    a.write("/copy", [large.as_slice(), b"!"].concat());
    a.push().unwrap();
    assert_eq!(b.pull().unwrap().bytes_in, 900_001);
    assert_eq!(b.tree(), a.tree());
}

/// More than comes at once of any table.
#[test]
fn a_tree_of_many_pages_comes_whole_also_where_it_is_changed_meanwhile() {
    let Some(server) = Server::start() else { return };
    let network = Network::before(Some(server.port));
    let (a, b) = (Machine::new("ada", &server.url()), Machine::new("bob", &network.url()));
    let tree = a.database().tree();
    tree.together(&mut || {
        for file in 0..5_100 {
            let node = NewNode { kind: Kind::File, perm: 0o644, rdev: 0, caller: OWNER };
            let ino = tree.create(1, OsStr::new(&format!("f{file}")), node)?.ino;
            tree.forget(ino, 1);
        }
        Ok(())
    })
    .unwrap();
    for value in 0..600 {
        a.database().kv().set(&format!("k{value}"), &format!("{value}")).unwrap();
    }
    a.push().unwrap();
    // Between the first page and the second, by somebody who knows of no lease.
    let asked = network.seen();
    network.fates([Fate::Pass, Fate::Pass, Fate::Pass, Fate::Late(Duration::from_millis(800)), Fate::Pass]);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while network.seen() < asked + 4 {
                std::thread::sleep(Duration::from_millis(2));
            }
            let touched = "UPDATE fs_inode SET mtime = 7 WHERE ino = (SELECT ino FROM fs_dentry WHERE name = 'f17')";
            server.remote().change(&Batch::of([Step::new(touched)])).unwrap();
        });
        assert_eq!(b.pull().unwrap().pulled, 5_100 + 600);
    });
    assert_eq!(b.tree()["f17"].3.sec, 7);
    a.pull().unwrap();
    assert!(b.tree() == a.tree());
    assert_eq!(b.database().kv().get("k599").unwrap().unwrap().value, "599");
    assert_eq!(Done { left: None, ..b.push().unwrap() }, Done::default());
}

/// 1,000 at night.
#[test]
fn what_is_kept_of_it_does_not_grow_with_the_number_of_syncs() {
    let Some(server) = Server::start() else { return };
    let cycles = if std::env::var_os("NIXBOX_NIGHTLY").is_some() { 1000 } else { 60 };
    let (a, b) = two(&server.url());
    let size = |machine: &Machine| -> u64 {
        let files = |folder: &std::path::Path| -> u64 {
            let all = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap());
            all.filter(|meta| meta.is_file()).map(|meta| meta.len()).sum()
        };
        files(machine.folder.path()) + files(&machine.folder.path().join("sync"))
    };
    let mut after_warming = (0, 0);
    for cycle in 0..cycles {
        a.write(&format!("/{}", cycle % 10), vec![cycle as u8; 20_000]);
        a.push().unwrap();
        b.pull().unwrap();
        if cycle == cycles / 4 {
            [&a, &b].iter().for_each(|machine| machine.local().snapshots.shrink().unwrap());
            after_warming = (size(&a), size(&b));
        }
    }
    let grown = (size(&a), size(&b));
    for machine in [&a, &b] {
        machine.local().snapshots.shrink().unwrap();
        machine.room().shrink().unwrap();
    }
    let shrunk = (size(&a), size(&b));
    eprintln!("{cycles} cycles: {after_warming:?} bytes after a quarter, {grown:?} in the end, {shrunk:?} shrunk");
    for (warm, end) in [(after_warming.0, shrunk.0), (after_warming.1, shrunk.1)] {
        assert!(end < warm + 300_000, "{warm} -> {end}");
    }
    // By itself, the log is folded in at some megabytes.
    assert!(grown.0 < 40 << 20 && grown.1 < 40 << 20, "{grown:?}");
}
