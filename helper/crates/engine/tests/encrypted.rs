//! Databases that are encrypted: every cipher, every way to come with a wrong key, and what a disk shows.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nixbox_engine::*;
use support::*;

const SECRET: &[u8] = b"nobody may read this on the disk";

fn key(cipher: Cipher, digit: char) -> Encryption {
    Encryption::new(cipher, &digit.to_string().repeat(2 * cipher.key_bytes())).unwrap()
}

fn with(encryption: &Encryption) -> Options {
    Options { backing: Backing::Encrypted(encryption.clone()), ..Options::default() }
}

fn error(path: &Path, options: &Options) -> Error {
    Database::open_or_create(path, options).err().expect("it is refused")
}

/// A file with `SECRET` in it.
fn written(encryption: &Encryption) -> Scratch {
    let scratch = Scratch::with_options(with(encryption));
    let files = scratch.files();
    let ino = file(&*files, ROOT, "letter to nobody");
    files.write(ino, 0, SECRET).unwrap();
    files.fsync(ino).unwrap();
    scratch
}

fn letter(files: &dyn FileSystem) -> Vec<u8> {
    let ino = files.lookup(ROOT, name("letter to nobody")).unwrap().ino;
    files.read(ino, 0, u32::MAX).unwrap()
}

/// As a crash would leave it: with its log. By a process of its own, as ours would give the locks up.
fn copy_of(scratch: &Scratch, folder: &Path) -> PathBuf {
    for name in ["x.db", "x.db-wal"] {
        let from = scratch.folder.path().join(name);
        assert!(Command::new("cp").arg(from).arg(folder).status().unwrap().success());
    }
    folder.join("x.db")
}

fn bytes(path: &Path) -> Vec<Vec<u8>> {
    let wal = PathBuf::from(format!("{}-wal", path.display()));
    [path.to_owned(), wal].iter().filter(|path| path.exists()).map(|path| fs::read(path).unwrap()).collect()
}

#[test]
fn every_cipher_keeps_what_is_written_and_shows_none_of_it() {
    for cipher in Cipher::ALL {
        let mut scratch = written(&key(*cipher, 'a'));
        let crashed = tempfile::tempdir().unwrap();
        let copy = copy_of(&scratch, crashed.path());
        let files = scratch.reopen();
        assert_eq!(letter(&*files), SECRET, "{cipher}");
        drop(files);
        scratch.close();
        assert_eq!(cipher_of(&scratch.path()).unwrap(), Some(*cipher));
        for file in [bytes(&scratch.path()), bytes(&copy)].concat() {
            for text in [SECRET, b"letter to nobody", b"fs_inode"] {
                assert!(!file.windows(text.len()).any(|window| window == text), "{cipher} shows text");
            }
        }
        let database = Database::open_or_create(&copy, &with(&key(*cipher, 'a'))).unwrap();
        assert_eq!(letter(&*database.tree()), SECRET, "{cipher}, with its log");
    }
}

#[test]
fn whoever_comes_without_the_key_is_told_and_leaves_every_byte() {
    let right = key(Cipher::Aegis256, 'a');
    let mut scratch = written(&right);
    let crashed = tempfile::tempdir().unwrap();
    let copy = copy_of(&scratch, crashed.path());
    scratch.close();
    for path in [scratch.path(), copy] {
        let before = bytes(&path);
        let entries = || path.parent().unwrap().read_dir().unwrap().count();
        let count = entries();
        assert!(matches!(error(&path, &Options::default()), Error::Encrypted { cipher: Cipher::Aegis256, .. }));
        assert!(matches!(error(&path, &with(&key(Cipher::Aegis256, 'b'))), Error::WrongKey { .. }));
        let other = error(&path, &with(&key(Cipher::Aes256Gcm, 'a')));
        assert!(matches!(other, Error::OtherCipher { declared: Cipher::Aes256Gcm, found: Cipher::Aegis256, .. }));
        assert!(bytes(&path) == before && entries() == count, "{}", path.display());
        assert_eq!(letter(&*Database::open_or_create(&path, &with(&right)).unwrap().tree()), SECRET);
    }
}

#[test]
fn a_key_on_a_plain_database_is_refused() {
    let mut scratch = Scratch::new();
    scratch.close();
    let before = bytes(&scratch.path());
    assert!(matches!(error(&scratch.path(), &with(&key(Cipher::Aegis128l, 'a'))), Error::NotEncrypted { .. }));
    assert!(bytes(&scratch.path()) == before);
}

#[test]
fn a_first_page_that_a_crash_tore_is_not_taken_for_a_wrong_key() {
    let right = key(Cipher::Aes256Gcm, 'a');
    let scratch = written(&right);
    // It says how large the file is, so what makes that grow puts it into the log: only then is it folded in.
    let files = scratch.files();
    let ino = file(&*files, ROOT, "large");
    files.write(ino, 0, &pattern(400_000, 1)).unwrap();
    files.fsync(ino).unwrap();
    let crashed = tempfile::tempdir().unwrap();
    let copy = copy_of(&scratch, crashed.path());
    fs::File::options().write(true).open(&copy).unwrap().write_all_at(&[0; 64], 2000).unwrap();
    assert!(matches!(error(&copy, &with(&key(Cipher::Aes256Gcm, 'b'))), Error::WrongKey { .. }));
    // The library reads that page before it looks into the log.
    let before = bytes(&copy);
    assert!(matches!(error(&copy, &with(&right)), Error::Damaged { .. }));
    assert!(bytes(&copy) == before);
}

#[test]
fn damage_in_the_middle_is_an_error_and_no_panic() {
    let right = key(Cipher::Aegis128x4, 'a');
    let mut scratch = written(&right);
    scratch.close();
    let pages = scratch.path().metadata().unwrap().len() / 4096;
    let mut noticed = 0;
    for page in 1..pages {
        let copy = scratch.folder.path().join("damaged.db");
        fs::copy(scratch.path(), &copy).unwrap();
        fs::File::options().write(true).open(&copy).unwrap().write_all_at(&[7; 32], page * 4096 + 300).unwrap();
        let read = Database::open_or_create(&copy, &with(&right)).and_then(|database| {
            let tree = database.tree();
            let attr = tree.lookup(ROOT, name("letter to nobody"))?;
            tree.read(attr.ino, 0, u32::MAX)
        });
        match read {
            Ok(read) => assert_eq!(read, SECRET, "page {page}"),
            Err(_) => noticed += 1,
        }
        for left in ["damaged.db", "damaged.db-wal"] {
            let _ = fs::remove_file(scratch.folder.path().join(left));
        }
    }
    assert!(noticed >= 3, "{noticed} of {pages} pages");
}

#[test]
fn an_encrypted_view_over_a_folder_is_like_any_other() {
    let base = tempfile::tempdir().unwrap();
    fs::write(base.path().join("below"), "base").unwrap();
    let options = Options {
        base: Some(BaseOptions { path: base.path().into(), ..BaseOptions::default() }),
        ..with(&key(Cipher::Aegis256x2, 'c'))
    };
    let mut scratch = Scratch::with_options(options);
    for round in 0..2 {
        let tree = scratch.tree();
        let attr = tree.lookup(ROOT, name("below")).unwrap();
        match round {
            0 => assert_eq!(tree.write(attr.ino, 4, b" and ours").unwrap(), 9),
            _ => assert_eq!(tree.read(attr.ino, 0, 99).unwrap(), b"base and ours"),
        }
        assert_eq!(scratch.overlay().changes().unwrap().len(), 1);
        drop(tree);
        scratch.reopen();
    }
    assert_eq!(fs::read(base.path().join("below")).unwrap(), b"base");
}

const OPENED: &str = "NIXBOX_TEST_OPENED";

#[test]
#[ignore = "started by the test below, in another process"]
fn opener() {
    let path = PathBuf::from(std::env::var_os(OPENED).unwrap());
    assert!(matches!(error(&path, &with(&key(Cipher::Aegis256, 'a'))), Error::Busy { .. }));
}

#[test]
fn nobody_else_gets_in_meanwhile() {
    let scratch = written(&key(Cipher::Aegis256, 'a'));
    assert!(matches!(error(&scratch.path(), &with(&key(Cipher::Aegis256, 'a'))), Error::Busy { .. }));
    let opened = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "opener"])
        .env(OPENED, scratch.path())
        .env("LIMBO_DISABLE_FILE_LOCK", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&opened.stdout);
    assert!(opened.status.success() && said.contains("1 passed"), "another process gets in: {said}");
}

#[test]
fn it_is_looked_over_and_repaired_without_being_decrypted() {
    let encryption = key(Cipher::Aegis256, '1');
    let backing = Backing::Encrypted(encryption.clone());
    let mut scratch = written(&encryption);
    scratch.close();
    let (path, copy) = (scratch.path(), scratch.folder.path().join("copy.db"));
    assert_eq!(check(&path, &backing).unwrap().found, []);
    assert_eq!(migrate(&path, &backing, None).unwrap().steps, Vec::<String>::new());
    rekey(&path, &backing, &Backing::Sqlite).unwrap();
    let stray = "INSERT INTO fs_data (ino, chunk_index, data) VALUES (999, 0, x'00'); UPDATE fs_inode SET nlink = 7";
    rusqlite::Connection::open(&path).unwrap().execute_batch(stray).unwrap();
    rekey(&path, &Backing::Sqlite, &backing).unwrap();

    let before = bytes(&path);
    let found = check(&path, &backing).unwrap().found;
    assert!(found.iter().any(|finding| finding.code == "stray-chunks"), "{found:?}");
    assert!(matches!(check(&path, &Backing::Sqlite), Err(Error::Encrypted { .. })));
    assert!(matches!(check(&path, &Backing::Encrypted(key(Cipher::Aegis256, '2'))), Err(Error::WrongKey { .. })));
    assert_eq!(bytes(&path), before);

    let repaired = repair(&path, &backing, &copy).unwrap();
    assert_eq!((repaired.found, repaired.left), (found, vec![]));
    assert_eq!(bytes(&copy), before);
    assert_eq!(check(&path, &backing).unwrap().found, []);
    scratch.open();
    assert_eq!(letter(&*scratch.files()), SECRET);
    assert!(bytes(&path).iter().all(|bytes| !bytes.windows(SECRET.len()).any(|window| window == SECRET)));
}

#[test]
fn a_moment_of_it_is_read_from_an_encrypted_copy() {
    let encryption = key(Cipher::Aes128Gcm, '3');
    let scratch = written(&encryption);
    let copy = scratch.folder.path().join("copy.db");
    let taken = scratch.snapshots().take(&copy).unwrap();
    assert!(!copy.exists());
    let files = scratch.files();
    let ino = files.lookup(ROOT, name("letter to nobody")).unwrap().ino;
    files.write(ino, 0, b"later").unwrap();
    assert_eq!(letter(&*taken.tree()), SECRET);
    assert_eq!(taken.tree().unlink(ROOT, name("letter to nobody")).unwrap_err().errno(), libc::EROFS);
    drop(taken);
    let left: Vec<_> = scratch.folder.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with("copy")), "{left:?}");
}

#[test]
fn what_an_instance_begins_with_is_encrypted_as_the_instance_is() {
    let encryption = key(Cipher::Aegis128l, '4');
    let backing = Backing::Encrypted(encryption.clone());
    let mut plain = Scratch::new();
    let ino = file(&*plain.files(), ROOT, "letter to nobody");
    plain.files().write(ino, 0, SECRET).unwrap();
    plain.close();
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (folder.path().join("one.db"), folder.path().join("other.db"));
    adopt(&plain.path(), &one, &backing).unwrap();
    adopt(&one, &other, &backing).unwrap();
    for path in [&one, &other] {
        let database = Database::open_or_create(path, &with(&encryption)).unwrap();
        assert_eq!(letter(&*database.files()), SECRET);
        database.close().unwrap();
    }
    let third = folder.path().join("third.db");
    assert!(matches!(adopt(&one, &third, &Backing::Sqlite), Err(Error::Encrypted { .. })));
    assert!(matches!(
        adopt(&one, &third, &Backing::Encrypted(key(Cipher::Aegis128l, '5'))),
        Err(Error::WrongKey { .. })
    ));
    assert_eq!(folder.path().read_dir().unwrap().count(), 2);
}
