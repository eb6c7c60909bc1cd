//! Whatever is wrong with a database is found, named and put right, and nothing that could be read is lost by it.
#![allow(clippy::unwrap_used)]
mod support;

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nixbox_engine::*;
use proptest::prelude::*;
use rusqlite::Connection;
use support::*;

const CHUNK: usize = 64;

/// A small world: folders in folders, files of many sizes, a file with two names, links, values and calls.
fn world() -> Scratch {
    let mut scratch = Scratch::with_chunk_size(CHUNK as u32);
    let files = scratch.files();
    let mut folders = vec![ROOT];
    for number in 0..4 {
        let parent = folders[number / 2];
        folders.push(folder(&*files, parent, &format!("folder {number}")));
    }
    for (number, size) in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 5 * CHUNK, 5 * CHUNK + 7, 9].into_iter().enumerate() {
        let ino = file(&*files, folders[number % folders.len()], &format!("file {number}"));
        files.write(ino, 0, &pattern(size, number as u64 + 1)).unwrap();
        if number == 4 {
            files.link(ino, ROOT, name("second name")).unwrap();
        }
    }
    files.symlink(ROOT, name("link"), name("folder 0/file 1"), ME).unwrap();
    files.create(ROOT, name("pipe"), node(Kind::Fifo, 0o600)).unwrap();
    drop(files);
    scratch.close();
    let db = scratch.sql();
    db.execute_batch(
        "INSERT INTO kv_store (key, value) VALUES ('a', '1'), ('b', '{}'), ('c', '[]');
         INSERT INTO tool_calls (name, status, started_at, completed_at, duration_ms) VALUES ('t', 'success', 5, 6, 1000);
         INSERT INTO tool_calls (name, status, started_at) VALUES ('u', 'pending', 5);",
    )
    .unwrap();
    drop(db);
    scratch
}

fn codes(checked: &[Finding]) -> Vec<&'static str> {
    checked.iter().map(|finding| finding.code).collect()
}

/// Every file by its path, as the tree shows it.
fn contents(path: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let database = Database::open_or_create(path, &Options { read_only: true, ..Options::default() }).unwrap();
    let files: Arc<dyn FileSystem> = database.tree();
    let tree = ByPath::new(files.clone(), Arc::new(()), ME);
    let mut contents = BTreeMap::new();
    let mut walk = tree.list(name("/"), true).unwrap();
    for found in walk.next(usize::MAX, |_| true).unwrap() {
        let content = match found.attr.kind {
            Kind::File => files.read(found.attr.ino, 0, u32::MAX >> 8).unwrap(),
            Kind::Symlink => found.target.unwrap().as_bytes().to_owned(),
            _ => continue,
        };
        contents.insert(found.path, content);
    }
    contents
}

fn fingerprint(path: &Path) -> Vec<(String, Vec<u8>)> {
    let folder = path.parent().unwrap();
    let mut files: Vec<_> = folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.display().to_string(), std::fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

/// Finds what `sql` breaks under that code, writes nothing while looking, and repairs it.
#[track_caller]
fn broken(code: &str, sql: &str) -> Scratch {
    let scratch = world();
    let whole = contents(&scratch.path());
    scratch.sql().execute_batch(sql).unwrap();
    let before = fingerprint(&scratch.path());
    let found = check(&scratch.path(), &Backing::Sqlite).unwrap();
    assert_eq!(fingerprint(&scratch.path()), before, "{code}: looking wrote something");
    assert!(codes(&found.found).contains(&code), "{code}: {:?}", found.found);
    assert_eq!((&found.left, &found.backup), (&found.found, &None));
    let copy = scratch.folder.path().join("copy.db");
    let repaired = repair(&scratch.path(), &Backing::Sqlite, &copy).unwrap();
    assert_eq!(repaired.found, found.found);
    assert!(repaired.left.is_empty(), "{code}: {:?}", repaired.left);
    assert_eq!(std::fs::read(repaired.backup.unwrap()).unwrap(), before[0].1);
    assert!(check(&scratch.path(), &Backing::Sqlite).unwrap().found.is_empty());
    let now = contents(&scratch.path());
    for (path, content) in whole {
        let kept = now.get(&path) == Some(&content) || now.values().any(|other| *other == content);
        assert!(kept || code == "bad-size" || code == "link-without-target", "{code}: {} is gone", path.display());
    }
    std::fs::remove_file(copy).unwrap();
    scratch
}

#[test]
fn a_whole_database_has_nothing_wrong() {
    let mut scratch = world();
    assert_eq!(check(&scratch.path(), &Backing::Sqlite).unwrap().found, []);
    let repaired = repair(&scratch.path(), &Backing::Sqlite, &scratch.folder.path().join("copy.db")).unwrap();
    assert_eq!((repaired.found, repaired.backup), (vec![], None));
    assert!(!scratch.folder.path().join("copy.db").exists(), "there was nothing to keep");
    let base = tempfile::tempdir().unwrap();
    std::fs::create_dir(base.path().join("sub")).unwrap();
    for name in ["a", "b", "sub/c", "only-its-mode"] {
        std::fs::write(base.path().join(name), name).unwrap();
    }
    scratch = Scratch::over(base.path());
    let tree = ByPath::new(scratch.tree(), Arc::new(()), ME);
    tree.remove(name("/a"), false).unwrap();
    tree.remove(name("/sub"), true).unwrap();
    tree.make_folder(name("/sub"), false).unwrap();
    tree.write(name("/b"), true).unwrap().push(b"more").unwrap();
    drop(tree);
    let tree = scratch.tree();
    let untouched = tree.lookup(ROOT, name("only-its-mode")).unwrap();
    tree.setattr(untouched.ino, AttrChange { perm: Some(0o711), ..AttrChange::default() }).unwrap();
    drop(tree);
    scratch.close();
    assert_eq!(check(&scratch.path(), &Backing::Sqlite).unwrap().found, []);
    assert_eq!(
        scratch.sql().query_row("SELECT path FROM nixbox_attr", [], |row| row.get(0)),
        Ok("/only-its-mode".to_owned())
    );
}

#[test]
fn every_rule_finds_its_breach_and_repairs_it() {
    let inode_of = "(SELECT ino FROM fs_dentry WHERE name = 'file 5')";
    broken("missing-table", "DROP INDEX idx_tool_calls_name");
    broken("missing-table", "DROP TABLE kv_store");
    broken("chunk-size", "DELETE FROM fs_config WHERE key = 'chunk_size'");
    broken("chunk-size", "UPDATE fs_config SET value = 'many' WHERE key = 'chunk_size'");
    broken("schema-version", "UPDATE fs_config SET value = '0.2' WHERE key = 'schema_version'");
    broken(
        "lost-autoincrement",
        "CREATE TABLE new AS SELECT * FROM fs_inode; DROP TABLE fs_inode; CREATE TABLE fs_inode (ino INTEGER PRIMARY KEY,
         mode, nlink, uid, gid, size, atime, mtime, ctime, rdev, atime_nsec, mtime_nsec, ctime_nsec);
         INSERT INTO fs_inode SELECT ino, mode, nlink, uid, gid, size, atime, mtime, ctime, rdev, atime_nsec, mtime_nsec,
         ctime_nsec FROM new; DROP TABLE new",
    );
    broken(
        "duplicates-possible",
        "CREATE TABLE new AS SELECT * FROM fs_dentry; DROP TABLE fs_dentry; CREATE TABLE fs_dentry (id INTEGER PRIMARY KEY,
         name, parent_ino, ino); INSERT INTO fs_dentry SELECT * FROM new; DROP TABLE new;
         CREATE INDEX idx_fs_dentry_parent ON fs_dentry(parent_ino, name);",
    );
    broken(
        "duplicate-name",
        "CREATE TABLE new AS SELECT * FROM fs_dentry; DROP TABLE fs_dentry; CREATE TABLE fs_dentry (id INTEGER PRIMARY KEY,
         name, parent_ino, ino); INSERT INTO fs_dentry SELECT * FROM new; DROP TABLE new;
         INSERT INTO fs_dentry (name, parent_ino, ino) SELECT 'file 0', 1, ino FROM fs_dentry WHERE name = 'file 6'",
    );
    broken("no-root", "DELETE FROM fs_inode WHERE ino = 1");
    broken("root-kind", "UPDATE fs_inode SET mode = 33188 WHERE ino = 1");
    broken("bad-mode", "UPDATE fs_inode SET mode = 420 WHERE ino > 1");
    broken("bad-mode", "UPDATE fs_inode SET mode = 'rw' WHERE ino = 3");
    broken("bad-size", &format!("UPDATE fs_inode SET size = -1 WHERE ino = {inode_of}"));
    broken("bad-size", &format!("UPDATE fs_inode SET size = 'large' WHERE ino = {inode_of}"));
    broken("bad-number", "UPDATE fs_inode SET mtime_nsec = 2000000000, uid = -1, atime = 'noon' WHERE ino = 4");
    broken("stray-target", "INSERT INTO fs_symlink VALUES (900, 'there')");
    broken("stray-target", "INSERT OR REPLACE INTO fs_symlink VALUES (2, 'there')");
    broken("link-without-target", "DELETE FROM fs_symlink");
    broken("root-entry", "INSERT INTO fs_dentry (name, parent_ino, ino) VALUES ('up', 2, 1)");
    broken("dangling-entry", "INSERT INTO fs_dentry (name, parent_ino, ino) VALUES ('ghost', 1, 900)");
    broken("dangling-entry", &format!("DELETE FROM fs_inode WHERE ino = {inode_of}"));
    broken("entry-without-folder", "DELETE FROM fs_dentry WHERE ino = 2; DELETE FROM fs_inode WHERE ino = 2");
    broken("entry-without-folder", &format!("UPDATE fs_dentry SET parent_ino = {inode_of} WHERE name = 'file 6'"));
    broken("entry-without-folder", "UPDATE fs_dentry SET parent_ino = 900 WHERE name = 'file 6'");
    for bad in ["''", "'.'", "'..'", "'a/b'", "printf('%0300d', 1)", "x'ff00'"] {
        broken("bad-name", &format!("UPDATE fs_dentry SET name = {bad} WHERE name = 'file 6'"));
    }
    broken("nameless-inode", "DELETE FROM fs_dentry WHERE name = 'file 6'");
    broken("nameless-inode", "DELETE FROM fs_dentry WHERE name = 'folder 0'");
    broken(
        "folder-twice",
        "INSERT INTO fs_dentry (name, parent_ino, ino) SELECT 'twin', 1, ino FROM fs_dentry WHERE name = 'folder 2'",
    );
    broken(
        "unreachable",
        "UPDATE fs_dentry SET parent_ino = (SELECT ino FROM fs_dentry WHERE name = 'folder 2') WHERE name = 'folder 0'",
    );
    broken(
        "chunk-no-bytes",
        "UPDATE fs_data SET data = 7 WHERE ino = (SELECT ino FROM fs_dentry WHERE name = 'file 1') AND chunk_index = 99; INSERT INTO fs_data SELECT ino, 1, 7 FROM fs_dentry WHERE name = 'file 1'",
    );
    broken("stray-chunks", "INSERT INTO fs_data VALUES (900, 0, x'0102'), (900, 1, x'03')");
    broken("stray-chunks", "INSERT INTO fs_data VALUES (1, 0, x'0102')");
    broken("chunk-beyond-end", &format!("INSERT INTO fs_data SELECT {inode_of}, 77, x'0102'"));
    broken("chunk-beyond-end", &format!("INSERT INTO fs_data SELECT {inode_of}, -3, x'0102'"));
    broken(
        "chunk-too-long",
        &format!("UPDATE fs_data SET data = data || randomblob(300) WHERE ino = {inode_of} AND chunk_index = 2"),
    );
    broken(
        "hole",
        "INSERT INTO fs_inode (ino, mode, nlink, size, atime, mtime, ctime) VALUES (90, 33188, 1, 900, 0, 0, 0); INSERT INTO fs_dentry (name, parent_ino, ino) VALUES ('sparse', 1, 90)",
    );
    broken("link-size", "UPDATE fs_inode SET size = 3 WHERE ino IN (SELECT ino FROM fs_symlink)");
    broken("link-count", &format!("UPDATE fs_inode SET nlink = 5 WHERE ino = {inode_of}"));
    broken("link-count", "UPDATE fs_inode SET nlink = 0 WHERE ino = 2");
    broken("kv-value", "INSERT INTO kv_store (key, value) VALUES ('t', 'no json'), ('u', x'ff00')");
    broken("tool-status", "UPDATE tool_calls SET status = 'done'");
    broken("tool-times", "UPDATE tool_calls SET completed_at = 1, duration_ms = -4 WHERE id = 1");
    broken("tool-times", "UPDATE tool_calls SET started_at = 'noon'");
}

#[test]
fn a_short_chunk_reads_as_before() {
    let scratch = world();
    let sql = "UPDATE fs_data SET data = substr(data, 1, 9) WHERE chunk_index = 1 AND ino = (SELECT ino FROM fs_dentry WHERE name = 'file 5')";
    scratch.sql().execute_batch(sql).unwrap();
    let before = contents(&scratch.path());
    assert_eq!(codes(&check(&scratch.path(), &Backing::Sqlite).unwrap().found), ["chunk-too-short"]);
    repair(&scratch.path(), &Backing::Sqlite, &scratch.folder.path().join("copy.db")).unwrap();
    assert_eq!(contents(&scratch.path()), before);
}

#[test]
fn what_lies_beside_a_file_is_kept_in_lost_and_found() {
    let scratch = broken(
        "chunk-too-long",
        "UPDATE fs_data SET data = data || x'616263' WHERE ino = (SELECT ino FROM fs_dentry WHERE name = 'file 4') AND chunk_index = 1",
    );
    let now = contents(&scratch.path());
    let rest = now.iter().find(|(path, _)| path.starts_with("lost+found")).unwrap();
    assert_eq!(rest.1, b"abc");
}

#[test]
fn an_overlays_tables_are_looked_at_too() {
    let base = tempfile::tempdir().unwrap();
    std::fs::write(base.path().join("a"), "a").unwrap();
    let breaches = [
        ("whiteout-over-entry", "INSERT INTO fs_whiteout VALUES ('/mine', '/', 0)"),
        ("whiteout-parent", "INSERT INTO fs_whiteout VALUES ('/x/y', '/z', 0)"),
        ("whiteout-path", "INSERT INTO fs_whiteout VALUES ('x/../y', 'x', 0)"),
        ("origin-without-inode", "INSERT INTO fs_origin VALUES (900, 7)"),
        ("nixbox-origin-without-inode", "INSERT INTO nixbox_origin VALUES (900, 7, 0, 0, 0, '', 7)"),
        ("opaque-without-folder", "INSERT INTO nixbox_opaque VALUES (900)"),
        ("attr-path", "INSERT INTO nixbox_attr SELECT 'a', 'file', 420, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0"),
        ("attr-path", "INSERT INTO nixbox_attr SELECT '/a', 'thing', 420, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0"),
        ("attr-over-entry", "INSERT INTO nixbox_attr SELECT '/mine', 'file', 420, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0"),
        ("attr-of-nothing", "INSERT INTO nixbox_attr SELECT '/mine/x', 'file', 420, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0"),
        (
            "attr-of-nothing",
            "INSERT INTO nixbox_attr SELECT '/d/x', 'file', 420, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0;
             INSERT INTO fs_whiteout VALUES ('/d', '/', 0)",
        ),
        ("missing-table", "DROP TABLE fs_origin"),
    ];
    for (code, sql) in breaches {
        let mut scratch = Scratch::over(base.path());
        file(&*scratch.tree(), ROOT, "mine");
        scratch.close();
        scratch.sql().execute_batch(sql).unwrap();
        let found = check(&scratch.path(), &Backing::Sqlite).unwrap().found;
        assert!(codes(&found).contains(&code), "{found:?}");
        let repaired = repair(&scratch.path(), &Backing::Sqlite, &scratch.folder.path().join("copy.db")).unwrap();
        assert_eq!(repaired.left, [], "{code}");
    }
    let mut scratch = Scratch::over(base.path());
    scratch.close();
    scratch.sql().execute_batch("DELETE FROM fs_overlay_config").unwrap();
    let copy = scratch.folder.path().join("copy.db");
    let repaired = repair(&scratch.path(), &Backing::Sqlite, &copy).unwrap();
    assert_eq!((codes(&repaired.left), repaired.backup), (vec!["base-path"], None), "nobody can know that");
    assert!(!copy.exists());
}

#[test]
fn what_waits_in_a_log_is_looked_at_and_stays_there() {
    let scratch = world();
    let db = scratch.sql();
    db.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; INSERT INTO fs_data VALUES (900, 0, x'0102');",
    )
    .unwrap();
    let after = tempfile::tempdir().unwrap();
    for name in ["x.db", "x.db-wal"] {
        std::fs::copy(scratch.folder.path().join(name), after.path().join(name)).unwrap();
    }
    drop(db);
    let path = after.path().join("x.db");
    let before = fingerprint(&path);
    assert_eq!(codes(&check(&path, &Backing::Sqlite).unwrap().found), ["stray-chunks"]);
    assert_eq!(fingerprint(&path), before);
    let copy = after.path().join("copy.db");
    assert_eq!(repair(&path, &Backing::Sqlite, &copy).unwrap().left, []);
    assert_eq!(codes(&check(&copy, &Backing::Sqlite).unwrap().found), ["stray-chunks"], "the copy has its log, too");
    assert_eq!(contents(&path)[Path::new("lost+found/data-900")], [1, 2]);
}

#[test]
fn a_torn_file_is_named_and_not_touched() {
    let scratch = world();
    let mut bytes = std::fs::read(scratch.path()).unwrap();
    let page = 4096 * (bytes.len() / 4096 / 2);
    bytes[page..page + 4096].fill(0xA5);
    std::fs::write(scratch.path(), &bytes).unwrap();
    let copy = scratch.folder.path().join("copy.db");
    let checked = repair(&scratch.path(), &Backing::Sqlite, &copy).unwrap();
    assert_eq!(checked.found[0].code, "sqlite-damaged");
    assert!(checked.found[0].fix.is_none() && checked.backup.is_none() && !copy.exists());
    assert_eq!(std::fs::read(scratch.path()).unwrap(), bytes);
}

/// What chance may do to rows. Each leaves something that a rule forbids, if it hits anything.
const CHANCE: &[&str] = &[
    "DELETE FROM fs_inode WHERE ino = :ino",
    "DELETE FROM fs_dentry WHERE id = :id",
    "UPDATE fs_dentry SET ino = :ino WHERE id = :id",
    "UPDATE OR IGNORE fs_dentry SET parent_ino = :ino WHERE id = :id",
    "UPDATE fs_dentry SET parent_ino = 4000 + :id WHERE id = :id",
    "UPDATE OR IGNORE fs_dentry SET name = '' WHERE id = :id",
    "UPDATE fs_inode SET mode = :any WHERE ino = :ino",
    "UPDATE fs_inode SET nlink = :any WHERE ino = :ino",
    "UPDATE fs_inode SET mtime_nsec = -:any WHERE ino = :ino",
    "UPDATE fs_inode SET size = 'x' WHERE ino = :ino",
    "INSERT OR IGNORE INTO fs_data VALUES (:any, :id, x'01')",
    "UPDATE OR IGNORE fs_data SET ino = :any WHERE ino = :ino",
    "UPDATE OR IGNORE fs_data SET chunk_index = chunk_index + :id WHERE ino = :ino",
    "INSERT OR REPLACE INTO fs_symlink VALUES (:any, 'x')",
    "DELETE FROM fs_symlink WHERE ino = :ino",
    "INSERT OR IGNORE INTO fs_dentry (name, parent_ino, ino) VALUES ('other' || :any, :ino, :id)",
    "UPDATE kv_store SET value = '{' || :any",
    "UPDATE tool_calls SET status = :any",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever chance does: what is wrong is found, one repair makes it whole, and each file that could still be read
    /// by its path can be read afterwards, there or in lost+found.
    #[test]
    fn chance_is_put_right(blows in prop::collection::vec((0..CHANCE.len(), 1..18i64, 1..18i64, 1..90_000i64), 1..6)) {
        let scratch = world();
        let db = scratch.sql();
        for (blow, ino, id, any) in &blows {
            let sql = CHANCE[*blow].replace(":ino", &ino.to_string()).replace(":id", &id.to_string());
            db.execute_batch(&sql.replace(":any", &any.to_string())).unwrap();
        }
        let readable = readable(&db);
        drop(db);
        let before = fingerprint(&scratch.path());
        let found = check(&scratch.path(), &Backing::Sqlite).unwrap().found;
        prop_assert_eq!(&fingerprint(&scratch.path()), &before);
        let repaired = repair(&scratch.path(), &Backing::Sqlite, &scratch.folder.path().join("copy.db")).unwrap();
        prop_assert!(repaired.left.is_empty(), "{:?} after {:?}", repaired.left, found);
        prop_assert!(check(&scratch.path(), &Backing::Sqlite).unwrap().found.is_empty());
        let now = contents(&scratch.path());
        for (path, content) in readable {
            prop_assert!(now.values().any(|other| *other == content), "{} is gone: {:?}", path, found);
        }
    }
}

/// The regular files that the root leads to, read by plain SQL: chunk after chunk, as far as the size goes.
fn readable(db: &Connection) -> Vec<(String, Vec<u8>)> {
    let sql = "WITH RECURSIVE tree(ino, path, depth) AS (SELECT 1, '', 0 UNION
               SELECT d.ino, tree.path || '/' || d.name, depth + 1 FROM tree
               JOIN fs_inode AS f ON f.ino = tree.ino AND f.mode & 61440 = 16384 AND f.mode < 65536
               JOIN fs_dentry AS d ON d.parent_ino = tree.ino WHERE depth < 9)
               SELECT path, ino, (SELECT size FROM fs_inode WHERE ino = tree.ino) FROM tree WHERE ino IN
               (SELECT ino FROM fs_inode WHERE mode & 61440 = 32768 AND mode < 65536 AND typeof(size) = 'integer' AND size < 100000)";
    let mut statement = db.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)));
    let rows: Vec<(String, i64, i64)> = rows.unwrap().map(Result::unwrap).collect();
    rows.into_iter()
        .map(|(path, ino, size)| {
            let mut content = vec![0; size as usize];
            let mut chunks = db.prepare("SELECT chunk_index, data FROM fs_data WHERE ino = ?").unwrap();
            let chunks = chunks.query_map([ino], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?))).unwrap();
            for (index, data) in chunks.map(Result::unwrap).filter(|(index, _)| (0..5000).contains(index)) {
                for (offset, byte) in data.iter().take(CHUNK).enumerate() {
                    if let Some(place) = content.get_mut(index as usize * CHUNK + offset) {
                        *place = *byte;
                    }
                }
            }
            (path, content)
        })
        .collect()
}
