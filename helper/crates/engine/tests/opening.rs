//! What may be opened, and that everything else is left byte for byte as it was.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nixbox_engine::*;
use rusqlite::Connection;
use support::*;

/// Every file of a folder with its content: a refused open must change, add and remove nothing.
fn content(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = folder.read_dir().unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.clone(), if path.is_dir() { Vec::new() } else { std::fs::read(path).unwrap() })).collect()
}

#[track_caller]
fn refuse(path: &Path) -> Error {
    let folder = path.parent().unwrap();
    let before = content(folder);
    let error = Database::open_or_create(path, &Options::default()).err().unwrap();
    assert!(content(folder) == before, "the refusal changed the folder: {error:?}");
    error
}

fn scratch_file(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn sqlite(sql: &str) -> (tempfile::TempDir, PathBuf) {
    let (folder, path) = scratch_file(b"");
    Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    (folder, path)
}

#[test]
fn random_bytes_folders_and_other_things_are_refused() {
    let (_folder, path) = scratch_file(&pattern(10_000, 1));
    assert!(matches!(refuse(&path), Error::NotAgentFs { .. }));
    let (_folder, path) = scratch_file(b"short");
    assert!(matches!(refuse(&path), Error::NotAgentFs { .. }));
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("x.db")).unwrap();
    assert!(matches!(refuse(&folder.path().join("x.db")), Error::NotAgentFs { .. }));
    let missing = folder.path().join("none/x.db");
    assert_eq!(Database::open_or_create(&missing, &Options::default()).err().unwrap().errno(), libc::ENOENT);
}

#[test]
fn somebody_elses_sqlite_file_is_refused() {
    for mode in ["DELETE", "WAL"] {
        let (_folder, path) = sqlite(&format!("PRAGMA journal_mode = {mode}; CREATE TABLE books (title TEXT);"));
        let error = refuse(&path);
        assert!(matches!(&error, Error::NotAgentFs { reason, .. } if reason.contains("books")), "{mode}: {error:?}");
    }
    let (_folder, path) = sqlite("CREATE TABLE kv_store (a, b);");
    assert!(matches!(refuse(&path), Error::NotAgentFs { .. }), "a common name proves nothing");
}

#[test]
fn somebody_elses_write_ahead_log_is_not_folded_in() {
    let (folder, path) = sqlite("PRAGMA journal_mode = WAL; CREATE TABLE books (title TEXT);");
    let writer = Connection::open(&path).unwrap();
    writer.execute_batch("PRAGMA wal_autocheckpoint = 0; INSERT INTO books VALUES ('one');").unwrap();
    // As after a crash: file and log, and nobody who has them open.
    let after = tempfile::tempdir().unwrap();
    for name in ["x.db", "x.db-wal"] {
        std::fs::copy(folder.path().join(name), after.path().join(name)).unwrap();
    }
    assert!(after.path().join("x.db-wal").metadata().unwrap().len() > 0);
    assert!(matches!(refuse(&after.path().join("x.db")), Error::NotAgentFs { .. }));
}

#[test]
fn old_schemas_are_named() {
    let columns = "ino INTEGER PRIMARY KEY AUTOINCREMENT, mode INTEGER, uid INTEGER, gid INTEGER, size INTEGER, \
                   atime INTEGER, mtime INTEGER, ctime INTEGER";
    for (more, version) in [("", "0.0"), (", nlink INTEGER", "0.2")] {
        let (_folder, path) = sqlite(&format!("PRAGMA journal_mode = WAL; CREATE TABLE fs_inode ({columns}{more});"));
        let error = refuse(&path);
        assert!(matches!(error, Error::OldSchema { found, .. } if found == version), "{error:?}");
    }
    let (_folder, path) = sqlite("CREATE TABLE fs_inode (ino INTEGER PRIMARY KEY, name TEXT);");
    assert!(matches!(refuse(&path), Error::NotAgentFs { .. }));
}

#[test]
fn encrypted_databases_and_overlays_are_named() {
    let mut encrypted = b"Turso\x00\x02".to_vec();
    encrypted.extend(pattern(8192, 3));
    let (_folder, path) = scratch_file(&encrypted);
    assert!(matches!(refuse(&path), Error::Encrypted { .. }));

    let mut scratch = Scratch::new();
    scratch.close();
    scratch
        .sql()
        .execute_batch(
            "CREATE TABLE fs_overlay_config (key TEXT PRIMARY KEY, value TEXT NOT NULL);
             CREATE TABLE fs_whiteout (path TEXT PRIMARY KEY, parent_path TEXT NOT NULL, created_at INTEGER NOT NULL);",
        )
        .unwrap();
    scratch.open();
    scratch.close();
    scratch.sql().execute("INSERT INTO fs_overlay_config VALUES ('base_path', '/srv/base')", []).unwrap();
    let error = refuse(&scratch.path());
    assert!(matches!(&error, Error::Overlay { base, .. } if base == Path::new("/srv/base")), "{error:?}");
}

#[test]
fn damaged_files_are_called_damaged() {
    let mut scratch = Scratch::new();
    let files = scratch.files();
    for number in 0..200 {
        file(&*files, ROOT, &format!("file with a rather long name {number}"));
    }
    drop(files);
    scratch.close();
    let whole = std::fs::read(scratch.path()).unwrap();
    assert!(whole.len() > 5 * 4096);
    for (what, bytes) in [
        ("cut off", whole[..100].to_vec()),
        ("schema overwritten", [&whole[..100], &vec![0xA5; 3996], &whole[4096..]].concat()),
        ("tables overwritten", [&whole[..4096], &vec![0xA5; whole.len() - 4096]].concat()),
    ] {
        let (_folder, path) = scratch_file(&bytes);
        let error = Database::open_or_create(&path, &Options::default()).err().unwrap();
        assert!(matches!(error, Error::Damaged { .. }), "{what}: {error:?}");
    }
    for sql in ["UPDATE fs_config SET value = '0'", "UPDATE fs_inode SET mode = 33188 WHERE ino = 1"] {
        let (_folder, path) = scratch_file(&whole);
        Connection::open(&path).unwrap().execute(sql, []).unwrap();
        assert!(matches!(refuse_content(&path), Error::Damaged { .. }));
    }
    let (folder, path) = scratch_file(b"");
    std::fs::write(folder.path().join("x.db-wal"), pattern(5000, 1)).unwrap();
    assert!(matches!(refuse(&path), Error::Damaged { .. }));
}

/// Our own kind of file, so its journal mode may be set before the damage is seen.
fn refuse_content(path: &Path) -> Error {
    Database::open_or_create(path, &Options::default()).err().unwrap()
}

#[test]
fn an_empty_file_is_a_new_database_and_upstreams_beginnings_are_completed() {
    let (_folder, path) = scratch_file(b"");
    let database = Database::open_or_create(&path, &Options::default()).unwrap();
    assert_eq!(names(&*database.files(), ROOT), Vec::<String>::new());
    database.close().unwrap();

    let (_folder, path) = sqlite("CREATE TABLE fs_config (key TEXT PRIMARY KEY, value TEXT NOT NULL);");
    Database::open_or_create(&path, &Options::default()).unwrap().close().unwrap();
    // Without a word on the chunk size, upstream reads chunks of 4096 bytes.
    let mut scratch = Scratch::with_chunk_size(512);
    scratch.close();
    scratch.sql().execute("DELETE FROM fs_config", []).unwrap();
    scratch.open();
    scratch.close();
    let config: Vec<String> = scratch
        .sql()
        .prepare("SELECT key || '=' || value FROM fs_config ORDER BY key")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(config, ["chunk_size=4096", "schema_version=0.4"]);
}

#[test]
fn the_schema_is_the_one_of_upstreams_sdks() {
    let mut scratch = Scratch::new();
    scratch.close();
    let db = scratch.sql();
    let columns: Vec<String> = db
        .prepare(
            "SELECT m.name || '.' || c.name || ' ' || c.type || ' ' || c.\"notnull\" || ' ' || coalesce(c.dflt_value, '-')
             || ' ' || c.pk FROM sqlite_master m, pragma_table_info(m.name) c
             WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%' ORDER BY m.name, c.cid",
        )
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let expected = include_str!("schema.txt");
    assert_eq!(columns, expected.lines().collect::<Vec<_>>());
    let pragma = |name: &str| db.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!((pragma("page_size"), pragma("user_version"), pragma("application_id")), (4096, 0, 0));
    let counted: i64 = db
        .query_row(
            "SELECT count(*) FROM sqlite_master WHERE name IN ('fs_inode', 'fs_dentry', 'tool_calls')
                    AND sql LIKE '%AUTOINCREMENT%'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(counted, 3);
}

#[test]
fn one_opener_at_a_time() {
    let mut scratch = Scratch::new();
    file(&*scratch.files(), ROOT, "f");
    // In this process, where another look must not drop the lock either.
    for _ in 0..2 {
        let error = Database::open_or_create(&scratch.path(), &Options::default()).err().unwrap();
        assert!(matches!(error, Error::Busy { pid, .. } if pid == Some(std::process::id() as i32)), "{error:?}");
    }
    // From another one, under another name.
    let link = scratch.folder.path().join("link.db");
    std::os::unix::fs::symlink(scratch.path(), &link).unwrap();
    let out = Command::new("python3")
        .args(["-c", "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('select * from fs_inode')"])
        .arg(&link)
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&out.stderr).contains("locked"), "{out:?}");
    std::fs::remove_file(link).unwrap();
    scratch.close();
}

#[test]
fn a_holder_is_named_and_nothing_is_written() {
    let mut scratch = Scratch::new();
    scratch.close();
    for begin in ["BEGIN IMMEDIATE", "BEGIN; SELECT * FROM fs_inode"] {
        let mut holder = Command::new("python3")
            .args(["-c", HOLD, begin])
            .arg(scratch.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = [0];
        std::io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut ready).unwrap();
        let error = Database::open_or_create(&scratch.path(), &Options::default()).err().unwrap();
        drop(holder.stdin.take());
        let pid = holder.id() as i32;
        holder.wait().unwrap();
        assert!(matches!(error, Error::Busy { pid: Some(found), .. } if found == pid), "{begin}: {error:?}");
    }
    scratch.open();
    scratch.close();
}

const HOLD: &str = "import sqlite3, sys
db = sqlite3.connect(sys.argv[2], isolation_level=None)
for sql in sys.argv[1].split(';'): db.execute(sql).fetchall()
sys.stdout.write('x'); sys.stdout.flush(); sys.stdin.read()";

#[test]
fn what_nothing_leads_to_is_cleared_away_and_links_are_counted_anew() {
    let mut scratch = Scratch::with_chunk_size(4096);
    let files = scratch.files();
    let kept = file(&*files, ROOT, "kept");
    files.write(kept, 0, b"kept").unwrap();
    let dir = folder(&*files, ROOT, "dir");
    folder(&*files, dir, "sub");
    drop(files);
    scratch.close();
    scratch
        .sql()
        .execute_batch(
            "INSERT INTO fs_inode (ino, mode, nlink, atime, mtime, ctime) VALUES (50, 33188, 0, 0, 0, 0);
             INSERT INTO fs_data VALUES (50, 0, x'00'); INSERT INTO fs_data VALUES (99, 0, x'00');
             UPDATE fs_inode SET nlink = 1 WHERE mode & 61440 = 16384;",
        )
        .unwrap();
    let files = scratch.open();
    assert_eq!(files.getattr(ROOT).unwrap().nlink, 3);
    assert_eq!(files.getattr(dir).unwrap().nlink, 3);
    refused(files.getattr(50), libc::ENOENT);
    assert_eq!(files.read(kept, 0, 9).unwrap(), b"kept");
    assert!(file(&*files, ROOT, "new") > 99, "a new file must not inherit stray content");
}

#[test]
fn a_database_that_may_not_be_written_says_so() {
    if nix::unistd::geteuid().is_root() {
        return; // Root may write everything.
    }
    let mut scratch = Scratch::new();
    scratch.close();
    std::fs::set_permissions(scratch.path(), PermissionsExt::from_mode(0o444)).unwrap();
    assert_eq!(Database::open_or_create(&scratch.path(), &Options::default()).err().unwrap().errno(), libc::EACCES);
}
