//! The tree by path, as verbs use it.
#![allow(clippy::unwrap_used)]

mod support;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use nixbox_engine::{BaseOptions, ByPath, Caller, Database, FileSystem, Ino, Kind, Links, Options, ROOT, Witness};
use support::options;

#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Witness for Told {
    fn entry_changed(&self, directory: Ino, name: &OsStr) {
        self.0.lock().unwrap().push(format!("{directory}/{}", name.display()));
    }
    fn inode_changed(&self, ino: Ino) {
        self.0.lock().unwrap().push(format!("{ino}"));
    }
}

struct Tree {
    // Dropped before its folder: a file that goes while it is open frees its inode number, and another test's new
    // database would be taken for it.
    _database: Database,
    _dir: tempfile::TempDir,
    files: Arc<dyn FileSystem>,
    told: Arc<Told>,
    by_path: ByPath,
}

impl Tree {
    fn new() -> Self {
        Self::with(options())
    }

    fn over(base: &Path) -> Self {
        let base = BaseOptions { path: base.to_owned(), ..BaseOptions::default() };
        Self::with(Options { base: Some(base), ..options() })
    }

    fn with(options: Options) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::open_or_create(&dir.path().join("a.db"), &options).unwrap();
        let (files, told) = (database.tree(), Arc::new(Told::default()));
        let by_path = ByPath::new(files.clone(), told.clone(), Caller { uid: 7, gid: 8 });
        Self { _database: database, _dir: dir, files, told, by_path }
    }

    fn put(&self, path: &str, bytes: &[u8]) -> nixbox_engine::Result<()> {
        let mut writing = self.by_path.write(path.as_ref(), false)?;
        writing.push(bytes)?;
        writing.finish()
    }

    fn get(&self, path: &str) -> nixbox_engine::Result<Vec<u8>> {
        let mut reading = self.by_path.read(path.as_ref())?;
        let mut all = Vec::new();
        loop {
            match reading.next(1000)? {
                piece if piece.is_empty() => return Ok(all),
                piece => all.extend(piece),
            }
        }
    }

    fn link(&self, parent: Ino, name: &str, target: &str) {
        let caller = Caller { uid: 0, gid: 0 };
        let made = self.files.symlink(parent, name.as_ref(), target.as_ref(), caller).unwrap();
        self.files.forget(made.ino, 1);
    }

    fn ino(&self, path: &str) -> Ino {
        self.by_path.stat(path.as_ref(), Links::Keep).unwrap().attr.ino
    }

    fn all(&self, path: &str) -> Vec<String> {
        let mut walk = self.by_path.list(path.as_ref(), true).unwrap();
        let found = walk.next(usize::MAX, |_| true).unwrap();
        found.into_iter().map(|found| found.path.display().to_string()).collect()
    }
}

fn errno<T>(answer: nixbox_engine::Result<T>) -> i32 {
    answer.err().unwrap().errno()
}

#[test]
fn paths_lead_nowhere_but_into_the_instance() {
    let tree = Tree::new();
    tree.by_path.make_folder("/a/b".as_ref(), true).unwrap();
    tree.put("a/b/f", b"deep").unwrap();
    let (a, b) = (tree.ino("a"), tree.ino("/a/b"));
    for path in ["a/b/f", "//a/./b/f", "/../../a/b/f", "/a/x/../b/f", "a/b/../../a/b/f"] {
        assert_eq!(tree.get(path).unwrap(), b"deep", "{path}");
    }
    tree.link(ROOT, "up", "../../..");
    tree.link(b, "abs", "/a/b/f");
    tree.link(b, "rel", "../b/f");
    tree.link(b, "host", "/etc/passwd");
    tree.link(a, "to-b", "b");
    for path in ["/up/a/b/f", "/a/b/abs", "/a/b/rel", "/a/to-b/rel", "/a/to-b/../to-b/f"] {
        assert_eq!(tree.get(path).unwrap(), b"deep", "{path}");
    }
    assert_eq!(errno(tree.get("/a/b/host")), libc::ENOENT);
    tree.link(ROOT, "loop", "loop/x");
    tree.link(ROOT, "ring1", "ring2");
    tree.link(ROOT, "ring2", "ring1");
    assert_eq!(errno(tree.get("/loop")), libc::ELOOP);
    assert_eq!(errno(tree.get("/ring1/x")), libc::ELOOP);
    assert_eq!(errno(tree.get("/a/b/f/x")), libc::ENOTDIR);
    assert_eq!(errno(tree.get("/a/b/f/")), libc::ENOTDIR);
    assert_eq!(errno(tree.get("/a")), libc::EISDIR);
    assert_eq!(errno(tree.get("")), libc::ENOENT);
    assert_eq!(errno(tree.put("/none/f", b"")), libc::ENOENT);
    assert_eq!(tree.by_path.stat("/up".as_ref(), Links::Keep).unwrap().target, Some("../../..".into()));
    let found = tree.by_path.stat("/a/to-b/rel".as_ref(), Links::Follow).unwrap();
    assert_eq!((found.path.to_str().unwrap(), found.attr.size), ("/a/b/f", 4));
}

#[test]
fn what_is_cut_off_leaves_what_was_there() {
    let tree = Tree::new();
    tree.put("/f", b"before").unwrap();
    let mut writing = tree.by_path.write("/f".as_ref(), false).unwrap();
    writing.push(b"half").unwrap();
    assert_eq!(tree.get("/f").unwrap(), b"before");
    drop(writing);
    assert_eq!(tree.get("/f").unwrap(), b"before");
    assert_eq!(tree.all("/"), ["f"]);
    // Of an existing file, all but the content stays.
    let change = nixbox_engine::AttrChange { perm: Some(0o4751), uid: Some(1), ..Default::default() };
    tree.files.setattr(tree.ino("/f"), change).unwrap();
    tree.put("/f", b"after").unwrap();
    let found = tree.by_path.stat("/f".as_ref(), Links::Keep).unwrap().attr;
    assert_eq!((found.perm, found.uid, found.size), (0o4751, 1, 5));
    tree.put("/new", b"").unwrap();
    let found = tree.by_path.stat("/new".as_ref(), Links::Keep).unwrap().attr;
    assert_eq!((found.perm, found.uid, found.gid), (0o644, 7, 8));
    let mut more = tree.by_path.write("/f".as_ref(), true).unwrap();
    more.push(b" and more").unwrap();
    assert_eq!(tree.get("/f").unwrap(), b"after and more");
}

#[test]
fn whole_trees_are_copied_and_removed() {
    let tree = Tree::new();
    tree.by_path.make_folder("/a/b/c".as_ref(), true).unwrap();
    tree.put("/a/one", b"1").unwrap();
    let large: Vec<u8> = (0..3_000_000u32).map(|n| n as u8).collect();
    tree.put("/a/b/large", &large).unwrap();
    tree.link(tree.ino("/a/b"), "link", "large");
    let copy = |from: &str, to: &str, recursive| tree.by_path.copy(from.as_ref(), to.as_ref(), recursive);
    assert_eq!(errno(copy("/a", "/z", false)), libc::EISDIR);
    assert_eq!(errno(copy("/a", "/a/b/again", true)), libc::EINVAL);
    copy("/a", "/z", true).unwrap();
    assert_eq!(tree.all("/z"), ["b", "b/c", "b/large", "b/link", "one"]);
    assert!(tree.get("/z/b/link").unwrap() == large);
    // Into a folder that is there; over a file; a link is followed.
    copy("/a", "/z", true).unwrap();
    assert_eq!(tree.get("/z/a/one").unwrap(), b"1");
    copy("/a/one", "/z/b", false).unwrap();
    assert_eq!(tree.get("/z/b/one").unwrap(), b"1");
    copy("/a/one", "/z/b/large", false).unwrap();
    assert_eq!(tree.get("/z/b/link").unwrap(), b"1");
    assert_eq!(errno(copy("/a/one", "/a/one", false)), libc::EEXIST);
    let remove = |path: &str, recursive| tree.by_path.remove(path.as_ref(), recursive);
    assert_eq!(errno(remove("/z", false)), libc::EISDIR);
    assert_eq!(errno(remove("/", true)), libc::EBUSY);
    remove("/z", true).unwrap();
    remove("/a/b/link", false).unwrap();
    assert_eq!(tree.all("/"), ["a", "a/b", "a/b/c", "a/b/large", "a/one"]);
    assert_eq!(errno(remove("/a/b/link", false)), libc::ENOENT);
    // Deeper than any thread's stack would bear.
    let mut path = String::new();
    // Unoptimised, Turso takes minutes for as many.
    let depth = if support::backing() == nixbox_engine::Backing::Sqlite { 1500 } else { 300 };
    for _ in 0..depth {
        path += "/d";
    }
    tree.by_path.make_folder(path.as_ref(), true).unwrap();
    copy("/d", "/e", true).unwrap();
    remove("/d", true).unwrap();
    remove("/e", true).unwrap();
    assert_eq!(tree.all("/").len(), 5);
}

#[test]
fn moving_goes_over_files_and_into_folders() {
    let tree = Tree::new();
    tree.by_path.make_folder("/d".as_ref(), false).unwrap();
    tree.put("/f", b"f").unwrap();
    tree.put("/g", b"g").unwrap();
    let to = |from: &str, to: &str| tree.by_path.move_to(from.as_ref(), to.as_ref());
    to("/f", "/g").unwrap();
    to("/g", "/d").unwrap();
    assert_eq!(tree.get("/d/g").unwrap(), b"f");
    assert_eq!(errno(to("/none", "/d")), libc::ENOENT);
    assert_eq!(errno(to("/d", "/d/inside")), libc::EINVAL);
    assert_eq!(errno(to("/d/g", "/none/")), libc::ENOENT);
    to("/d/g", "/h").unwrap();
    assert_eq!(tree.all("/"), ["d", "h"]);
    assert_eq!(errno(tree.by_path.make_folder("/h".as_ref(), true)), libc::EEXIST);
    assert_eq!(errno(tree.by_path.make_folder("/d".as_ref(), false)), libc::EEXIST);
    tree.by_path.make_folder("/d".as_ref(), true).unwrap();
}

#[test]
fn the_mount_hears_of_names_and_inodes() {
    let tree = Tree::new();
    tree.put("/f", b"1").unwrap();
    let old = tree.ino("/f");
    tree.told.0.lock().unwrap().clear();
    tree.put("/f", b"2").unwrap();
    let told = std::mem::take(&mut *tree.told.0.lock().unwrap());
    for wanted in ["1/f".to_owned(), format!("{old}"), "1".into()] {
        assert!(told.contains(&wanted), "{wanted} is not in {told:?}");
    }
    tree.by_path.remove("/f".as_ref(), false).unwrap();
    assert!(tree.told.0.lock().unwrap().contains(&"1/f".to_owned()));
}

#[test]
fn names_that_are_not_utf8_are_refused_in_words() {
    let tree = Tree::new();
    let name = OsString::from(OsStr::from_bytes(b"/a\xff"));
    assert_eq!(errno(tree.by_path.write(&name, false)), libc::EILSEQ);
    assert_eq!(errno(tree.by_path.read(&name)), libc::ENOENT);
    assert_eq!(errno(tree.by_path.make_folder(&name, false)), libc::EILSEQ);
    assert_eq!(tree.all("/"), [""; 0]);
    let held = tree.by_path.stat("/".as_ref(), Links::Keep).unwrap();
    assert_eq!((held.attr.kind, held.path.to_str().unwrap()), (Kind::Directory, "/"));
}

/// What is only listed of a base has no number that leads anywhere: each entry has to be looked up.
#[test]
fn a_folder_of_a_base_is_walked_copied_and_removed_to_the_bottom() {
    let base = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(base.path().join("d/e/f")).unwrap();
    std::fs::write(base.path().join("d/e/f/file"), "deep").unwrap();
    std::os::unix::fs::symlink("e/f", base.path().join("d/link")).unwrap();
    let tree = Tree::over(base.path());
    let listed = |path: &str| {
        let found = tree.by_path.list(path.as_ref(), true).unwrap().next(100, |_| true).unwrap();
        found.into_iter().map(|found| found.path.display().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(listed("/d"), ["e", "e/f", "e/f/file", "link"]);
    tree.by_path.copy("/d".as_ref(), "/copy".as_ref(), true).unwrap();
    assert_eq!(listed("/copy"), listed("/d"));
    assert_eq!(tree.get("/copy/link/file").unwrap(), b"deep");
    tree.by_path.remove("/d".as_ref(), true).unwrap();
    assert_eq!(listed("/"), ["copy", "copy/e", "copy/e/f", "copy/e/f/file", "copy/link"]);
    assert!(base.path().join("d/e/f/file").exists());
}

#[test]
fn a_long_list_goes_on_where_it_was_left() {
    let tree = Tree::new();
    for folder in ["/a", "/a/b", "/c"] {
        tree.by_path.make_folder(folder.as_ref(), false).unwrap();
    }
    for file in ["/a/b/1", "/a/b/2", "/a/z", "/ab", "/c/1"] {
        tree.put(file, b"x").unwrap();
    }
    let rest = |mut walk: nixbox_engine::Walk| {
        let found = walk.next(usize::MAX, |_| true).unwrap();
        found.into_iter().map(|found| found.path.display().to_string()).collect::<Vec<_>>()
    };
    let all = rest(tree.by_path.list("/".as_ref(), true).unwrap());
    assert_eq!(all, ["a", "a/b", "a/b/1", "a/b/2", "a/z", "ab", "c", "c/1"]);
    for (index, path) in all.iter().enumerate() {
        let after = tree.by_path.list_after("/".as_ref(), path.as_ref()).unwrap();
        assert_eq!(rest(after), all[index + 1..], "{path}");
    }
    // What is gone, or never was, has its place all the same.
    for (after, first) in [("a/b/11", "a/b/2"), ("a/b/1/x", "a/b/2"), ("0", "a"), ("b", "c"), ("a/zz", "ab")] {
        assert_eq!(rest(tree.by_path.list_after("/".as_ref(), after.as_ref()).unwrap())[0], first, "{after}");
    }
    assert_eq!(rest(tree.by_path.list_after("/a".as_ref(), "b/2".as_ref()).unwrap()), ["z"]);
    let base = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(base.path().join("d/e")).unwrap();
    std::fs::write(base.path().join("d/e/file"), "deep").unwrap();
    let tree = Tree::over(base.path());
    assert_eq!(rest(tree.by_path.list_after("/".as_ref(), "d/e".as_ref()).unwrap()), ["d/e/file"]);
}

#[test]
fn a_part_of_a_file_is_read_by_itself() {
    let tree = Tree::new();
    tree.put("/f", b"0123456789").unwrap();
    let mut reading = tree.by_path.read("/f".as_ref()).unwrap();
    assert_eq!(reading.attr().size, 10);
    reading.go_to(7);
    assert_eq!(reading.next(2).unwrap(), b"78");
    assert_eq!(reading.next(2).unwrap(), b"9");
    reading.go_to(50);
    assert_eq!(reading.next(2).unwrap(), b"");
}

#[test]
fn one_thing_is_removed_and_nothing_in_it() {
    let tree = Tree::new();
    tree.by_path.make_folder("/a/b".as_ref(), true).unwrap();
    tree.put("/a/f", b"x").unwrap();
    let remove = |path: &str| tree.by_path.remove_one(path.as_ref());
    assert_eq!(errno(remove("/a")), libc::ENOTEMPTY);
    assert_eq!(tree.all("/"), ["a", "a/b", "a/f"]);
    for path in ["/a/b", "/a/f", "/a"] {
        remove(path).unwrap();
    }
    assert_eq!(tree.all("/"), Vec::<String>::new());
    assert_eq!((errno(remove("/")), errno(remove("/a"))), (libc::EBUSY, libc::ENOENT));
}
