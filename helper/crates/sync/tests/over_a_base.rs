//! Two machines, each with its own checkout of one project, and the real server between them.
#![allow(clippy::unwrap_used)]

#[path = "../../remote/tests/common/mod.rs"]
mod common;
mod machine;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use common::Server;
use machine::{Machine, OWNER};
use nixbox_engine::{AttrChange, BaseOptions, Change, ChangeKind, Database, FileSystem, Kind, NewNode, Options};
use nixbox_sync::{Conflict, Done, Error, Key, Settled, State, What};

type Tree = BTreeMap<String, (Kind, u16, Vec<u8>)>;

impl Machine {
    fn over(name: &str, url: &str, project: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (path, content) in project {
            put(&folder.path().join("base").join(path), content);
        }
        fs::create_dir_all(folder.path().join("base")).unwrap();
        Self::of(name, url, folder, true, &[])
    }

    fn of(name: &str, url: &str, folder: tempfile::TempDir, over: bool, exclude: &[&str]) -> Self {
        let exclude = exclude.iter().map(|pattern| (*pattern).to_owned()).collect();
        let base = over.then(|| BaseOptions { path: folder.path().join("base"), exclude, ..BaseOptions::default() });
        let options = Options { base, owner: Some(OWNER), ..Options::default() };
        Self::in_folder(name, url, folder, &options)
    }

    fn again(mut self, name: &str) -> Self {
        self.database.take().unwrap().close().unwrap();
        Self::of(name, &self.url.clone(), self.folder, true, &[])
    }

    fn base(&self, path: &str) -> PathBuf {
        self.folder.path().join("base").join(path)
    }

    fn view(&self) -> Arc<dyn FileSystem> {
        self.database().tree()
    }

    fn look(&self) -> State {
        self.room().look(&self.local(), &|_| None).unwrap()
    }

    fn number(&self, path: &str) -> u64 {
        let view = self.view();
        path.split('/').fold(1, |ino, name| view.lookup(ino, OsStr::new(name)).unwrap().ino)
    }

    /// As a program writes into a file that it has open: what is there stays.
    fn write_into(&self, path: &str, at: u64, content: &str) {
        self.view().write(self.number(path), at, content.as_bytes()).unwrap();
    }

    fn chmod(&self, path: &str, perm: u16) {
        self.view().setattr(self.number(path), AttrChange { perm: Some(perm), ..AttrChange::default() }).unwrap();
    }

    fn remove(&self, path: &str) {
        self.files().remove(OsStr::new(path), true).unwrap();
    }

    fn move_to(&self, from: &str, to: &str) {
        self.files().move_to(OsStr::new(from), OsStr::new(to)).unwrap();
    }

    fn text(&self, path: &str) -> Option<String> {
        Some(String::from_utf8(self.read(path).ok()?).unwrap())
    }

    fn tree(&self) -> Tree {
        let mut walk = self.files().list(OsStr::new("/"), true).unwrap();
        let found = walk.next(usize::MAX, |_| true).unwrap();
        let entry = |found: nixbox_engine::Found| {
            let path = found.path.to_str().unwrap().to_owned();
            let content = match found.attr.kind {
                Kind::File => self.read(&path).unwrap(),
                _ => found.target.map(|target| target.to_str().unwrap().as_bytes().to_vec()).unwrap_or_default(),
            };
            (path, (found.attr.kind, found.attr.perm, content))
        };
        found.into_iter().map(entry).collect()
    }

    fn paths(&self) -> Vec<String> {
        self.tree().into_keys().collect()
    }

    fn changes(&self) -> Vec<Change> {
        let mut changes = self.database().review().changes().unwrap();
        changes.next(usize::MAX, |_| true).unwrap()
    }

    /// A letter for each change; `!` where the base has moved on.
    fn status(&self) -> Vec<String> {
        let line = |change: Change| {
            let letter = match change.kind {
                ChangeKind::Added => "A",
                ChangeKind::Modified { .. } => "M",
                ChangeKind::Deleted => "D",
                ChangeKind::TypeChanged => "T",
                ChangeKind::Renamed { .. } => "R",
            };
            format!("{letter}{} {}", if change.diverged { "!" } else { "" }, change.path.display())
        };
        self.changes().into_iter().map(line).collect()
    }
}

fn put(path: &Path, content: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

const PROJECT: &[(&str, &str)] = &[
    ("README", "a project"),
    ("src/main.rs", "fn main() {}"),
    ("src/lib.rs", "pub mod a;"),
    ("src/deep/a.rs", "struct A;"),
    ("docs/guide.md", "a guide"),
    ("docs/more.md", "more"),
];

/// The same files, made at another time.
fn two(url: &str) -> (Machine, Machine) {
    let (a, b) = (Machine::over("ada", url, PROJECT), Machine::over("bob", url, PROJECT));
    for (path, _) in PROJECT {
        let file = fs::File::open(b.base(path)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(5000)).unwrap();
    }
    (a, b)
}

fn conflicts(done: Result<Done, Error>) -> Vec<String> {
    match done {
        Err(Error::Conflicts(conflicts)) => conflicts.iter().map(|conflict| conflict.key.to_string()).collect(),
        other => panic!("{other:?}"),
    }
}

fn rename(tree: &Arc<dyn FileSystem>, from: &str, to: &str) {
    tree.rename((1, OsStr::new(from)), (1, OsStr::new(to)), nixbox_engine::Rename::Replace).unwrap();
}

#[test]
fn what_was_done_over_one_checkout_is_done_over_the_other() {
    let Some(server) = Server::start() else { return };
    let (a, b) = two(&server.url());
    a.write("src/main.rs", "fn main() { run() }");
    a.write_into("src/lib.rs", 8, "b");
    a.write("src/new.rs", "new");
    a.remove("README");
    a.remove("docs");
    a.chmod("src/deep/a.rs", 0o600);
    a.view().symlink(1, OsStr::new("link"), OsStr::new("src"), OWNER).unwrap();
    let pipe = NewNode { kind: Kind::Fifo, perm: 0o640, rdev: 0, caller: OWNER };
    a.view().create(1, OsStr::new("pipe"), pipe).unwrap();
    let status = a.status();
    assert_eq!(status.len(), 10, "{status:?}");
    let pushed = a.push().unwrap();
    b.pull().unwrap();
    assert_eq!((a.tree(), a.status()), (b.tree(), b.status()));
    assert_eq!(a.status(), status);
    assert_eq!(pushed.pushed, 8, "{:?}", a.look());
    // Neither checkout was touched, and what it has besides shows.
    assert_eq!(fs::read_to_string(b.base("src/main.rs")).unwrap(), "fn main() {}");
    put(&b.base("later"), "later");
    assert_eq!(b.text("later").unwrap(), "later");
    // Nothing is left to do, and it stays so when both are opened anew.
    for machine in [a.again("ada"), b.again("bob")] {
        assert_eq!(machine.pull().unwrap(), Done::default());
        assert_eq!(machine.push().unwrap(), Done { left: Some(0), ..Done::default() });
        let state = machine.look();
        assert!(state.to_push.is_empty() && state.to_pull.is_empty(), "{state:?}");
        assert_eq!(machine.status(), status);
    }
}

#[test]
fn a_file_that_moved_on_in_one_checkout_is_told_there() {
    let Some(server) = Server::start() else { return };
    let (a, b) = two(&server.url());
    put(&b.base("src/main.rs"), "fn main() { moved_on() }");
    put(&b.base("docs/more.md"), "more and more");
    a.write_into("src/main.rs", 0, "FN");
    a.write("docs/more.md", "less");
    a.write_into("README", 0, "A");
    a.push().unwrap();
    b.pull().unwrap();
    assert_eq!(a.status(), ["M README", "M docs/more.md", "M src/main.rs"]);
    assert_eq!(b.status(), ["M README", "M! docs/more.md", "M! src/main.rs"]);
    assert_eq!(b.text("src/main.rs").unwrap(), "FN main() {}");
    // Where it comes to be what it was there, too, it is told no more.
    put(&b.base("src/main.rs"), "fn main() {}");
    put(&b.base("docs/more.md"), "more");
    assert_eq!(b.status(), a.status());
    // And what happens to it after the pull is seen.
    put(&b.base("README"), "A projecT");
    assert_eq!(b.status()[0], "M! README");
    assert_eq!(a.status()[0], "M README");
}

#[test]
fn a_checkout_that_lacks_what_was_worked_on_shows_the_work_all_the_same() {
    let Some(server) = Server::start() else { return };
    let url = server.url();
    let a = Machine::over("ada", &url, PROJECT);
    let b = Machine::over("bob", &url, &[("src", "a file"), ("docs/guide.md/inner", "a folder"), ("own", "b's")]);
    a.write("src/deep/a.rs", "struct B;");
    a.write_into("docs/guide.md", 0, "A");
    a.remove("docs/more.md");
    a.remove("README");
    a.chmod("src/lib.rs", 0o600);
    a.push().unwrap();
    b.pull().unwrap();
    assert_eq!(b.paths(), ["docs", "docs/guide.md", "own", "src", "src/deep", "src/deep/a.rs"]);
    assert_eq!(b.text("src/deep/a.rs").unwrap(), "struct B;");
    assert_eq!(b.status(), ["T! docs/guide.md", "D docs/guide.md/inner", "T! src", "A! src/deep", "A! src/deep/a.rs"]);
    assert_eq!(Done { left: None, ..b.push().unwrap() }, Done::default());
    // What it was said of comes later: it is gone there, too.
    put(&b.base("README"), "a project");
    put(&b.base("docs/more.md"), "more");
    assert_eq!(b.text("README"), None);
    assert_eq!(b.text("docs/more.md"), None);
    // Work goes on there, and comes back.
    b.write("src/deep/b.rs", "struct C;");
    b.remove("own");
    b.push().unwrap();
    a.pull().unwrap();
    assert_eq!(a.text("src/deep/b.rs").unwrap(), "struct C;");
    assert_eq!(
        a.status()[1..],
        ["M docs/guide.md", "D docs/more.md", "M src/deep/a.rs", "A src/deep/b.rs", "M src/lib.rs"]
    );
    assert_eq!(Done { left: None, ..b.again("bob").push().unwrap() }, Done::default());
}

#[test]
fn a_deletion_against_a_change_is_somebodys_to_settle() {
    let Some(server) = Server::start() else { return };
    let (a, b) = two(&server.url());
    a.remove("src/main.rs");
    a.remove("docs");
    a.push().unwrap();
    b.write("src/main.rs", "fn main() { b() }");
    b.write("docs/new.md", "new");
    let before = b.tree();
    assert_eq!(conflicts(b.pull()), ["/docs", "/src/main.rs"]);
    assert_eq!(conflicts(b.push()), ["/docs", "/src/main.rs"]);
    assert_eq!(b.tree(), before);
    let gone = |conflict: &Conflict| conflict.theirs.as_ref().is_some_and(|look| look.what == What::Gone);
    assert!(b.look().conflicts.iter().all(gone));
    let is_docs = |conflict: &Conflict| conflict.key == Key::File("docs".into());
    b.push_settled(&|conflict| Some(if is_docs(conflict) { Settled::Theirs } else { Settled::Ours })).unwrap();
    a.pull().unwrap();
    assert_eq!((a.tree(), a.status()), (b.tree(), b.status()));
    assert_eq!(a.text("src/main.rs").unwrap(), "fn main() { b() }");
    assert_eq!(a.text("docs/guide.md"), None);
    // Taken back, the base's shows again.
    b.files().make_folder(OsStr::new("/docs"), false).unwrap();
    b.write("docs/only.md", "only");
    b.push().unwrap();
    a.pull().unwrap();
    assert_eq!((a.tree(), a.status()), (b.tree(), b.status()));
    put(&a.base("docs/later.md"), "hidden");
    assert_eq!(a.text("docs/later.md"), None);
    fs::remove_file(a.base("docs/later.md")).unwrap();
    // Both take away something in a folder, one of them all of it: there is nothing to ask.
    a.remove("src/deep/a.rs");
    a.push().unwrap();
    b.remove("src");
    b.push().unwrap();
    a.pull().unwrap();
    assert_eq!((a.tree(), a.status()), (b.tree(), b.status()));
}

#[test]
fn a_tree_and_a_layer_are_no_two_sides() {
    let Some(server) = Server::start() else { return };
    let layer = Machine::over("ada", &server.url(), PROJECT);
    let tree = Machine::of("bob", &server.url(), tempfile::tempdir().unwrap(), false, &[]);
    layer.write("README", "changed");
    layer.push().unwrap();
    tree.write("a", "a");
    let before = tree.tree();
    for done in [tree.pull(), tree.push()] {
        assert!(matches!(done, Err(Error::Kind { of_remote: true })), "{done:?}");
    }
    assert_eq!(tree.tree(), before);
    let Some(server) = Server::start() else { return };
    let tree = Machine::of("bob", &server.url(), tempfile::tempdir().unwrap(), false, &[]);
    tree.write("a", "a");
    tree.push().unwrap();
    let layer = Machine::over("ada", &server.url(), PROJECT);
    layer.write("README", "changed");
    for done in [layer.pull(), layer.push()] {
        assert!(matches!(done, Err(Error::Kind { of_remote: false })), "{done:?}");
    }
    assert_eq!(layer.status(), ["M README"]);
}

#[test]
fn what_nobody_could_see_is_not_brought() {
    let Some(server) = Server::start() else { return };
    let a = Machine::over("ada", &server.url(), PROJECT);
    a.files().make_folder(OsStr::new("/target"), false).unwrap();
    a.write("target/out", "x");
    a.write("README", "changed");
    a.push().unwrap();
    let folder = tempfile::tempdir().unwrap();
    put(&folder.path().join("base/README"), "a project");
    let b = Machine::of("bob", &server.url(), folder, true, &["target"]);
    match b.pull() {
        Err(Error::Hidden(path)) => assert_eq!(path, "target"),
        other => panic!("{other:?}"),
    }
    assert!(b.status().is_empty());
}

#[test]
fn a_file_that_only_got_another_name_is_not_sent_again() {
    let Some(server) = Server::start() else { return };
    let (a, b) = two(&server.url());
    let large: String = (0..2_000_000u32).map(|byte| char::from(b'a' + (byte * 7 % 26) as u8)).collect();
    a.write("large", &large);
    a.write("src/small", "small");
    a.push().unwrap();
    b.pull().unwrap();
    // Known by its number from the next sync on.
    a.push().unwrap();
    rename(&a.view(), "large", "renamed");
    a.files().make_folder(OsStr::new("/under"), false).unwrap();
    a.move_to("src/small", "under/other");
    let done = a.push().unwrap();
    assert!(done.bytes_out < 10_000, "{done:?}");
    b.pull().unwrap();
    assert_eq!((a.tree(), a.status()), (b.tree(), b.status()));
    // Renamed and changed, only what is changed goes.
    rename(&a.view(), "renamed", "again");
    a.write_into("again", 1_000_000, "!");
    let done = a.push().unwrap();
    assert!(done.bytes_out < 60_000, "{done:?}");
    b.pull().unwrap();
    assert_eq!(b.text("again"), a.text("again"));
}

#[test]
fn a_folder_of_the_base_in_which_somebody_is_stays_the_same_folder() {
    let Some(server) = Server::start() else { return };
    let (a, b) = two(&server.url());
    // As the kernel holds what a shell is in.
    let (src, main) = (b.number("src"), b.number("src/main.rs"));
    b.view().open(main).unwrap();
    a.write("src/new.rs", "new");
    a.write("src/main.rs", "other");
    a.push().unwrap();
    b.pull().unwrap();
    assert_eq!(b.number("src"), src);
    assert!(b.view().lookup(src, OsStr::new("new.rs")).is_ok());
    assert_eq!(b.text("src/main.rs").unwrap(), "other");
    // Who had it open goes on with what it was.
    assert_eq!(b.view().read(main, 0, 100).unwrap(), b"fn main() {}");
    // Taken back there, the base's own show here, and it is still the same.
    a.remove("src/new.rs");
    a.push().unwrap();
    b.pull().unwrap();
    assert_eq!(b.number("src"), src);
    assert!(b.view().lookup(src, OsStr::new("new.rs")).is_err());
    b.view().release(main);
}

#[test]
fn what_is_taken_back_lets_the_base_show_again() {
    let Some(server) = Server::start() else { return };
    let (a, b) = two(&server.url());
    a.write("src/main.rs", "other");
    a.remove("README");
    a.chmod("src/lib.rs", 0o600);
    a.remove("docs");
    a.files().make_folder(OsStr::new("/docs"), false).unwrap();
    a.push().unwrap();
    b.pull().unwrap();
    assert_eq!((a.tree(), a.status()), (b.tree(), b.status()));
    let (src, docs) = (b.number("src"), b.number("docs"));
    // As what becomes of the layer when its changes are in the checkout.
    for path in ["src/main.rs", "src", "README", "src/lib.rs", "docs"] {
        a.database().delta().reveal(path).unwrap();
    }
    assert_eq!(a.status(), [""; 0]);
    a.push().unwrap();
    b.pull().unwrap();
    assert_eq!((a.tree(), a.status()), (b.tree(), b.status()));
    assert_eq!(b.text("src/main.rs").unwrap(), "fn main() {}");
    assert_eq!(b.text("docs/guide.md").unwrap(), "a guide");
    // Whoever is in a folder stays in it.
    assert_eq!(b.number("src"), src);
    assert!(b.view().lookup(src, OsStr::new("main.rs")).is_ok());
    b.write("src/next.rs", "next");
    assert_eq!(b.number("src"), src);
    assert!(b.view().getattr(docs).is_ok() || b.number("docs") != docs);
    b.push().unwrap();
    a.pull().unwrap();
    let b = b.again("bob");
    assert_eq!((a.tree(), a.status()), (b.tree(), b.status()));
    assert!(b.look().to_push.is_empty());
}

#[test]
fn what_stands_beneath_is_known_wherever_the_checkout_lies() {
    let Some(server) = Server::start() else { return };
    let (a, b) = two(&server.url());
    a.write_into("src/main.rs", 0, "FN");
    a.write("README", "replaced");
    a.push().unwrap();
    b.pull().unwrap();
    // Moved on this machine: of no interest to the other.
    let mut b = b;
    b.database.take().unwrap().close().unwrap();
    let (from, to) = (b.folder.path().join("base"), b.folder.path().join("moved"));
    fs::rename(&from, &to).unwrap();
    let database = b.folder.path().join("a.db");
    let moved = nixbox_engine::relocate(&database, &nixbox_engine::Backing::Sqlite, &to, false).unwrap();
    assert_eq!((moved.origins, moved.differing), (3, 0));
    // Another project is told, though nothing was ever copied up here.
    let other = b.folder.path().join("other");
    put(&other.join("x"), "x");
    let refused = nixbox_engine::relocate(&database, &nixbox_engine::Backing::Sqlite, &other, false);
    assert!(matches!(refused, Err(nixbox_engine::Error::BaseAnother { .. })), "{refused:?}");
    let base = Some(BaseOptions { path: to, ..BaseOptions::default() });
    let options = Options { base, owner: Some(OWNER), ..Options::default() };
    b.database = Some(Database::open_or_create(&database, &options).unwrap());
    assert_eq!(Done { left: None, ..b.push().unwrap() }, Done::default());
    assert_eq!((a.tree(), a.status()), (b.tree(), b.status()));
}

struct Random(u64);

impl Random {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len() as u64) as usize]
    }
}

const PLACES: &[&str] = &[
    "README",
    "src",
    "src/main.rs",
    "src/lib.rs",
    "src/new.rs",
    "src/deep",
    "src/deep/a.rs",
    "src/deep/b.rs",
    "docs",
    "docs/guide.md",
    "docs/more.md",
    "docs/x/y",
    "other",
    "other/a",
];

/// Something that a person or a program does.
fn act(machine: &Machine, random: &mut Random) {
    let (path, other) = (random.of(PLACES), random.of(PLACES));
    let os = OsStr::new(path);
    let content = "line\n".repeat(random.below(4000) as usize);
    match random.below(9) {
        0 | 1 => drop(machine.files().remove(os, true)),
        2 => drop(machine.files().move_to(os, OsStr::new(other))),
        3 => drop(machine.files().make_folder(os, true)),
        4 => {
            if machine.tree().contains_key(path) {
                machine.chmod(path, 0o600 | (random.below(8) as u16));
            }
        }
        5 => {
            let is_file = machine.tree().get(path).is_some_and(|(kind, ..)| *kind == Kind::File);
            if is_file {
                machine.write_into(path, random.below(50), "changed");
            }
        }
        6 => {
            let is_file = machine.tree().get(path).is_some_and(|(kind, ..)| *kind == Kind::File);
            if is_file && !machine.tree().contains_key("linked") {
                machine.view().link(machine.number(path), 1, OsStr::new("linked")).unwrap();
            }
        }
        _ => {
            if let Ok(mut writing) = machine.files().write(os, false) {
                writing.push(content.as_bytes()).unwrap();
                drop(writing.finish());
            }
        }
    }
}

#[test]
fn two_that_work_in_turns_over_alike_checkouts_see_the_same() {
    for seed in 0..6 {
        let Some(server) = Server::start() else { return };
        let (mut a, mut b) = two(&server.url());
        let mut random = Random(seed * 977 + 5);
        for round in 0..12 {
            let (writer, reader) = if random.below(2) == 0 { (&a, &b) } else { (&b, &a) };
            writer.pull().unwrap();
            for _ in 0..1 + random.below(5) {
                act(writer, &mut random);
            }
            let view = writer.tree();
            writer.push().unwrap();
            reader.pull().unwrap();
            assert_eq!(writer.tree(), view, "seed {seed}, round {round}: a push changes nothing here");
            assert_eq!(a.tree(), b.tree(), "seed {seed}, round {round}");
            assert_eq!(a.status(), b.status(), "seed {seed}, round {round}");
            for machine in [&a, &b] {
                let state = machine.look();
                assert!(state.to_push.is_empty() && state.to_pull.is_empty(), "seed {seed}, round {round}: {state:?}");
            }
            if random.below(4) == 0 {
                (a, b) = (a.again("ada"), b.again("bob"));
                assert_eq!(a.tree(), b.tree(), "seed {seed}, round {round}, opened anew");
            }
        }
    }
}
