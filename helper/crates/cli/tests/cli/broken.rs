//! Databases that are old, broken or somebody else's: each is refused in words that say what to do, by everything that
//! opens one, and not a byte of it changes.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use crate::support::Test;

const WITHOUT_MOUNT: &str = "[instances.a]\nmount.backend = \"none\"\n";

pub fn sql(database: &Path, statements: &str) {
    let program =
        "import sqlite3, sys\ndb = sqlite3.connect(sys.argv[1], isolation_level=None)\ndb.executescript(sys.argv[2])";
    let done = Command::new("python3").args(["-c", program]).arg(database).arg(statements).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = folder.read_dir().unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file());
    entries.map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap())).collect()
}

/// Everything that opens a database says the same of this one, and leaves it as it is.
#[track_caller]
fn refused_by_all(test: &Test, exit: i32, code: &str) {
    let before = files(&test.path(".agentfs"));
    for verb in ["serve a", "init", "fs ls", "fs write x", "kv list", "timeline"] {
        test.run(verb).stderr(code).stderr("help:").code(exit);
        assert_eq!(files(&test.path(".agentfs")), before, "{verb} changed something");
    }
}

#[track_caller]
fn also_refused(test: &Test, verbs: &[&str], exit: i32, code: &str) {
    let before = files(&test.path(".agentfs"));
    for verb in verbs {
        test.run(verb).stderr(code).stderr("help:").code(exit);
        assert_eq!(files(&test.path(".agentfs")), before, "{verb} changed something");
    }
}

const UPKEEP: &[&str] = &["fsck a", "fsck a --repair", "migrate a --dry-run", "migrate a"];

fn made() -> Test {
    let test = Test::bare(&["a"]);
    test.run("init").success();
    test.run("fs write notes").stdin("mine").success();
    test
}

fn unmade() -> Test {
    let test = Test::bare(&["a"]);
    std::fs::create_dir(test.path(".agentfs")).unwrap();
    test
}

#[test]
fn a_damaged_file() {
    let test = made();
    let path = test.path(".agentfs/a.db");
    let whole = std::fs::read(&path).unwrap();
    let damaged = "nixbox::database::damaged";
    // The first page holds the schema.
    std::fs::write(&path, [&whole[..100], &vec![0xA5; 3996], &whole[4096..]].concat()).unwrap();
    refused_by_all(&test, 8, damaged);
    also_refused(&test, UPKEEP, 8, damaged);
    for (what, length) in [
        ("in the middle of a page", whole.len() - 1000),
        ("of pages", whole.len() / 2 / 4096 * 4096),
        ("of the header", 60),
    ] {
        std::fs::write(&path, &whole[..length]).unwrap();
        refused_by_all(&test, 8, damaged);
        test.run("doctor").stdout_has("cut off").code(8);
        also_refused(&test, &["migrate a"], 8, damaged);
        assert!(!test.path(".agentfs/a.d/backups").exists(), "{what}");
    }
}

#[test]
fn somebody_elses_database() {
    let test = unmade();
    sql(
        &test.path(".agentfs/a.db"),
        "PRAGMA journal_mode = WAL; CREATE TABLE books (title TEXT); INSERT INTO books VALUES ('one');",
    );
    refused_by_all(&test, 7, "nixbox::database::foreign");
    also_refused(&test, UPKEEP, 7, "nixbox::database::foreign");
    std::fs::write(test.path(".agentfs/a.db"), "it only has the name of one\n".repeat(200)).unwrap();
    refused_by_all(&test, 7, "nixbox::database::foreign");
    also_refused(&test, UPKEEP, 7, "nixbox::database::foreign");
    test.run("doctor").stdout_has("nixbox-helper fsck").code(7);
}

#[test]
fn an_empty_file_is_a_database_to_be_and_nothing_to_look_over() {
    let test = unmade();
    std::fs::write(test.path(".agentfs/a.db"), "").unwrap();
    also_refused(&test, UPKEEP, 7, "nixbox::database::foreign");
    test.run("fs ls").stdout("").success();
}

#[test]
fn a_file_without_the_log_that_belongs_to_it() {
    let test = unmade();
    let path = test.path(".agentfs/a.db");
    // All of a young database is in its log.
    let young = test.path("young.db");
    let program = "import os, sqlite3, sys\ndb = sqlite3.connect(sys.argv[1])\ndb.execute('PRAGMA journal_mode = WAL')\n\
                   db.execute('PRAGMA wal_autocheckpoint = 0')\n\
                   db.execute('CREATE TABLE fs_config (key TEXT PRIMARY KEY, value TEXT NOT NULL)')\ndb.commit()\nos._exit(0)";
    assert!(Command::new("python3").args(["-c", program]).arg(&young).status().unwrap().success());
    assert!(test.path("young.db-wal").metadata().unwrap().len() > 0);
    std::fs::copy(&young, &path).unwrap();
    refused_by_all(&test, 8, "nixbox::database::no-log");
    also_refused(&test, UPKEEP, 8, "nixbox::database::no-log");
    test.run("doctor").stdout_has("-wal").code(8);
}

#[test]
fn a_newer_schema() {
    let test = made();
    sql(
        &test.path(".agentfs/a.db"),
        "UPDATE fs_config SET value = '0.5' WHERE key = 'schema_version'; PRAGMA wal_checkpoint(TRUNCATE);",
    );
    refused_by_all(&test, 7, "nixbox::database::newer");
    also_refused(&test, UPKEEP, 7, "nixbox::database::newer");
}

const OLD: &str = "PRAGMA journal_mode = WAL; CREATE TABLE fs_config (key TEXT PRIMARY KEY, value TEXT NOT NULL);
    CREATE TABLE fs_inode (ino INTEGER PRIMARY KEY AUTOINCREMENT, mode INTEGER NOT NULL, uid INTEGER NOT NULL DEFAULT 0,
      gid INTEGER NOT NULL DEFAULT 0, size INTEGER NOT NULL DEFAULT 0, atime INTEGER NOT NULL, mtime INTEGER NOT NULL,
      ctime INTEGER NOT NULL);
    CREATE TABLE fs_dentry (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, parent_ino INTEGER NOT NULL,
      ino INTEGER NOT NULL, UNIQUE(parent_ino, name));
    CREATE TABLE fs_data (ino INTEGER NOT NULL, chunk_index INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (ino, chunk_index));
    INSERT INTO fs_inode (mode, size, atime, mtime, ctime) VALUES (16877, 0, 0, 0, 0), (33188, 5, 0, 0, 0);
    INSERT INTO fs_dentry (name, parent_ino, ino) VALUES ('notes', 1, 2); INSERT INTO fs_data VALUES (2, 0, 'hello');";

#[test]
fn an_old_schema_is_refused_until_it_is_migrated_which_keeps_a_copy() {
    let test = unmade();
    let path = test.path(".agentfs/a.db");
    sql(&path, OLD);
    let before = std::fs::read(&path).unwrap();
    refused_by_all(&test, 7, "nixbox::database::old");
    also_refused(&test, &["fsck a"], 7, "nixbox::database::old");
    test.run("fs ls").stderr("nixbox-helper migrate").code(7);

    let planned = test.run("migrate --dry-run --json").success().json();
    assert_eq!((&planned["from"], &planned["dry_run"], &planned["backup"]), (&"0.0".into(), &true.into(), &().into()));
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let done = test.run("migrate --json").success().json();
    assert_eq!(done["steps"], planned["steps"]);
    let backup = done["backup"].as_str().unwrap().replace("[DIR]", &test.root().display().to_string());
    assert_eq!(std::fs::read(backup).unwrap(), before);
    test.run("migrate").stdout("a: schema 0.4, up to date\n").success();
    test.run("fsck").stdout("a: nothing wrong\n").success();
    test.run("fs cat notes").stdout("hello").success();
    // By its file, from anywhere.
    test.run("migrate .agentfs/a.db").stdout(".agentfs/a.db: schema 0.4, up to date\n").success();
}

#[test]
fn what_is_wrong_is_said_and_repaired_with_a_copy_kept() {
    let test = made();
    let path = test.path(".agentfs/a.db");
    sql(&path, "INSERT INTO fs_dentry (name, parent_ino, ino) VALUES ('ghost', 1, 900); DELETE FROM fs_dentry WHERE name = 'notes';
                PRAGMA wal_checkpoint(TRUNCATE);");
    let before = files(&test.path(".agentfs"));
    let found = test.run("fsck --json").code(1).json();
    let codes: Vec<_> = found["findings"].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect();
    assert_eq!((codes, &found["clean"]), (vec!["dangling-entry", "nameless-inode"], &false.into()));
    let said = test.run("fsck").code(1).stdout;
    assert!(
        said.contains("`ghost` in folder 1")
            && said.contains("fix: ")
            && said.ends_with("`--repair` puts right what can be\n"),
        "{said}"
    );
    assert_eq!(files(&test.path(".agentfs")), before);

    let said = test.run("fsck --repair").success().stdout;
    assert!(said.ends_with("a: repaired\n"), "{said}");
    let backup = said.lines().find_map(|line| line.strip_prefix("as it was: ")).unwrap();
    let backup = backup.replace("[DIR]", &test.root().display().to_string());
    assert_eq!(std::fs::read(backup).unwrap(), before["a.db"]);
    test.run("fsck").stdout("a: nothing wrong\n").success();
    let kept = test.run("fs ls /lost+found").success().stdout;
    assert_eq!(test.run(&format!("fs cat /lost+found/{}", kept.trim())).success().stdout, "mine");
}

#[test]
fn an_owner_that_serves_it_is_named() {
    let test = made();
    test.run("up -d").success();
    let pid = test.pid("a").to_string();
    for verb in ["fsck", "fsck --repair", "migrate", "migrate --dry-run", "fsck .agentfs/a.db", "migrate .agentfs/a.db"]
    {
        test.run(verb).stderr("nixbox::owner::held").stderr(&pid).code(4);
    }
}

#[test]
fn what_is_not_there_is_not_made() {
    let test = Test::bare(&["a"]);
    for verb in UPKEEP.iter().chain(&["fsck none.db", "migrate none.db"]) {
        test.run(verb).stderr("nixbox::database::missing").code(3);
    }
    assert!(!test.path(".agentfs").exists() && !test.path("none.d").exists());
    test.run("fsck b").stderr("nixbox::instance::unknown").code(3);
}

/// A small file system of its own for the data folder; taken away with the value.
struct Disk(std::path::PathBuf);

impl Disk {
    fn at(path: &Path, options: &str) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            assert!(std::env::var_os("NIXBOX_REQUIRE_ALL").is_none_or(|all| all != "1"), "cannot mount here");
            println!("skipped: only root can mount a disk");
            return None;
        }
        std::fs::create_dir_all(path).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "nixbox-test"]).arg(path).status();
        mounted.unwrap().success().then(|| Self(path.to_owned()))
    }

    fn remount(&self, options: &str) {
        let done = Command::new("mount").args(["-o", &format!("remount,{options}")]).arg(&self.0).status();
        assert!(done.unwrap().success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_read_only_folder() {
    let test = Test::new().config(WITHOUT_MOUNT);
    let Some(disk) = Disk::at(&test.path(".agentfs"), "size=8m") else { return };
    test.run("init").success();
    let before = files(&test.path(".agentfs"));
    disk.remount("ro");
    for verb in ["fs ls", "fs write x", "kv list", "serve a"] {
        test.run(verb).stderr("help:").try_codes(&[1, 8]);
    }
    test.run("fsck").stdout("a: nothing wrong\n").success();
    test.run("migrate").stderr("help:").try_codes(&[1, 8]);
    assert_eq!(files(&test.path(".agentfs")), before);
}

#[test]
fn a_full_disk() {
    let test = Test::new().config(WITHOUT_MOUNT);
    let Some(disk) = Disk::at(&test.path(".agentfs"), "size=8m") else { return };
    sql(&test.path(".agentfs/a.db"), OLD);
    let mut size = 8 << 20;
    let filler = test.path(".agentfs/filler");
    while std::fs::write(&filler, vec![1; size]).is_err() {
        size -= 4096;
    }
    let before = files(&test.path(".agentfs"));
    test.run("migrate").stderr("nixbox::database::no-room").stderr("help:").code(8);
    assert_eq!(files(&test.path(".agentfs")), before);
    std::fs::remove_file(&filler).unwrap();
    test.run("migrate").success();
    while std::fs::write(&filler, vec![1; size]).is_err() {
        size -= 4096;
    }
    let database = || std::fs::read(test.path(".agentfs/a.db")).unwrap();
    let before = database();
    test.run("fs write x").stdin("x").stderr("help:").try_codes(&[8, 1]);
    assert_eq!(database(), before);
    drop(disk);
}
