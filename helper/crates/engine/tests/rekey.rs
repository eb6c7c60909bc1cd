//! A database gets another key, or none: the same content, whoever is killed meanwhile.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nixbox_engine::*;
use support::*;

fn encrypted(cipher: Cipher, digit: &str) -> Backing {
    Backing::Encrypted(Encryption::new(cipher, &digit.repeat(2 * cipher.key_bytes())).unwrap())
}

fn open(path: &Path, backing: &Backing) -> Result<Database> {
    Database::open_or_create(path, &Options { backing: backing.clone(), ..Options::default() })
}

/// Files of several sizes, values, a call, and numbers that were given and must not come back.
fn fill(database: &Database, files: u64) {
    let tree = database.files();
    for number in 0..files {
        let ino = file(&*tree, ROOT, &number.to_string());
        tree.write(ino, 0, &pattern(1 + (number as usize * 7919) % 90_000, number)).unwrap();
    }
    let gone = file(&*tree, ROOT, "gone");
    tree.unlink(ROOT, name("gone")).unwrap();
    tree.forget(gone, 1);
    database.kv().set("key", "\"ü\"").unwrap();
    database.tool_calls().record("tool", Some("{}"), Outcome::Error { error: "no" }, 7).unwrap();
}

fn check(database: &Database, files: u64) {
    let tree = database.files();
    assert_eq!(names(&*tree, ROOT).len() as u64, files);
    for number in 0..files {
        let ino = tree.lookup(ROOT, name(&number.to_string())).unwrap().ino;
        assert!(tree.read(ino, 0, u32::MAX).unwrap() == pattern(1 + (number as usize * 7919) % 90_000, number));
    }
    assert_eq!(database.kv().get("key").unwrap().unwrap().value, "\"ü\"");
    assert_eq!(database.tool_calls().get(1).unwrap().unwrap().error.as_deref(), Some("no"));
}

#[test]
fn there_and_back_through_every_kind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let database = open(&path, &Backing::Sqlite).unwrap();
    fill(&database, 20);
    let highest = database.files().lookup(ROOT, name("19")).unwrap().ino + 1;
    database.close().unwrap();
    // A table of somebody else's goes along, with values of every kind.
    let foreign = "CREATE TABLE \"odd name\" (a, b TEXT UNIQUE); INSERT INTO \"odd name\" VALUES \
                   (1, 'x'), (NULL, NULL), (2.5, ''), (x'00ff', 'y'); CREATE INDEX odd ON \"odd name\" (a)";
    rusqlite::Connection::open(&path).unwrap().execute_batch(foreign).unwrap();
    let kinds = [
        Backing::Sqlite,
        encrypted(Cipher::Aegis256, "1"),
        encrypted(Cipher::Aes128Gcm, "2"),
        encrypted(Cipher::Aes128Gcm, "3"),
        Backing::Sqlite,
    ];
    let mut rows = Vec::new();
    for pair in kinds.windows(2) {
        let done = rekey(&path, &pair[0], &pair[1]).unwrap();
        assert_eq!(done.bytes, path.metadata().unwrap().len());
        rows.push((done.tables, done.rows));
        assert_eq!(folder.path().read_dir().unwrap().count(), 1, "one file is left");
        assert!(open(&path, &pair[0]).is_err(), "the old key opens it no more");
        let database = open(&path, &pair[1]).unwrap();
        check(&database, 20);
        let next = file(&*database.files(), ROOT, "next");
        assert!(next > highest, "{next} was given before");
        database.files().unlink(ROOT, name("next")).unwrap();
        database.close().unwrap();
    }
    assert!(rows[0].0 >= 8 && rows[0].1 > 40, "{rows:?}");
    let db = rusqlite::Connection::open(&path).unwrap();
    let odd: String = db
        .query_row("SELECT group_concat(quote(a) || quote(b)) FROM \"odd name\" INDEXED BY odd", [], |row| row.get(0))
        .unwrap();
    assert_eq!(odd, "NULLNULL,1'x',2.5'',X'00FF''y'");
}

#[test]
fn what_is_refused_is_left_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let right = encrypted(Cipher::Aegis256, "a");
    open(&path, &right).unwrap().close().unwrap();
    let before = std::fs::read(&path).unwrap();
    let refused = |from: &Backing| rekey(&path, from, &encrypted(Cipher::Aegis256, "c")).unwrap_err();
    assert!(matches!(refused(&encrypted(Cipher::Aegis256, "b")), Error::WrongKey { .. }));
    assert!(matches!(refused(&Backing::Sqlite), Error::Encrypted { .. }));
    let database = open(&path, &right).unwrap();
    assert!(matches!(refused(&right), Error::Busy { .. }));
    database.close().unwrap();
    assert!(std::fs::read(&path).unwrap() == before);
    assert_eq!(folder.path().read_dir().unwrap().count(), 1);
}

const DATABASE: &str = "NIXBOX_TEST_DATABASE";

#[test]
#[ignore = "started by the test below, in a process that is killed"]
fn rekeyer() {
    let path = PathBuf::from(std::env::var_os(DATABASE).unwrap());
    let (old, new) = (encrypted(Cipher::Aegis256, "a"), encrypted(Cipher::Aes256Gcm, "b"));
    loop {
        // Whichever it has now: killed before, it may be either.
        let (from, to) = if cipher_of(&path).unwrap() == Some(Cipher::Aegis256) { (&old, &new) } else { (&new, &old) };
        rekey(&path, from, to).unwrap();
    }
}

#[test]
fn a_kill_leaves_one_whole_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let (old, new) = (encrypted(Cipher::Aegis256, "a"), encrypted(Cipher::Aes256Gcm, "b"));
    let database = open(&path, &old).unwrap();
    fill(&database, 60);
    database.close().unwrap();
    let mut leftovers = 0;
    for round in 0..16 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "rekeyer"])
            .env(DATABASE, &path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // In the middle for the first time, and then at any time.
        while !folder.path().join(".x.db.new").exists() {
            assert!(child.try_wait().unwrap().is_none(), "it goes on until it is killed");
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(round * 67));
        assert!(child.try_wait().unwrap().is_none(), "it goes on until it is killed");
        child.kill().unwrap();
        child.wait().unwrap();
        leftovers += usize::from(folder.path().join(".x.db.new").exists());
        let now = if cipher_of(&path).unwrap() == Some(Cipher::Aegis256) { &old } else { &new };
        let database = open(&path, now).unwrap();
        check(&database, 60);
        database.close().unwrap();
        assert_eq!(folder.path().read_dir().unwrap().count(), 1, "what was half done is taken away");
    }
    assert!(leftovers > 0, "no kill came in between");
}
