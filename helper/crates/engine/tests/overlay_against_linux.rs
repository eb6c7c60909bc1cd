//! Random sequences of calls, made to an overlay and to a real copy of its base: the same answers, the same tree, the
//! base untouched, and a list of changes that is the difference of the two folders. Reopened in between.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use nixbox_engine::*;
use proptest::prelude::*;
use support::model::*;

fn tree_of(root: &Path) -> Tree {
    let mut tree = Tree::new();
    linux_tree(root, Path::new(""), false, &mut tree);
    tree
}

/// What `Overlay::changes` must say, from two folders.
fn differences(base: &Tree, view: &Tree) -> BTreeMap<PathBuf, ChangeKind> {
    let mut all = BTreeMap::new();
    for (path, before) in base {
        let kind = match view.get(path) {
            None => Some(ChangeKind::Deleted),
            Some(after) if after.0 != before.0 => Some(ChangeKind::TypeChanged),
            Some(after) => {
                let (content, mode) = (after.3 != before.3, after.1 != before.1);
                (content || mode).then_some(ChangeKind::Modified { content, mode })
            }
        };
        all.extend(kind.map(|kind| (path.clone(), kind)));
    }
    all.extend(view.keys().filter(|path| !base.contains_key(*path)).map(|path| (path.clone(), ChangeKind::Added)));
    all
}

/// The paths that upstream's programs find, which know the tables of the format and none of ours: a whiteout hides
/// whatever lies at its path and below, then comes the database's entry, then the base's.
fn upstreams_view(db: &rusqlite::Connection, base: &Path) -> BTreeSet<PathBuf> {
    let mut whiteouts = db.prepare("SELECT path FROM fs_whiteout").unwrap();
    let whiteouts = whiteouts.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let whiteouts: BTreeSet<_> = whiteouts.map(|path| PathBuf::from(path.unwrap())).collect();
    let mut seen = BTreeSet::new();
    let mut open = vec![(Some(1_i64), PathBuf::new())];
    while let Some((delta, at)) = open.pop() {
        let mut children: BTreeMap<String, (Option<i64>, bool)> = BTreeMap::new();
        let below = base.join(&at);
        // No link leads anywhere.
        for entry in below.read_dir().into_iter().flatten().filter(|_| !below.is_symlink()) {
            let entry = entry.unwrap();
            let is_directory = entry.file_type().unwrap().is_dir();
            children.insert(entry.file_name().into_string().unwrap(), (None, is_directory));
        }
        let sql =
            "SELECT name, ino, mode & 0xF000 = 0x4000 FROM fs_dentry JOIN fs_inode USING (ino) WHERE parent_ino = ?";
        let mut entries = db.prepare_cached(sql).unwrap();
        let mut rows = entries.query([delta]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            children.insert(row.get(0).unwrap(), (row.get(1).unwrap(), row.get(2).unwrap()));
        }
        for (name, (delta, is_directory)) in children {
            let path = at.join(name);
            if !whiteouts.contains(&Path::new("/").join(&path)) {
                seen.insert(path.clone());
                open.extend(is_directory.then_some((delta, path)));
            }
        }
    }
    seen
}

fn compare(chunk_size: u32, before: &[Call], calls: &[Call]) {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("base");
    std::fs::create_dir(&base).unwrap();
    let mut below = Linux { root: base.clone(), open: Default::default() };
    for call in before {
        let _ = below.call(call);
    }
    drop(below);
    let copy = folder.path().join("copy");
    // Without `--preserve=links`: names of one file of the base are files of their own in the view.
    let copied = Command::new("cp").args(["-r", "--preserve=mode"]).args([&base, &copy]).status().unwrap();
    assert!(copied.success());
    let at_first = tree_of(&base);

    let mut linux = Linux { root: copy, open: Default::default() };
    let mut engine = Engine::new(chunk_size, Some(&base));
    for (number, call) in calls.iter().enumerate() {
        let expected = linux.call(call);
        let got = engine.call(call);
        assert_eq!(got, expected, "call {number}, {call:?}");
    }
    let expected = tree_of(&linux.root);
    for round in 0..2 {
        let mut got = Tree::new();
        engine_tree(&*engine.files, ROOT, Path::new(""), false, &mut got);
        assert_eq!(got.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "round {round}");
        for (path, expected) in &expected {
            let got = &got[path];
            assert_eq!((got.0, got.1, got.2), (expected.0, expected.1, expected.2), "{path:?}, round {round}");
            assert!(got.3 == expected.3, "the content of {path:?}, round {round}");
        }
        let changes = engine.scratch.overlay().changes().unwrap();
        let changes: BTreeMap<_, _> = changes.into_iter().map(|change| (change.path, change.kind)).collect();
        // Only once no handle holds what the other side has removed.
        engine.call(&Call::Reopen).unwrap();
        linux.call(&Call::Reopen).unwrap();
        let mut plain = at_first.clone();
        plain.values_mut().for_each(|entry| entry.2 = 0);
        assert_eq!(changes, differences(&plain, &expected), "round {round}");
    }
    assert_eq!(tree_of(&base), at_first, "the base was written to");
    let Engine { mut scratch, files, .. } = engine;
    drop(files);
    scratch.close();
    let upstreams: Vec<_> = upstreams_view(&scratch.sql(), &base).into_iter().collect();
    assert_eq!(upstreams, expected.into_keys().collect::<Vec<_>>(), "upstream's programs see another tree");
    assert_eq!(check(&scratch.path(), &Backing::Sqlite).unwrap().found, []);
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 4000, ..cases() })]

    #[test]
    fn an_overlay_answers_as_a_copy_of_its_base_does(
        chunk_size in prop::sample::select(vec![100_u32, 16384]),
        before in prop::collection::vec(call(), 0..60),
        calls in prop::collection::vec(call(), 1..80),
    ) {
        nix::sys::stat::umask(nix::sys::stat::Mode::empty());
        compare(chunk_size, &before, &calls);
    }
}
