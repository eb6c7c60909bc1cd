//! What an overlay promises, one test each. Those named after a hazard are what upstream's overlay does wrong.
#![allow(clippy::unwrap_used)]

mod support;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nixbox_engine::*;
use support::*;
use tempfile::TempDir;

fn base(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

fn find(tree: &dyn FileSystem, path: &str) -> Result<Attr> {
    let mut attr = tree.getattr(ROOT)?;
    for step in path.split('/').filter(|step| !step.is_empty()) {
        attr = tree.lookup(attr.ino, name(step))?;
    }
    Ok(attr)
}

fn read(tree: &dyn FileSystem, path: &str) -> String {
    let attr = find(tree, path).unwrap();
    String::from_utf8(tree.read(attr.ino, 0, u32::MAX).unwrap()).unwrap()
}

/// As a program does: opened, written to, closed.
fn write(tree: &dyn FileSystem, path: &str, content: &str) {
    let attr = find(tree, path).unwrap();
    tree.open(attr.ino).unwrap();
    tree.setattr(attr.ino, AttrChange { size: Some(0), ..AttrChange::default() }).unwrap();
    tree.write(attr.ino, 0, content.as_bytes()).unwrap();
    tree.release(attr.ino);
}

fn read_everything(tree: &dyn FileSystem, ino: Ino) {
    for Entry { name, .. } in tree.readdir(ino).unwrap() {
        let attr = tree.lookup(ino, &name).unwrap();
        match attr.kind {
            Kind::Directory => read_everything(tree, attr.ino),
            Kind::Symlink => drop(tree.readlink(attr.ino).unwrap()),
            _ => {
                tree.open(attr.ino).unwrap();
                tree.read(attr.ino, 0, 1 << 20).unwrap();
                tree.release(attr.ino);
            }
        }
        tree.forget(attr.ino, 1);
    }
}

fn changes(scratch: &Scratch) -> Vec<(PathBuf, ChangeKind)> {
    scratch.overlay().changes().unwrap().into_iter().map(|change| (change.path, change.kind)).collect()
}

const CONTENT: ChangeKind = ChangeKind::Modified { content: true, mode: false };

#[test]
fn hazard_6_a_number_never_leads_to_what_was_there_before() {
    let base = base(&[]);
    let mut scratch = Scratch::over(base.path());
    let tree = scratch.tree();
    file(&*tree, ROOT, "x");
    tree.unlink(ROOT, name("x")).unwrap();
    let g = folder(&*tree, ROOT, "g");
    folder(&*tree, g, ".git");
    assert_eq!(names(&*tree, ROOT), ["g"]);
    refused(find(&*tree, "x/.git"), libc::ENOENT);
    drop(tree);
    scratch.reopen();
    assert_eq!(changes(&scratch).len(), 2);
}

#[test]
fn hazard_7_reading_writes_nothing() {
    let base = base(&[("a", "1"), ("d/b", "2"), ("d/e/c", "3")]);
    symlink("a", base.path().join("link")).unwrap();
    let mut scratch = Scratch::over(base.path());
    scratch.reopen();
    scratch.close();
    let before = fs::read(scratch.path()).unwrap();
    let tree = {
        scratch.open();
        scratch.tree()
    };
    for _ in 0..2 {
        read_everything(&*tree, ROOT);
    }
    assert_eq!(changes(&scratch), []);
    drop(tree);
    scratch.close();
    assert!(fs::read(scratch.path()).unwrap() == before, "the database changed");
}

#[test]
fn hazard_8_twenty_thousand_entries_need_no_descriptors() {
    const CHILD: &str = "NIXBOX_TEST_HAZARD_8";
    if let Some(path) = std::env::var_os(CHILD) {
        let scratch = Scratch::over(Path::new(&path));
        let tree = scratch.tree();
        let mut seen = 0;
        for Entry { name, .. } in tree.readdir(ROOT).unwrap() {
            let folder = tree.lookup(ROOT, &name).unwrap();
            for Entry { name, .. } in tree.readdir(folder.ino).unwrap() {
                let attr = tree.lookup(folder.ino, &name).unwrap();
                assert_eq!(tree.read(attr.ino, 0, 10).unwrap(), b"");
                seen += 1;
            }
        }
        assert_eq!(seen, 20_000);
        return;
    }
    let base = tempfile::tempdir().unwrap();
    for folder in 0..20 {
        let folder = base.path().join(folder.to_string());
        fs::create_dir(&folder).unwrap();
        (0..1000).for_each(|file| fs::write(folder.join(file.to_string()), "").unwrap());
    }
    let me = std::env::current_exe().unwrap();
    let run =
        format!("ulimit -n 256; exec '{}' --exact hazard_8_twenty_thousand_entries_need_no_descriptors", me.display());
    let status = Command::new("sh").args(["-c", &run]).env(CHILD, base.path()).stdout(Stdio::null()).status().unwrap();
    assert!(status.success());
}

#[test]
fn hazard_9_what_leads_back_into_the_view_is_not_in_it() {
    let base = base(&[("src/a", "1"), (".agentfs/mnt/ghost", "2"), ("target/x", "3"), ("src/target/y", "4")]);
    let path = base.path().canonicalize().unwrap();
    let hidden = BaseOptions { hidden: vec![path.join(".agentfs")], exclude: vec!["target".into()], path };
    let scratch = Scratch::with_options(Options { base: Some(hidden), ..options() });
    let tree = scratch.tree();
    assert_eq!(names(&*tree, ROOT), ["src"]);
    refused(find(&*tree, ".agentfs"), libc::ENOENT);
    refused(find(&*tree, ".agentfs/mnt/ghost"), libc::ENOENT);
    refused(find(&*tree, "src/target"), libc::ENOENT);
    refused(tree.create(ROOT, name("target"), node(Kind::File, 0o644)), libc::EPERM);
    refused(tree.create(ROOT, name(".agentfs"), node(Kind::Directory, 0o755)), libc::EPERM);
    refused(tree.rename((ROOT, name("src")), (ROOT, name("target")), Rename::Replace), libc::EPERM);
    // What is hidden is neither deleted nor carried along.
    tree.rename((ROOT, name("src")), (ROOT, name("moved")), Rename::Replace).unwrap();
    let gone = [
        ("moved", ChangeKind::Added),
        ("moved/a", ChangeKind::Added),
        ("src", ChangeKind::Deleted),
        ("src/a", ChangeKind::Deleted),
    ];
    assert_eq!(changes(&scratch), gone.map(|(path, kind)| (path.into(), kind)));
}

#[test]
fn what_is_edited_underneath_shows_until_it_is_changed_here() {
    let base = base(&[("a", "old"), ("b", "old")]);
    let at = |name: &str| base.path().join(name);
    let scratch = Scratch::over(base.path());
    let tree = scratch.tree();
    let a = find(&*tree, "a").unwrap();
    assert!(tree.valid_for(a.ino).is_zero() && tree.valid_for(ROOT).is_zero());
    assert!(tree.open(a.ino).unwrap().same_content);
    tree.release(a.ino);
    fs::write(at("a"), "newer").unwrap();
    assert_eq!(tree.getattr(a.ino).unwrap().size, 5);
    assert!(!tree.open(a.ino).unwrap().same_content, "pages of the old content must go");
    assert_eq!(tree.read(a.ino, 0, 100).unwrap(), b"newer");
    tree.release(a.ino);

    // Replaced: another file, under another number.
    fs::write(at("c"), "third").unwrap();
    fs::rename(at("c"), at("a")).unwrap();
    assert_ne!(find(&*tree, "a").unwrap().ino, a.ino);
    assert_eq!(read(&*tree, "a"), "third");
    refused(tree.getattr(a.ino), libc::ESTALE);
    fs::write(at("new"), "").unwrap();
    assert_eq!(names(&*tree, ROOT), ["a", "b", "new"]);

    write(&*tree, "b", "ours");
    assert_eq!(tree.valid_for(find(&*tree, "b").unwrap().ino), UNTIL_TOLD);
    let change = || scratch.overlay().changes().unwrap().pop().unwrap();
    assert!(!change().diverged);
    fs::write(at("b"), "theirs").unwrap();
    assert_eq!(read(&*tree, "b"), "ours");
    let change = change();
    let sizes = (change.before.unwrap().size, change.after.unwrap().size);
    assert_eq!((change.diverged, sizes), (true, (6, 4)));
}

#[test]
fn a_number_stays_over_copying_up_and_over_a_restart() {
    let base = base(&[("d/a", "old")]);
    let mut scratch = Scratch::over(base.path());
    let tree = scratch.tree();
    let (d, a) = (find(&*tree, "d").unwrap().ino, find(&*tree, "d/a").unwrap().ino);
    write(&*tree, "d/a", "new");
    assert_eq!((find(&*tree, "d").unwrap().ino, find(&*tree, "d/a").unwrap().ino), (d, a));
    tree.rename((d, name("a")), (ROOT, name("b")), Rename::Replace).unwrap();
    assert_eq!(find(&*tree, "b").unwrap().ino, a);
    drop(tree);
    scratch.reopen();
    let tree = scratch.tree();
    assert_eq!((find(&*tree, "d").unwrap().ino, find(&*tree, "b").unwrap().ino), (d, a));
    assert_eq!(read(&*tree, "b"), "new");
}

#[test]
fn copying_up_keeps_mode_owner_and_times() {
    let base = base(&[("d/a", "text")]);
    let path = base.path().join("d/a");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o4751)).unwrap();
    fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(std::time::UNIX_EPOCH + std::time::Duration::new(5, 7))
        .unwrap();
    let scratch = Scratch::over(base.path());
    let tree = scratch.tree();
    let before = find(&*tree, "d/a").unwrap();
    let folder = find(&*tree, "d").unwrap();
    let set = AttrChange { atime: Some(TimeChange::At(Time { sec: 1, nsec: 2 })), ..AttrChange::default() };
    let after = tree.setattr(before.ino, set).unwrap();
    let kept = |attr: Attr| Attr { atime: Time::default(), ctime: Time::default(), ..attr };
    assert_eq!(kept(after), kept(before));
    assert_eq!(find(&*tree, "d").unwrap().mtime, folder.mtime);
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o4751);
    assert_eq!(changes(&scratch), [], "touched is not changed");
}

#[test]
fn changed_back_is_no_change() {
    let base = base(&[("a", "one"), ("b", "two"), ("gone/x", "3")]);
    let scratch = Scratch::over(base.path());
    let tree = scratch.tree();
    write(&*tree, "a", "other");
    let b = find(&*tree, "b").unwrap().ino;
    tree.setattr(b, AttrChange { perm: Some(0o600), ..AttrChange::default() }).unwrap();
    let mode = ChangeKind::Modified { content: false, mode: true };
    assert_eq!(changes(&scratch), [("a".into(), CONTENT), ("b".into(), mode)]);
    write(&*tree, "a", "one");
    tree.setattr(b, AttrChange { perm: Some(0o644), ..AttrChange::default() }).unwrap();
    tree.unlink(ROOT, name("b")).unwrap();
    tree.create(ROOT, name("b"), node(Kind::Directory, 0o755)).unwrap();
    assert_eq!(changes(&scratch), [("b".into(), ChangeKind::TypeChanged)]);
}

#[test]
fn a_folder_made_anew_shows_nothing_of_the_one_that_was() {
    let base = base(&[("d/a", "1"), ("d/e/b", "2")]);
    let mut scratch = Scratch::over(base.path());
    let tree = scratch.tree();
    let d = find(&*tree, "d").unwrap().ino;
    let e = find(&*tree, "d/e").unwrap().ino;
    refused(tree.rmdir(ROOT, name("d")), libc::ENOTEMPTY);
    tree.unlink(e, name("b")).unwrap();
    tree.rmdir(d, name("e")).unwrap();
    tree.unlink(d, name("a")).unwrap();
    tree.rmdir(ROOT, name("d")).unwrap();
    let again = folder(&*tree, ROOT, "d");
    assert_ne!(again, d);
    assert!(names(&*tree, again).is_empty());
    fs::write(base.path().join("d/later"), "").unwrap();
    assert!(names(&*tree, again).is_empty());
    drop(tree);
    scratch.reopen();
    assert!(names(&*scratch.tree(), find(&*scratch.tree(), "d").unwrap().ino).is_empty());
    scratch.close();
    let mut whiteouts = Vec::new();
    let db = scratch.sql();
    let mut rows = db.prepare("SELECT path, parent_path FROM fs_whiteout ORDER BY path").unwrap();
    let rows = rows.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))).unwrap();
    whiteouts.extend(rows.map(Result::unwrap));
    assert_eq!(whiteouts, [("/d/a".into(), "/d".into()), ("/d/e".into(), "/d".into())] as [(String, String); 2]);
}

#[test]
fn no_link_of_the_base_leads_out_of_it() {
    let base = base(&[("d/a", "inside")]);
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "outside").unwrap();
    symlink(outside.path(), base.path().join("out")).unwrap();
    symlink("/proc/self/root", base.path().join("root")).unwrap();
    let scratch = Scratch::over(base.path());
    let tree = scratch.tree();
    let d = find(&*tree, "d").unwrap();
    assert_eq!(find(&*tree, "out").unwrap().kind, Kind::Symlink);
    refused(find(&*tree, "out/secret"), libc::ENOTDIR);
    refused(find(&*tree, "root/etc"), libc::ENOTDIR);
    // A folder that becomes a link while it is known.
    fs::rename(base.path().join("d"), base.path().join("was")).unwrap();
    symlink(outside.path(), base.path().join("d")).unwrap();
    refused(tree.lookup(d.ino, name("secret")), libc::ENOENT);
    refused(tree.lookup(ROOT, name("..")), libc::ENOENT);
}

#[test]
fn an_open_file_of_the_base_lives_on_without_its_name() {
    let base = base(&[("a", "content")]);
    let mut scratch = Scratch::over(base.path());
    let tree = scratch.tree();
    let a = find(&*tree, "a").unwrap().ino;
    tree.open(a).unwrap();
    tree.unlink(ROOT, name("a")).unwrap();
    assert_eq!(tree.read(a, 0, 100).unwrap(), b"content");
    tree.write(a, 0, b"CON").unwrap();
    assert_eq!((tree.read(a, 0, 100).unwrap().as_slice(), tree.getattr(a).unwrap().nlink), (&b"CONtent"[..], 0));
    tree.release(a);
    tree.forget(a, 1);
    drop(tree);
    scratch.close();
    let inodes: i64 = scratch.sql().query_row("SELECT count(*) FROM fs_inode", [], |row| row.get(0)).unwrap();
    assert_eq!(inodes, 1, "nothing is left of it");
}

#[test]
fn a_truncating_open_copies_nothing() {
    let base = base(&[]);
    fs::File::create(base.path().join("huge")).unwrap().set_len(1 << 40).unwrap();
    let scratch = Scratch::over(base.path());
    let tree = scratch.tree();
    write(&*tree, "huge", "small");
    assert_eq!(read(&*tree, "huge"), "small");
}

#[test]
fn a_large_file_comes_whole_and_with_its_hash() {
    let base = base(&[]);
    let content = pattern(9 << 20, 1);
    fs::write(base.path().join("large"), &content).unwrap();
    let mut scratch = Scratch::over(base.path());
    let tree = scratch.tree();
    let attr = find(&*tree, "large").unwrap();
    tree.write(attr.ino, 5 << 20, b"!").unwrap();
    let mut expected = content.clone();
    expected[5 << 20] = b'!';
    assert!(tree.read(attr.ino, 0, u32::MAX).unwrap() == expected);
    drop(tree);
    scratch.close();
    let (size, hash): (i64, String) = scratch
        .sql()
        .query_row("SELECT size, hash FROM nixbox_origin WHERE size > 0 AND hash IS NOT NULL", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    assert_eq!((size as usize, hash), (content.len(), blake3::hash(&content).to_hex().to_string()));
}

/// Killed again and again while a large file is copied up: whoever opens the database next sees the base's content,
/// or the whole copy with the change, and nothing of the copy is left behind.
#[test]
fn a_kill_while_copying_up_shows_no_half_a_file() {
    const CHILD: &str = "NIXBOX_TEST_KILL";
    let options = |folder: &Path| Options {
        base: Some(BaseOptions { path: folder.join("base"), ..BaseOptions::default() }),
        ..options()
    };
    if let Some(folder) = std::env::var_os(CHILD) {
        let folder = Path::new(&folder);
        let database = Database::open_or_create(&folder.join("x.db"), &options(folder)).unwrap();
        let tree = database.tree();
        let attr = find(&*tree, "large").unwrap();
        fs::write(folder.join("begun"), "").unwrap();
        tree.write(attr.ino, 0, b"!").unwrap();
        tree.fsync(attr.ino).unwrap();
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    fs::create_dir(folder.join("base")).unwrap();
    let content = pattern(24 << 20, 2);
    fs::write(folder.join("base/large"), &content).unwrap();
    let mut halves = 0;
    for round in 0..80_u64 {
        let _ = fs::remove_file(folder.join("begun"));
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &test_name(module_path!(), "a_kill_while_copying_up_shows_no_half_a_file")])
            .env(CHILD, folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while !folder.join("begun").exists() {
            assert!(child.try_wait().unwrap().is_none(), "the child could not begin");
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        std::thread::sleep(std::time::Duration::from_millis(round % 8 * 15));
        child.kill().unwrap();
        child.wait().unwrap();
        let log = fs::metadata(folder.join("x.db-wal")).map_or(0, |meta| meta.len());
        let database = Database::open_or_create(&folder.join("x.db"), &options(folder)).unwrap();
        let tree = database.tree();
        let attr = find(&*tree, "large").unwrap();
        let got = tree.read(attr.ino, 0, u32::MAX).unwrap();
        assert!(got[1..] == content[1..] && (got[0] == content[0] || got[0] == b'!'), "round {round}");
        let copied = !database.overlay().unwrap().changes().unwrap().is_empty();
        drop(tree);
        database.close().unwrap();
        let db = rusqlite::Connection::open(folder.join("x.db")).unwrap();
        let sql = "SELECT count(*) FROM fs_data WHERE ino NOT IN (SELECT ino FROM fs_dentry)";
        assert_eq!(db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
        halves += i32::from(!copied && log > (1 << 20));
        if halves > 0 && (copied || round >= 7) {
            break;
        }
        if copied {
            // The machine let us in too late; from the beginning.
            for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if entry.is_file() {
                    fs::remove_file(entry).unwrap();
                }
            }
        }
    }
    assert!(halves > 0, "no kill came in the middle");
}

#[test]
fn the_database_remembers_its_base() {
    let (first, second) = (base(&[("a", "1")]), base(&[("b", "2")]));
    let mut scratch = Scratch::over(first.path());
    scratch.close();
    let open = |path: Option<PathBuf>| {
        let base = path.map(|path| BaseOptions { path, ..BaseOptions::default() });
        Database::open_or_create(&scratch.path(), &Options { base, ..options() }).err()
    };
    let before = fs::read(scratch.path()).unwrap();
    let recorded = first.path().canonicalize().unwrap();
    assert!(matches!(open(None), Some(Error::Overlay { base, .. }) if base == recorded));
    assert!(matches!(open(Some(second.path().into())), Some(Error::BaseMoved { recorded: r, .. }) if r == recorded));
    assert!(matches!(open(Some(first.path().join("none"))), Some(Error::BaseMissing { .. })));
    assert!(fs::read(scratch.path()).unwrap() == before);
    let link = second.path().join("link");
    symlink(first.path(), &link).unwrap();
    assert!(open(Some(link)).is_none());
}

#[test]
fn a_plain_database_becomes_an_overlay_with_what_it_holds_on_top() {
    let base = base(&[("d/a", "below"), ("d/b", "below")]);
    let mut scratch = Scratch::new();
    let tree = scratch.tree();
    let d = folder(&*tree, ROOT, "d");
    let a = file(&*tree, d, "a");
    tree.write(a, 0, b"above").unwrap();
    drop(tree);
    scratch.close();
    scratch.options.base = Some(BaseOptions { path: base.path().into(), ..BaseOptions::default() });
    scratch.open();
    let tree = scratch.tree();
    assert_eq!((read(&*tree, "d/a").as_str(), read(&*tree, "d/b").as_str()), ("above", "below"));
}

#[test]
fn both_shapes_of_upstreams_whiteouts_are_understood() {
    for shape in [
        "path TEXT PRIMARY KEY, created_at INTEGER NOT NULL",
        "path TEXT PRIMARY KEY, parent_path TEXT NOT NULL DEFAULT '', created_at INTEGER NOT NULL",
    ] {
        let base = base(&[("d/a", "1"), ("d/b", "2"), ("c", "3")]);
        let mut scratch = Scratch::new();
        scratch.close();
        let sql = format!(
            "CREATE TABLE fs_whiteout ({shape}); INSERT INTO fs_whiteout (path, created_at) VALUES ('/d/a', 1), ('/c', 1)"
        );
        scratch.sql().execute_batch(&sql).unwrap();
        scratch.options.base = Some(BaseOptions { path: base.path().into(), ..BaseOptions::default() });
        scratch.open();
        let tree = scratch.tree();
        assert_eq!(names(&*tree, ROOT), ["d"]);
        assert_eq!(names(&*tree, find(&*tree, "d").unwrap().ino), ["b"]);
        drop(tree);
        scratch.close();
        let db = scratch.sql();
        let parent = |path: &str| {
            db.query_row("SELECT parent_path FROM fs_whiteout WHERE path = ?", [path], |row| row.get::<_, String>(0))
                .unwrap()
        };
        assert_eq!((parent("/d/a"), parent("/c")), ("/d".into(), "/".into()));
    }
}

#[test]
fn names_that_the_format_cannot_hold_are_seen_and_not_changed() {
    let base = base(&[]);
    let odd = OsStr::from_bytes(b"\xff");
    fs::write(base.path().join(odd), "odd").unwrap();
    let scratch = Scratch::over(base.path());
    let tree = scratch.tree();
    let attr = tree.lookup(ROOT, odd).unwrap();
    assert_eq!(tree.read(attr.ino, 0, 10).unwrap(), b"odd");
    refused(tree.write(attr.ino, 0, b"x"), libc::EILSEQ);
    refused(tree.unlink(ROOT, odd), libc::EILSEQ);
    assert_eq!(changes(&scratch), []);
    let file = fs::File::open(base.path().join(odd)).unwrap();
    let mut content = [0; 3];
    file.read_exact_at(&mut content, 0).unwrap();
    assert_eq!(&content, b"odd");
}

#[test]
fn a_folder_with_a_name_that_the_format_cannot_hold_stays_where_it_is() {
    let base = tempfile::tempdir().unwrap();
    fs::create_dir(base.path().join("d")).unwrap();
    fs::write(base.path().join("d/a"), "a").unwrap();
    fs::write(base.path().join("d").join(OsStr::from_bytes(b"\xff")), "odd").unwrap();
    let scratch = Scratch::over(base.path());
    let tree = scratch.tree();
    refused(tree.rename((ROOT, name("d")), (ROOT, name("e")), Rename::Replace), libc::EILSEQ);
    assert_eq!(names(&*tree, ROOT), ["d"]);
    assert!(scratch.files().readdir(ROOT).unwrap().is_empty(), "something was copied");
}

#[test]
fn others_go_on_while_a_large_folder_is_moved() {
    let base = tempfile::tempdir().unwrap();
    fs::create_dir_all(base.path().join("large/inner")).unwrap();
    for number in 0..200 {
        fs::write(base.path().join(format!("large/inner/{number}")), vec![number as u8; 200_000]).unwrap();
    }
    fs::write(base.path().join("other"), "").unwrap();
    let scratch = Scratch::over(base.path());
    let tree = scratch.tree();
    // Refused before anything is copied.
    refused(tree.rename((ROOT, name("large")), (ROOT, name("other")), Rename::NoReplace), libc::EEXIST);
    assert!(tree.lookup(ROOT, name("large")).is_ok() && scratch.files().readdir(ROOT).unwrap().is_empty());
    let moved = std::sync::atomic::AtomicBool::new(false);
    let looks = std::thread::scope(|scope| {
        scope.spawn(|| {
            tree.rename((ROOT, name("large")), (ROOT, name("moved")), Rename::Replace).unwrap();
            moved.store(true, std::sync::atomic::Ordering::Release);
        });
        let mut looks = 0;
        while !moved.load(std::sync::atomic::Ordering::Acquire) {
            let attr = tree.lookup(ROOT, name("other")).unwrap();
            tree.forget(attr.ino, 1);
            looks += 1;
        }
        looks
    });
    assert!(looks > 5, "{looks}");
    let inner = find(&*tree, "moved/inner").unwrap();
    assert_eq!(tree.readdir(inner.ino).unwrap().len(), 200);
    assert_eq!(names(&*tree, ROOT), ["moved", "other"]);
    assert!(read(&*tree, "moved/inner/7").bytes().all(|byte| byte == 7));
}
