//! The front end over an overlay: programs find in it what they would find in a copy of its base.
#![allow(clippy::unwrap_used)]
mod common;

use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::slow_machine::{HeldUp, Patience};
use common::{Mapped, Test, can_mount, workload};
use nixbox_engine::{BaseOptions, Database, FileSystem, Options, Witness};
use nixbox_mount::{Access, Mounted, Mountpoint, mount};
use tempfile::TempDir;

struct Over {
    test: Test,
    database: Database,
    base: TempDir,
    _folder: TempDir,
}

fn over(base: TempDir) -> Over {
    let folder = tempfile::tempdir().unwrap();
    let below = BaseOptions { path: base.path().to_owned(), ..BaseOptions::default() };
    let options = Options { base: Some(below), ..Options::default() };
    let database = Database::open_or_create(&folder.path().join("a.db"), &options).unwrap();
    Over { test: Test::new(database.tree()), database, base, _folder: folder }
}

impl Over {
    fn changed(&self) -> Vec<PathBuf> {
        let changes = self.database.overlay().unwrap().changes().unwrap();
        changes.into_iter().map(|change| change.path).collect()
    }
}

#[track_caller]
fn sh(folder: &Path, script: &str) -> String {
    let Output { status, stdout, stderr } = Command::new("timeout")
        .args(["60", "bash", "-euo", "pipefail", "-c", script])
        .current_dir(folder)
        .env("HOME", "/nonexistent")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .envs([("GIT_AUTHOR_NAME", "a"), ("GIT_AUTHOR_EMAIL", "a@b")])
        .envs([("GIT_COMMITTER_NAME", "a"), ("GIT_COMMITTER_EMAIL", "a@b")])
        .output()
        .unwrap();
    assert!(status.success(), "{script}\n{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

fn snapshot(folder: &Path) -> String {
    sh(
        folder,
        "find . -mindepth 1 -printf '%p %y %m %s %T@ %l\\n' | sort; find . -type f -print0 | sort -z | xargs -0r sha256sum",
    )
}

fn tree_in(base: &Path) {
    sh(
        base,
        "mkdir -p d/e; echo one > a; echo two > d/b; echo three > d/e/c; ln -s a link; head -c 3000000 /dev/urandom > big",
    );
}

#[test]
fn programs_find_what_posix_promises() {
    if !can_mount() {
        return;
    }
    let base = tempfile::tempdir().unwrap();
    // In each folder of the workload there is one of the base below.
    fs::write(base.path().join("there"), "").unwrap();
    let mut over = over(base);
    workload::run_all(&over.test.path());
    assert_eq!(fs::read_dir(over.base.path()).unwrap().count(), 1);
    over.test.take().unmount(|| false).unwrap();
    over.database.close().unwrap();
}

#[test]
fn a_tree_is_copied_moved_removed_and_made_anew() {
    if !can_mount() {
        return;
    }
    let base = tempfile::tempdir().unwrap();
    tree_in(base.path());
    let over = over(base);
    let before = snapshot(over.base.path());
    let mnt = over.test.path();
    let reference = tempfile::tempdir().unwrap();
    sh(reference.path(), &format!("cp -a {}/. .", over.base.path().display()));
    assert_eq!(snapshot(&mnt).replace(" 4096 ", " 0 "), snapshot(reference.path()).replace(" 4096 ", " 0 "));
    assert!(over.changed().is_empty(), "{:?}", over.changed());

    let work = "cp -a d copy; mv d moved; rm -rf moved/e; mkdir -p d/e; echo new > d/e/new; mv copy/e d/e/old; rm a; mkdir a; \
                echo x >> big; ln big big2; mv link d/link; ls -R > /dev/null";
    for place in [mnt.as_path(), reference.path()] {
        sh(place, work);
    }
    let list =
        "find . -mindepth 1 -printf '%p %y %m %l\\n' | sort; find . -type f -print0 | sort -z | xargs -0r sha256sum";
    assert_eq!(sh(&mnt, list), sh(reference.path(), list));
    assert_eq!(snapshot(over.base.path()), before);
}

#[test]
fn git_works_in_an_overlay_of_a_repository() {
    if !can_mount() {
        return;
    }
    let base = tempfile::tempdir().unwrap();
    tree_in(base.path());
    sh(
        base.path(),
        "git init -q -b main; git add .; git commit -qm one; git checkout -qb side; echo side > d/b; git commit -qam side; git checkout -q main",
    );
    let over = over(base);
    let before = sh(over.base.path(), "git rev-parse HEAD; git status --porcelain");
    let mnt = over.test.path();
    assert_eq!(sh(&mnt, "git status --porcelain"), "");
    assert_eq!(sh(&mnt, "echo more >> a; git status --porcelain"), " M a\n");
    sh(
        &mnt,
        "git commit -qam two; git checkout -q side; grep -q side d/b; git merge -q main -m merge; git gc -q; git fsck --strict",
    );
    assert_eq!(sh(&mnt, "git status --porcelain; git log --oneline | wc -l"), "4\n");
    assert_eq!(sh(over.base.path(), "git rev-parse HEAD; git status --porcelain"), before);
}

/// How long until somebody who asks again and again sees it, without what the machine has held up.
#[track_caller]
fn soon(what: &str, mut is_so: impl FnMut() -> bool) -> Duration {
    let (begun, watch, mut patience) = (Instant::now(), HeldUp::watch(), Patience::new());
    while !is_so() {
        assert!(!patience.is_over(), "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
    begun.elapsed().saturating_sub(watch.so_far())
}

#[test]
fn what_is_edited_underneath_is_read_at_once() {
    if !can_mount() {
        return;
    }
    let base = tempfile::tempdir().unwrap();
    tree_in(base.path());
    let over = over(base);
    let (mnt, base) = (over.test.path(), over.base.path());
    let read = |name: &str| fs::read_to_string(mnt.join(name)).unwrap();
    assert_eq!(read("a"), "one\n");
    for round in 0..50 {
        // Of other lengths and of the same, so that only the time tells.
        let text = format!("{round}\n").repeat(1 + round % 3);
        fs::write(base.join("a"), &text).unwrap();
        assert_eq!(read("a"), text, "round {round}");
    }
    assert!(over.changed().is_empty());
}

#[test]
fn what_comes_goes_and_changes_underneath_is_seen_soon() {
    if !can_mount() {
        return;
    }
    let base = tempfile::tempdir().unwrap();
    tree_in(base.path());
    let over = over(base);
    let (mnt, base) = (over.test.path(), over.base.path());
    // The kernel knows everything, also that some names are not there.
    let known = || sh(&mnt, "find . -printf '%p %s %m\n' | sort");
    known();
    assert!(!mnt.join("d/new").exists());
    fs::write(base.join("d/new"), "new").unwrap();
    let mut took = vec![soon("a new file", || mnt.join("d/new").exists())];
    fs::rename(base.join("d/new"), base.join("d/b")).unwrap();
    took.push(soon("a file that replaces another", || fs::metadata(mnt.join("d/b")).is_ok_and(|meta| meta.len() == 3)));
    took.push(soon("a name that went", || !mnt.join("d/new").exists()));
    sh(base, "chmod 600 a; echo more >> d/e/c; mkdir f; mv d/e f/e");
    took.push(soon("a mode", || fs::metadata(mnt.join("a")).is_ok_and(|meta| meta.mode() & 0o777 == 0o600)));
    took.push(soon("a folder that moved", || {
        !mnt.join("d/e").exists() && fs::read_to_string(mnt.join("f/e/c")).is_ok_and(|text| text == "three\nmore\n")
    }));
    fs::remove_dir_all(base.join("d")).unwrap();
    took.push(soon("a folder that went", || fs::read_dir(mnt.join("d")).is_err()));
    took.sort();
    assert!(took[took.len() / 2] < Duration::from_millis(500), "news comes, and not only the end of trust: {took:?}");
    assert_eq!(known().lines().count(), 7);
    assert!(over.changed().is_empty());
}

#[test]
fn a_mapping_shows_what_is_written_underneath() {
    if !can_mount() {
        return;
    }
    let base = tempfile::tempdir().unwrap();
    tree_in(base.path());
    let over = over(base);
    let mut mapped = Mapped::new(&over.test.path().join("a"));
    assert_eq!(mapped.read(0), b'o');
    fs::File::options().write(true).open(over.base.path().join("a")).unwrap().write_all(b"ONE").unwrap();
    soon("a byte of a mapping", || mapped.read(0) == b'O');
    // And through another mapping, of which the kernel sends no news: when somebody looks at the file.
    Mapped::new(&over.base.path().join("a")).write(1, b'n');
    soon("a byte of a mapping, mapped there too", || {
        let _ = fs::metadata(over.test.path().join("a"));
        mapped.read(1) == b'n'
    });
    assert!(over.changed().is_empty());
}

#[test]
fn mapped_files_are_read_from_the_base_and_written_to_the_database() {
    if !can_mount() {
        return;
    }
    let base = tempfile::tempdir().unwrap();
    tree_in(base.path());
    let over = over(base);
    let mnt = over.test.path();
    let mut reader = fs::File::open(mnt.join("big")).unwrap();
    let ino = reader.metadata().unwrap().ino();
    let file = fs::File::options().read(true).write(true).open(mnt.join("big")).unwrap();
    assert!(over.changed().is_empty());
    Mapped::new(&mnt.join("big")).write(2_000_000, b'!');
    file.sync_all().unwrap();
    let mut expected = fs::read(over.base.path().join("big")).unwrap();
    expected[2_000_000] = b'!';
    let mut got = Vec::new();
    reader.seek(SeekFrom::Start(0)).unwrap();
    reader.read_to_end(&mut got).unwrap();
    assert!(got == expected, "an open descriptor sees the change");
    assert_eq!((fs::metadata(mnt.join("big")).unwrap().ino(), over.changed()), (ino, vec![PathBuf::from("big")]));
}

#[test]
fn what_is_mapped_is_in_the_tree_when_it_is_asked_for() {
    if !can_mount() {
        return;
    }
    let base = tempfile::tempdir().unwrap();
    tree_in(base.path());
    let over = over(base);
    let big = over.test.path().join("big");
    let notices = over.test.mounted.as_ref().unwrap().notices();
    let tree = over.database.tree();
    let byte = |at| {
        let ino = tree.lookup(nixbox_engine::ROOT, "big".as_ref()).unwrap().ino;
        let read = tree.read(ino, at, 1).unwrap()[0];
        tree.forget(ino, 1);
        read
    };
    let mut mapped = Mapped::new(&big);
    notices.settle(None);
    assert!(over.changed().is_empty(), "nothing was written yet");
    for round in 0..20 {
        let (at, value) = (round * 4096 + 7, b'A' + round as u8);
        mapped.write(at, value);
        notices.settle(if round % 2 == 0 { None } else { Some(fs::metadata(&big).unwrap().ino()) });
        assert_eq!(byte(at as u64), value, "round {round}");
    }
    assert_eq!(over.changed(), [PathBuf::from("big")]);
    // A mapping of its own for each of several writers, all of them at it while somebody asks.
    let mut more: Vec<_> = (0..3).map(|_| Mapped::new(&big)).collect();
    let asking = std::thread::spawn(move || (0..50).for_each(|_| notices.settle(None)));
    for round in 0..100u64 {
        for (nth, mapped) in more.iter_mut().enumerate() {
            mapped.write(nth * 40_000 + 500_000, round as u8);
        }
    }
    asking.join().unwrap();
    drop((mapped, more));
    over.test.mounted.as_ref().unwrap().notices().settle(None);
    assert_eq!([byte(500_000), byte(540_000), byte(580_000)], [99; 3]);
}

/// The mount lies in its base, where a project naturally puts it.
#[test]
fn hazard_9_a_mount_inside_its_own_base_answers() {
    if !can_mount() {
        return;
    }
    let base = tempfile::tempdir().unwrap();
    let root = base.path().canonicalize().unwrap();
    tree_in(&root);
    sh(&root, "git init -q -b main; echo .agentfs > .gitignore; git add .; git commit -qm one");
    let own = root.join(".agentfs");
    fs::create_dir(&own).unwrap();
    let below = BaseOptions { path: root.clone(), hidden: vec![own.clone(), root.join("mnt")], exclude: Vec::new() };
    let path = own.join("a.db");
    let database = Database::open_or_create(&path, &Options { base: Some(below), ..Options::default() }).unwrap();
    for point in [own.join("mnt"), root.join("mnt")] {
        let mounted = mounted(database.tree(), &point, &path);
        let seen = sh(&point, "ls -R . > /dev/null; find . -name mnt; git status --porcelain; cat d/b; rm -rf d; ls");
        assert_eq!(seen, "two\na\nbig\nlink\n");
        sh(&point, "git checkout -q .");
        mounted.unmount(|| false).unwrap();
    }
    assert!(root.join("d/b").exists());
}

fn mounted(tree: Arc<dyn FileSystem>, point: &Path, database: &Path) -> Mounted {
    let options = nixbox_mount::Options {
        database: database.to_owned(),
        read_only: false,
        access: Access::Owner,
        uid: None,
        gid: None,
    };
    let point = Mountpoint::prepare(point, true, database).unwrap();
    mount(tree, &point.path, &options, |_| {}).unwrap()
}

/// Where nothing can be written, the kernel reads files of the base by itself.
#[test]
fn a_mount_that_is_only_read_shows_the_base_itself() {
    if !can_mount() {
        return;
    }
    let base = tempfile::tempdir().unwrap();
    tree_in(base.path());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let below = BaseOptions { path: base.path().to_owned(), ..BaseOptions::default() };
    let options = Options { base: Some(below), read_only: true, ..Options::default() };
    let database = Database::open_or_create(&path, &options).unwrap();
    let mut test = Test::with(database.tree(), |options| options.read_only = true);
    let (mnt, base) = (test.path(), base.path());
    let expected = fs::read(base.join("big")).unwrap();
    let mut first = fs::File::open(mnt.join("big")).unwrap();
    assert!(fs::read(mnt.join("big")).unwrap() == expected);
    fs::OpenOptions::new().append(true).open(base.join("big")).unwrap().write_all(b"more").unwrap();
    let mut got = Vec::new();
    first.read_to_end(&mut got).unwrap();
    assert!(got.len() == expected.len() + 4 && got.ends_with(b"more"), "an open descriptor shows what is there");
    drop(first);
    // Another file takes its place: who has the old one open keeps it.
    let mut old = fs::File::open(mnt.join("a")).unwrap();
    fs::write(base.join("new"), "new").unwrap();
    fs::rename(base.join("new"), base.join("a")).unwrap();
    assert_eq!(fs::read_to_string(mnt.join("a")).unwrap(), "new");
    let mut text = String::new();
    old.read_to_string(&mut text).unwrap();
    assert_eq!(text, "one\n");
    drop(old);
    assert_eq!(Mapped::new_to_read(&mnt.join("d/b")).read(0), b't');
    assert!(fs::write(mnt.join("d/b"), "").is_err());
    let backed = test.mounted.as_ref().unwrap().backed();
    let possible = nix::unistd::geteuid().is_root() && kernel_passes_through();
    assert_eq!(backed > 3, possible, "{backed}");
    test.take().unmount(|| false).unwrap();
}

/// Linux 6.9, built with it.
fn kernel_passes_through() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(['.', '-']).map(|part| part.parse().unwrap_or(0));
    let version: (u32, u32) = (numbers.next().unwrap(), numbers.next().unwrap());
    let built = Command::new("sh")
        .args(["-c", "{ zcat /proc/config.gz || cat /boot/config-$(uname -r); } 2>/dev/null | grep -q PASSTHROUGH=y"])
        .status()
        .unwrap();
    version >= (6, 9) && built.success()
}
