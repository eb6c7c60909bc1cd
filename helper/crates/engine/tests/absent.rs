//! Content that is somewhere else, with a place for it that does as it is told.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::ffi::OsStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nixbox_engine::{
    Allocate, AttrChange, Caller, Database, Error, FileSystem, Ino, Kind, Missing, NewNode, Options, Origin, Piece,
    ROOT, Rename, Unfetched,
};

const SEGMENT: u64 = 64 << 10;

#[derive(Default)]
struct Place {
    contents: Mutex<HashMap<String, Vec<u8>>>,
    fetched: AtomicU64,
    asked: AtomicU64,
    down: Mutex<Option<Unfetched>>,
    takes: Mutex<Duration>,
}

impl Origin for Place {
    fn fetch(&self, pieces: &[Piece], until: Instant) -> Result<Vec<Vec<u8>>, Unfetched> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let began = Instant::now();
        while began.elapsed() < *self.takes.lock().unwrap() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        if let Some(down) = self.down.lock().unwrap().clone() {
            return Err(down);
        }
        let contents = self.contents.lock().unwrap();
        let get = |piece: &Piece| {
            let content = contents.get(&piece.missing.hash).ok_or(Unfetched::Gone("gone".into()))?;
            let part = content[piece.range.start as usize..piece.range.end as usize].to_vec();
            self.fetched.fetch_add(part.len() as u64, Ordering::SeqCst);
            Ok(part)
        };
        pieces.iter().map(get).collect()
    }

    fn name(&self) -> String {
        "team".into()
    }
}

struct World {
    folder: tempfile::TempDir,
    database: Option<Database>,
    place: Arc<Place>,
}

impl World {
    fn new() -> Self {
        let mut world =
            Self { folder: tempfile::tempdir().unwrap(), database: None, place: Arc::new(Place::default()) };
        world.open();
        world
    }

    fn open(&mut self) {
        self.database = None;
        let path = self.folder.path().join("a.db");
        let database = Database::open_or_create(&path, &Options::default()).unwrap();
        database.absent().comes_from(self.place.clone(), SEGMENT);
        self.database = Some(database);
    }

    fn database(&self) -> &Database {
        self.database.as_ref().unwrap()
    }

    fn tree(&self) -> Arc<dyn FileSystem> {
        self.database().tree()
    }

    fn make(&self, name: &str) -> Ino {
        let node = NewNode { kind: Kind::File, perm: 0o644, rdev: 0, caller: Caller { uid: 0, gid: 0 } };
        self.tree().create(ROOT, OsStr::new(name), node).unwrap().ino
    }

    fn absent(&self, name: &str, content: &[u8]) -> Ino {
        let ino = self.make(name);
        let hash = blake3::hash(content).to_hex().to_string();
        self.place.contents.lock().unwrap().insert(hash.clone(), content.to_vec());
        self.database().absent().put(ino, content.len() as u64, &Missing { hash, place: 7 }).unwrap();
        ino
    }

    fn read(&self, ino: Ino) -> Result<Vec<u8>, Error> {
        let (tree, mut content) = (self.tree(), Vec::new());
        loop {
            match tree.read(ino, content.len() as u64, 1 << 20)? {
                piece if piece.is_empty() => return Ok(content),
                piece => content.extend(piece),
            }
        }
    }

    fn count(&self) -> (u64, u64) {
        self.database().absent().count().unwrap()
    }
}

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|byte| ((byte * 31) >> 5) as u8).collect()
}

#[test]
fn it_comes_when_it_is_read_in_segments_and_once() {
    let world = World::new();
    let (small, large) = (b"hello".to_vec(), content(1_000_003));
    let (one, two) = (world.absent("small", &small), world.absent("large", &large));
    assert_eq!(world.count(), (2, 1_000_008));
    // Whoever looks at it sees a file like any other.
    let attr = world.tree().getattr(two).unwrap();
    assert_eq!((attr.size, world.tree().blocks(&attr)), (1_000_003, 1_000_003u64.div_ceil(512)));
    assert_eq!(world.place.asked.load(Ordering::SeqCst), 0);
    let tree = world.tree();
    assert_eq!(tree.read(two, 500_000, 10).unwrap(), large[500_000..500_010]);
    assert_eq!(world.place.fetched.load(Ordering::SeqCst), SEGMENT);
    assert_eq!(tree.read(two, 500_010, 1000).unwrap(), large[500_010..501_010]);
    assert_eq!(world.place.fetched.load(Ordering::SeqCst), SEGMENT);
    let before = tree.getattr(two).unwrap();
    assert_eq!(world.read(two).unwrap(), large);
    assert_eq!(world.read(one).unwrap(), small);
    assert_eq!(world.place.fetched.load(Ordering::SeqCst), 1_000_008);
    assert_eq!(tree.getattr(two).unwrap(), before, "loading is no change");
    assert_eq!(world.count(), (0, 0));
    assert!(!tree.may_wait(two));
}

#[test]
fn what_needs_no_content_asks_for_none() {
    let world = World::new();
    let [a, b, c] = ["a", "b", "c"].map(|name| world.absent(name, &content(300_000)));
    *world.place.down.lock().unwrap() = Some(Unfetched::Unreachable("nothing listens there".into()));
    let tree = world.tree();
    tree.rename((ROOT, OsStr::new("a")), (ROOT, OsStr::new("moved")), Rename::Replace).unwrap();
    tree.link(a, ROOT, OsStr::new("linked")).unwrap();
    tree.setattr(a, AttrChange { perm: Some(0o600), ..AttrChange::default() }).unwrap();
    tree.setattr(b, AttrChange { size: Some(0), ..AttrChange::default() }).unwrap();
    tree.unlink(ROOT, OsStr::new("c")).unwrap();
    tree.open(a).unwrap();
    assert_eq!(tree.read(b, 0, 10).unwrap(), b"");
    tree.write(b, 0, b"new").unwrap();
    assert_eq!(tree.read(b, 0, 10).unwrap(), b"new");
    assert!(tree.getattr(c).is_err() || world.database().absent().get(c).unwrap().is_some());
    assert_eq!(world.place.asked.load(Ordering::SeqCst), 0);
    assert!(tree.read(a, 0, 1).is_err());
}

#[test]
fn who_changes_a_part_has_all_of_it_first() {
    let world = World::new();
    let before = content(300_000);
    type Change<'a> = &'a dyn Fn(&dyn FileSystem, Ino);
    type Expect<'a> = &'a dyn Fn(&mut Vec<u8>);
    let changes: [(&str, Change<'_>, Expect<'_>); 4] = [
        ("write", &|tree, ino| assert_eq!(tree.write(ino, 100_000, b"!").unwrap(), 1), &|content| {
            content[100_000] = b'!'
        }),
        (
            "cut",
            &|tree, ino| {
                tree.setattr(ino, AttrChange { size: Some(5), ..AttrChange::default() }).unwrap();
            },
            &|content| content.truncate(5),
        ),
        (
            "grow",
            &|tree, ino| {
                tree.setattr(ino, AttrChange { size: Some(300_005), ..AttrChange::default() }).unwrap();
            },
            &|content| content.resize(300_005, 0),
        ),
        ("zero", &|tree, ino| tree.allocate(ino, 10, 10, Allocate::Zero { keep_size: true }).unwrap(), &|content| {
            content[10..20].fill(0)
        }),
    ];
    for (name, change, expect) in changes {
        let ino = world.absent(name, &before);
        change(&*world.tree(), ino);
        let mut after = before.clone();
        expect(&mut after);
        assert!(world.read(ino).unwrap() == after, "{name}");
        assert_eq!(world.database().absent().get(ino).unwrap(), None, "{name}");
    }
}

#[test]
fn nobody_waits_with_who_waits_for_content() {
    let world = World::new();
    let here = world.make("here");
    world.tree().write(here, 0, b"here").unwrap();
    let far = world.absent("far", b"far");
    // As long as anybody may wait.
    *world.place.takes.lock().unwrap() = Duration::MAX;
    let tree = world.tree();
    let reader = std::thread::spawn(move || tree.read(far, 0, 10));
    while world.place.asked.load(Ordering::SeqCst) == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let tree = world.tree();
    let meanwhile = (0..5).any(|round| {
        assert_eq!(tree.read(here, 0, 10).unwrap(), b"here");
        tree.write(here, 4, &[round]).unwrap();
        tree.setattr(here, AttrChange { size: Some(4), ..AttrChange::default() }).unwrap();
        tree.fsync(here).unwrap();
        !reader.is_finished()
    });
    assert!(meanwhile, "all waited until the one was answered");
    *world.place.takes.lock().unwrap() = Duration::ZERO;
    assert_eq!(reader.join().unwrap().unwrap(), b"far");
}

#[test]
fn where_nobody_answers_readers_are_told_and_do_not_wait_one_after_the_other() {
    let world = World::new();
    let files: Vec<_> = (0..20).map(|n: u32| world.absent(&n.to_string(), &n.to_le_bytes())).collect();
    *world.place.down.lock().unwrap() = Some(Unfetched::Unreachable("silence".into()));
    *world.place.takes.lock().unwrap() = Duration::from_millis(300);
    for ino in &files {
        let error = world.read(*ino).unwrap_err();
        assert_eq!(error.errno(), libc::EIO);
        assert!(error.to_string().contains("silence"), "{error}");
    }
    // One is usual; after two seconds it is tried again.
    let asked = world.place.asked.load(Ordering::SeqCst);
    assert!(asked < 10, "{asked} of 20 have waited");
    // One file that is gone says nothing about the others.
    std::thread::sleep(Duration::from_millis(2100));
    *world.place.takes.lock().unwrap() = Duration::ZERO;
    *world.place.down.lock().unwrap() = None;
    world.place.contents.lock().unwrap().remove(blake3::hash(&0u32.to_le_bytes()).to_hex().as_str());
    let error = world.read(files[0]).unwrap_err();
    assert!(matches!(&error, Error::NotLoaded { path, .. } if path == "/0"), "{error:?}");
    assert_eq!(world.read(files[1]).unwrap(), 1u32.to_le_bytes());
}

#[test]
fn other_content_than_was_promised_is_not_taken() {
    let world = World::new();
    for length in [100, 200_000] {
        let ino = world.absent(&length.to_string(), &content(length));
        let missing = world.database().absent().get(ino).unwrap().unwrap();
        let other = vec![0; length];
        let right = world.place.contents.lock().unwrap().insert(missing.hash.clone(), other).unwrap();
        assert_eq!(world.read(ino).unwrap_err().errno(), libc::EIO);
        world.place.contents.lock().unwrap().insert(missing.hash, right.clone());
        assert!(world.read(ino).unwrap() == right);
    }
}

#[test]
fn what_was_begun_goes_on_after_a_restart() {
    let mut world = World::new();
    let large = content(700_000);
    let ino = world.absent("large", &large);
    world.tree().read(ino, 0, 10).unwrap();
    world.tree().read(ino, 400_000, 10).unwrap();
    world.open();
    assert_eq!(world.count().0, 1);
    assert_eq!(world.read(ino).unwrap(), large);
    assert_eq!(world.place.fetched.load(Ordering::SeqCst), 700_000);
    world.open();
    assert_eq!((world.count(), world.read(ino).unwrap()), ((0, 0), large));
}

#[test]
fn a_copy_of_the_database_reads_from_there_too() {
    let world = World::new();
    let large = content(200_000);
    let ino = world.absent("large", &large);
    world.tree().read(ino, 70_000, 10).unwrap();
    let taken = world.database().snapshots().take(&world.folder.path().join("copy.db")).unwrap();
    let mut read = Vec::new();
    while read.len() < large.len() {
        read.extend(taken.tree().read(ino, read.len() as u64, 30_001).unwrap());
    }
    assert!(read == large);
    assert_eq!(world.count().0, 1, "the copy has kept nothing, and nothing for the instance");
}

#[test]
fn what_is_loaded_ahead_goes_after_who_reads() {
    let world = World::new();
    let ahead: Vec<_> = (0..30u8).map(|n| world.absent(&n.to_string(), &vec![n; 1 << 20])).collect();
    let wanted = world.absent("wanted", b"wanted");
    *world.place.takes.lock().unwrap() = Duration::from_millis(100);
    let (absent, tree) = (world.database().absent(), world.tree());
    let loading = std::thread::spawn(move || absent.load(&ahead, &mut |_| true));
    while world.place.asked.load(Ordering::SeqCst) == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(tree.read(wanted, 0, 10).unwrap(), b"wanted");
    // Its own turn, and the rest of another's.
    let before = world.place.fetched.load(Ordering::SeqCst) >> 20;
    assert!(before < 20, "{before} of 30 came first");
    assert_eq!(loading.join().unwrap().unwrap(), 30 << 20);
    assert_eq!(world.count(), (0, 0));
}

#[test]
fn a_repair_takes_it_for_no_hole() {
    let mut world = World::new();
    let large = content(200_000);
    let ino = world.absent("large", &large);
    world.tree().read(ino, 70_000, 10).unwrap();
    world.database = None;
    let path = world.folder.path().join("a.db");
    let backing = nixbox_engine::Backing::Sqlite;
    assert!(nixbox_engine::check(&path, &backing).unwrap().found.is_empty());
    nixbox_engine::repair(&path, &backing, &world.folder.path().join("kept.db")).unwrap();
    world.open();
    assert_eq!(world.count().0, 1);
    assert!(world.read(ino).unwrap() == large);
}

#[test]
fn a_copy_of_a_file_is_as_far_away() {
    let world = World::new();
    let large = content(200_000);
    world.absent("large", &large);
    let files = nixbox_engine::ByPath::new(world.tree(), Arc::new(()), Caller { uid: 0, gid: 0 });
    files.copy(OsStr::new("/large"), OsStr::new("/copy"), false).unwrap();
    assert_eq!((world.place.asked.load(Ordering::SeqCst), world.count()), (0, (2, 400_000)));
    let copy = files.stat(OsStr::new("/copy"), nixbox_engine::Links::Keep).unwrap().attr;
    assert_eq!(copy.size, 200_000);
    files.remove(OsStr::new("/large"), false).unwrap();
    assert!(world.read(copy.ino).unwrap() == large);
}
