//! Kills, a full disk, and rest: what is promised is on the disk, and nothing runs when nothing is asked.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nixbox_engine::*;
use support::slow_machine::{HeldUp, PATIENCE, Patience};
use support::*;

const DATABASE: &str = "NIXBOX_TEST_DATABASE";
const ROUNDS: u64 = 12;

fn content_of(number: u64) -> Vec<u8> {
    pattern(1 + (number as usize * 7919) % 50_000, number)
}

/// Writes file after file, some larger, some moved, some synced, and says so after each.
#[test]
#[ignore = "started by the test below, in a process that is killed"]
fn writer() {
    let database = Database::open_or_create(Path::new(&std::env::var_os(DATABASE).unwrap()), &options()).unwrap();
    let files = database.files();
    let mut out = std::io::stdout();
    let first = files.readdir(ROOT).unwrap().len() as u64;
    for number in first.. {
        let ino = file(&*files, ROOT, "new");
        for (step, piece) in content_of(number).chunks(3000).enumerate() {
            files.write(ino, step as u64 * 3000, piece).unwrap();
        }
        files.rename((ROOT, name("new")), (ROOT, name(&number.to_string())), Rename::Replace).unwrap();
        let word = match number % 50 {
            0 => {
                files.fsync(ino).unwrap();
                "synced"
            }
            _ => "acknowledged",
        };
        let commits: u64 = database.gauges().meters().commits.counts().iter().sum();
        writeln!(out, "{word} {number} {commits}").unwrap();
    }
}

/// What the writer said, when it was heard, and what the machine had held up by then.
struct Said {
    at: Instant,
    held_up: Duration,
    line: String,
}

impl Said {
    /// Whether it is synced, its number, and how many commits there were after it. The test runner puts words of its own
    /// before the first.
    fn parts(&self) -> Option<(bool, u64, u64)> {
        let mut words = self.line.rsplit(' ');
        let (commits, number) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let word = words.next()?;
        matches!(word, "synced" | "acknowledged").then_some((word == "synced", number, commits))
    }
}

#[test]
fn a_kill_loses_nothing_synced_or_committed_and_nothing_older_than_a_tenth_of_a_second() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let writer = test_name(module_path!(), "writer");
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", &writer, "--nocapture"])
            .env(DATABASE, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (sender, receiver) = mpsc::channel();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let reader = std::thread::spawn(move || {
            let watch = HeldUp::watch();
            for line in lines.map_while(std::result::Result::ok) {
                let _ = sender.send(Said { at: Instant::now(), held_up: watch.so_far(), line });
            }
            watch
        });
        let mut lines: Vec<Said> = Vec::new();
        while !lines.iter().any(|line| line.parts().is_some()) {
            lines.push(receiver.recv_timeout(PATIENCE).expect("the child says something"));
        }
        std::thread::sleep(Duration::from_millis(20 + round * 37 % 230));
        let killed = Instant::now();
        child.kill().unwrap();
        child.wait().unwrap();
        let held_up = reader.join().unwrap().so_far();

        lines.extend(receiver.try_iter());
        let committed = lines.iter().filter_map(Said::parts).map(|(_, _, commits)| commits).max();
        let sure = lines.iter().filter_map(|line| {
            let (is_synced, number, commits) = line.parts()?;
            // Its commit came later; or it was due, as far as the machine let anybody work.
            let is_sure = is_synced
                || committed > Some(commits)
                || line.at + Duration::from_millis(100) + (held_up - line.held_up) < killed;
            is_sure.then_some(number)
        });
        let sure = sure.max();
        let database = Database::open_or_create(&path, &options()).unwrap();
        let files = database.files();
        let found = names(&*files, ROOT).iter().filter(|name| *name != "new").count() as u64;
        assert!(found > sure.unwrap_or(0) || sure.is_none(), "round {round}: {sure:?} was sure, {found} are there");
        // A prefix of what was done: later changes never survive earlier ones.
        for number in 0..found {
            let attr = files.lookup(ROOT, name(&number.to_string())).unwrap();
            assert!(files.read(attr.ino, 0, u32::MAX).unwrap() == content_of(number), "the content of {number}");
        }
        if names(&*files, ROOT).contains(&"new".to_owned()) {
            files.unlink(ROOT, name("new")).unwrap();
        }
        drop(files);
        database.close().unwrap();
        let db = rusqlite::Connection::open(&path).unwrap();
        let sound: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(sound, "ok");
    }
}

#[test]
fn dropping_without_close_still_commits_and_folds_the_log_in() {
    let mut scratch = Scratch::new();
    let database = {
        scratch.close();
        Database::open_or_create(&scratch.path(), &options()).unwrap()
    };
    let files = database.files();
    let ino = file(&*files, ROOT, "f");
    files.write(ino, 0, b"kept").unwrap();
    drop(database);
    assert_eq!(files.getattr(ino).unwrap_err().errno(), libc::EIO, "files of a closed database answer no more");
    assert_eq!(scratch.folder.path().read_dir().unwrap().count(), 1);
    let files = scratch.open();
    assert_eq!(files.read(ino, 0, 9).unwrap(), b"kept");
}

fn commits(scratch: &Scratch) -> u64 {
    scratch.gauges().meters().commits.counts().iter().sum()
}

#[test]
fn others_see_a_change_after_a_copy_within_fifty_milliseconds() {
    let scratch = Scratch::new();
    let files = scratch.files();
    let copy = tempfile::tempdir().unwrap();
    for round in 0..5 {
        let ino = file(&*files, ROOT, &round.to_string());
        let (before, watch, mut patience) = (commits(&scratch), HeldUp::watch(), Patience::new());
        files.write(ino, 0, b"soon").unwrap();
        while commits(&scratch) == before {
            assert!(!patience.is_over(), "nobody commits unless somebody asks");
            std::thread::sleep(Duration::from_millis(1));
        }
        watch.assert_within(Duration::from_millis(50 + 100), "until the commit");
        // Nothing else is asked of the database meanwhile, so the copies are of one state.
        for name in ["x.db", "x.db-wal"] {
            std::fs::copy(scratch.folder.path().join(name), copy.path().join(name)).unwrap();
        }
        let db = rusqlite::Connection::open(copy.path().join("x.db")).unwrap();
        let found: i64 =
            db.query_row("SELECT count(*) FROM fs_data WHERE ino = ?", [ino as i64], |row| row.get(0)).unwrap();
        assert_eq!(found, 1, "round {round}");
    }
}

#[test]
fn nothing_wakes_up_while_nothing_is_asked() {
    let scratch = Scratch::new();
    let files = scratch.files();
    let ino = file(&*files, ROOT, "f");
    for step in 0..64 {
        files.write(ino, step << 16, &pattern(1 << 16, step)).unwrap();
    }
    files.fsync(ino).unwrap();
    let size = || scratch.path().metadata().unwrap().len();
    let before = size();
    let mut patience = Patience::new();
    while size() <= before + (1 << 20) {
        assert!(!patience.is_over(), "the log is folded in when nothing has happened for a second");
        std::thread::sleep(Duration::from_millis(20));
    }
    // Other tests of this process have committers too; this one's must be among those that do not move. It may have
    // something to do still.
    let rests = || {
        let before = wake_ups();
        assert!(!before.is_empty(), "there is a thread that commits");
        std::thread::sleep(Duration::from_millis(1500));
        let after = wake_ups();
        before.iter().any(|(thread, count)| after.iter().any(|(t, c)| (t, c) == (thread, count)))
    };
    assert!((0..20).any(|_| rests()));
}

/// Of each thread that commits, how often it has been put to sleep.
fn wake_ups() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for task in Path::new("/proc/self/task").read_dir().unwrap() {
        let task = task.unwrap().path();
        let Ok(status) = std::fs::read_to_string(task.join("status")) else { continue };
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
        if field("Name:") == "commit" {
            found.push((field("Pid:"), field("voluntary_ctxt_switches:")));
        }
    }
    found
}

/// A tmpfs of its own, taken away again however the test ends.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let options = format!("size={size}");
        mount(Some("tmpfs"), folder.path(), Some("tmpfs"), MsFlags::empty(), Some(options.as_str())).ok()?;
        Some(Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = umount2(self.0.path(), MntFlags::MNT_DETACH);
    }
}

#[test]
fn a_full_disk_refuses_before_anything_is_lost_and_recovers() {
    let Some(disk) = SmallDisk::new("32m") else {
        assert!(!nix::unistd::geteuid().is_root(), "root may mount a tmpfs");
        return;
    };
    let path = disk.0.path().join("x.db");
    let database = Database::open_or_create(&path, &options()).unwrap();
    let files = database.files();
    let mut kept = Vec::new();
    let full = loop {
        let number = kept.len() as u64;
        let data = pattern(200_000, number);
        let written = files
            .create(ROOT, name(&number.to_string()), node(Kind::File, 0o644))
            .and_then(|attr| files.write(attr.ino, 0, &data).map(|_| attr.ino));
        match written {
            Ok(ino) => kept.push((ino, data)),
            Err(error) => break error,
        }
        if number.is_multiple_of(7) {
            files.fsync(ROOT).unwrap();
        }
    };
    assert_eq!(full.errno(), libc::ENOSPC, "{full:?}");
    assert!(kept.len() > 20, "{} files fitted", kept.len());
    files.fsync(ROOT).unwrap();
    for (ino, data) in &kept {
        assert!(files.read(*ino, 0, u32::MAX).unwrap() == *data);
    }
    for (number, (ino, _)) in kept.iter().enumerate().take(kept.len() / 2) {
        files.unlink(ROOT, name(&number.to_string())).unwrap();
        files.forget(*ino, 1);
    }
    files.fsync(ROOT).unwrap();
    drop(files);
    database.close().unwrap();
    let database = Database::open_or_create(&path, &options()).unwrap();
    let files = database.files();
    for (ino, data) in &kept[kept.len() / 2..] {
        assert!(files.read(*ino, 0, u32::MAX).unwrap() == *data);
    }
    let ino = file(&*files, ROOT, "again");
    files.write(ino, 0, b"there is room again").unwrap();
    drop(files);
    database.close().unwrap();
}

#[test]
fn a_database_deleted_under_its_user_takes_no_more() {
    let scratch = Scratch::new();
    let files = scratch.files();
    let ino = file(&*files, ROOT, "kept");
    files.fsync(ino).unwrap();
    for left in scratch.folder.path().read_dir().unwrap() {
        std::fs::remove_file(left.unwrap().path()).unwrap();
    }
    // What is in the batch when it happens cannot be saved; whoever asks is told.
    files.write(ino, 0, b"lost").unwrap();
    refused(files.fsync(ino), libc::EIO);
    refused(files.write(ino, 0, b"refused"), libc::EIO);
}

/// Half a gigabyte, of which the log holds most before it is folded in. Those who read meanwhile are held up for the
/// last stretch only: they see the database file grow again and again.
#[test]
fn folding_the_log_holds_nobody_up_for_long() {
    if backing() != Backing::Sqlite {
        // Only SQLite folds aside.
        return;
    }
    let scratch = Scratch::new();
    let files = scratch.files();
    let (small, large) = (file(&*files, ROOT, "small"), file(&*files, ROOT, "large"));
    files.write(small, 0, b"small").unwrap();
    let piece = pattern(1 << 20, 1);
    let done = std::sync::atomic::AtomicBool::new(false);
    let path = scratch.path();
    let size = || path.metadata().unwrap().len();
    let sizes = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut sizes = std::collections::BTreeSet::new();
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                assert_eq!(files.read(small, 0, 10).unwrap(), b"small");
                sizes.insert(size());
                std::thread::sleep(Duration::from_millis(1));
            }
            sizes
        });
        for at in 0..480 {
            files.write(large, at << 20, &piece).unwrap();
        }
        // A quiet second begins another fold.
        let mut patience = Patience::new();
        while size() < 480 << 20 {
            assert!(!patience.is_over(), "the rest is not folded in");
            std::thread::sleep(Duration::from_millis(5));
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        reader.join().unwrap()
    });
    // The file of a log that is begun anew is cut, once the last of it is folded in.
    let mut patience = Patience::new();
    loop {
        files.write(small, 0, b"small").unwrap();
        files.fsync(small).unwrap();
        let log = std::fs::metadata(scratch.folder.path().join("x.db-wal")).unwrap().len();
        if log < 100 << 20 {
            break;
        }
        assert!(!patience.is_over(), "the log is not begun anew: {log}");
        std::thread::sleep(Duration::from_millis(20));
    }
    // Before, after the first, and after the second there is one each in any case.
    println!("{} sizes", sizes.len());
    assert!(sizes.len() > 10, "{sizes:?}");
    for at in [0, 200, 479] {
        assert!(files.read(large, at << 20, 1 << 20).unwrap() == piece);
    }
}

#[test]
fn what_was_done_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let database = Database::open_or_create(&dir.path().join("a.db"), &Options::default()).unwrap();
    let (files, gauges) = (database.files(), database.gauges());
    let commits = || gauges.meters().commits.counts().iter().sum::<u64>();
    let syncs = || gauges.meters().syncs.counts().iter().sum::<u64>();
    let before = (commits(), syncs());
    files.fsync(ROOT).unwrap();
    let node = NewNode { kind: Kind::File, perm: 0o644, rdev: 0, caller: Caller { uid: 0, gid: 0 } };
    let made = files.create(ROOT, "f".as_ref(), node).unwrap();
    assert_eq!((gauges.load().inodes, gauges.load().waiting), (1, 1));
    files.fsync(ROOT).unwrap();
    assert_eq!((commits() - before.0, gauges.load().waiting), (1, 0));
    assert!(syncs() > before.1 && gauges.meters().syncs.seconds() > 0.0);
    assert!(gauges.file_bytes() > 0 && gauges.load().log_bytes > 0);
    files.forget(made.ino, 1);
    assert_eq!(gauges.load().inodes, 0);
    drop(files);
    database.close().unwrap();
    assert_eq!(gauges.load(), Load::default());
}
