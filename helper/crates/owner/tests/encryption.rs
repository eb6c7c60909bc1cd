//! An encrypted instance: mounted like any other, and every way to have no key, or the wrong one.
#![allow(clippy::unwrap_used)]
mod common;

use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::process::{Command, Output};

use common::{OWNER, Owner, Test, can_mount};

const KEY: &str = "6e69786278206361726e61727920206b657920206f6620746865207465737473";
const NO_MOUNT: &str = "mount.backend = \"none\"\n";

fn key_file(test: &Test, name: &str, text: &str, mode: u32) {
    fs::write(test.path(name), text).unwrap();
    fs::set_permissions(test.path(name), fs::Permissions::from_mode(mode)).unwrap();
}

/// With an encrypted database that was made and closed.
fn made(instance: &str) -> Test {
    let test = Test::with(instance);
    key_file(&test, "key", KEY, 0o600);
    let ended = Owner::spawn(&mut test.command("init")).end();
    assert!(ended.status.success(), "{}", ended.stderr);
    test
}

fn database(test: &Test) -> Vec<u8> {
    fs::read(test.path("data/sandbox.db")).unwrap()
}

fn refused(test: &Test, instance: &str, exit: i32, code: &str) -> String {
    test.config(&format!("{NO_MOUNT}{instance}"));
    let ended = test.start().end();
    ended.assert_failed(exit, code);
    assert!(!ended.stderr.contains(KEY) && !ended.stderr.contains("panicked"), "{}", ended.stderr);
    assert!(!test.socket().exists() && !test.path("data/sandbox.d/owner.lock").exists());
    ended.stderr
}

#[test]
fn it_is_mounted_and_shows_nothing_on_the_disk() {
    if !can_mount() {
        return;
    }
    let test = made("mount.path = \"mnt\"\nencryption.key_file = \"key\"\n");
    for round in 0..2 {
        let owner = test.ready();
        if round == 0 {
            fs::create_dir(test.mnt().join("folder")).unwrap();
            fs::write(test.mnt().join("folder/letter"), "nobody may read this on the disk").unwrap();
            fs::File::open(test.mnt().join("folder/letter")).unwrap().sync_all().unwrap();
        }
        assert_eq!(fs::read_to_string(test.mnt().join("folder/letter")).unwrap(), "nobody may read this on the disk");
        if round == 0 {
            owner.murder();
        } else {
            owner.stop();
        }
    }
    test.assert_nothing_left();
    let bytes = database(&test);
    assert!(bytes.starts_with(b"Turso\0\x03"));
    assert!(!bytes.windows(6).any(|window| window == b"nobody" || window == b"letter"));
}

#[test]
fn without_the_right_key_the_file_stays_as_it_is() {
    let test = made(&format!("{NO_MOUNT}encryption.key_file = \"key\"\n"));
    let before = database(&test);
    key_file(&test, "other", &"0".repeat(64), 0o600);
    key_file(&test, "short", &"0".repeat(62), 0o600);
    key_file(&test, "words", "my cat's name", 0o600);
    key_file(&test, "empty", "", 0o600);
    key_file(&test, "open", KEY, 0o644);
    fs::create_dir(test.path("folder")).unwrap();
    for (instance, exit, code) in [
        ("", 7, "nixbox::database::encrypted"),
        ("encryption.key_file = \"other\"", 7, "nixbox::key::wrong"),
        ("encryption = { cipher = \"aes256gcm\", key_file = \"key\" }", 7, "nixbox::database::cipher"),
        ("encryption = { cipher = \"aes128gcm\", key_file = \"key\" }", 7, "nixbox::key::invalid"),
        ("encryption.key_file = \"short\"", 7, "nixbox::key::invalid"),
        ("encryption.key_file = \"words\"", 7, "nixbox::key::invalid"),
        ("encryption.key_file = \"empty\"", 7, "nixbox::key::invalid"),
        ("encryption.key_file = \"open\"", 7, "nixbox::key::exposed"),
        ("encryption.key_file = \"missing\"", 7, "nixbox::key::missing"),
        ("encryption.key_file = \"folder\"", 7, "nixbox::key::missing"),
        ("encryption.key_env = \"NOT_SET\"", 7, "nixbox::key::missing"),
        ("encryption.key_command = [\"false\"]", 7, "nixbox::key::command"),
        ("encryption.key_command = [\"/nonexistent\"]", 7, "nixbox::key::command"),
        ("encryption = { key_command = [\"cat\", \"other\"] }", 7, "nixbox::key::wrong"),
    ] {
        refused(&test, instance, exit, code);
        assert!(database(&test) == before, "{instance}");
        assert_eq!(fs::read_dir(test.path("data")).unwrap().count(), 2, "{instance}: the database and its folder");
    }
}

#[test]
fn a_plain_database_stays_plain_until_it_is_told_otherwise() {
    let test = Test::with(NO_MOUNT);
    assert!(Owner::spawn(&mut test.command("init")).end().status.success());
    key_file(&test, "key", KEY, 0o600);
    let before = database(&test);
    let said = refused(&test, "encryption.key_file = \"key\"", 7, "nixbox::database::plain");
    assert!(said.contains("nixbox-helper rekey"), "{said}");
    assert!(database(&test) == before);
}

#[test]
fn no_file_is_made_for_a_key_that_is_none() {
    let test = Test::with(&format!("{NO_MOUNT}encryption.key_file = \"key\"\n"));
    key_file(&test, "key", "abc", 0o600);
    Owner::spawn(&mut test.command("init")).end().assert_failed(7, "nixbox::key::invalid");
    assert!(!test.path("data/sandbox.db").exists());
}

/// The key may come from a variable, and nothing that can be looked at afterwards shows it.
#[test]
fn a_key_in_the_environment_is_gone_once_it_is_read() {
    let test = Test::with(&format!("{NO_MOUNT}encryption.key_env = \"SANDBOX_KEY\"\n"));
    let mut command = test.command("serve");
    command.args(["--log-level", "trace"]).env("SANDBOX_KEY", KEY).env("AFTER", "it");
    let owner = Owner::spawn(&mut command);
    test.await_ready();
    let proc = |file: &str| fs::read(format!("/proc/{}/{file}", owner.pid())).unwrap();
    let environment = String::from_utf8(proc("environ")).unwrap();
    assert!(environment.contains("SANDBOX_KEY=") && environment.contains("AFTER=it"), "{environment}");
    assert!(!environment.contains(&KEY[..16]), "{environment}");
    assert!(!String::from_utf8_lossy(&proc("cmdline")).contains(&KEY[..16]));
    for file in ["run/sandbox.json", "data/sandbox.d/owner.lock"] {
        assert!(!fs::read_to_string(test.path(file)).unwrap().contains(&KEY[..16]), "{file}");
    }
    owner.signal(nix::sys::signal::Signal::SIGTERM);
    let ended = owner.end();
    ended.assert_clean();
    assert!(!ended.stderr.contains(&KEY[..16]), "{}", ended.stderr);
}

fn rekey(test: &Test, words: &[&str]) -> Output {
    let mut command = Command::new(OWNER);
    command.args(["rekey", "sandbox"]).args(words);
    test.at_home(&mut command);
    command.output().unwrap()
}

#[test]
fn a_new_key_takes_the_place_of_the_old_one() {
    let test = made(&format!("{NO_MOUNT}encryption.key_file = \"key\"\n"));
    key_file(&test, "next", &"ab".repeat(32), 0o600);
    let owner = test.ready();
    let held = rekey(&test, &["--new-key-file", "next"]);
    assert_eq!(held.status.code(), Some(4), "{held:?}");
    owner.stop();
    for (words, exit, code) in [
        (&[][..], 2, "nixbox::usage"),
        (&["--new-key-file", "key"], 2, "nixbox::usage"),
        (&["--new-key-file", "missing"], 7, "nixbox::key::missing"),
        (&["--cipher", "aes128gcm"], 7, "nixbox::key::invalid"),
    ] {
        let before = database(&test);
        let done = rekey(&test, words);
        let said = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(exit), "{words:?}: {said}");
        assert!(said.contains(code) && database(&test) == before, "{said}");
    }
    let done = rekey(&test, &["--new-key-command", "cat next", "--cipher", "aegis256x4"]);
    assert!(done.status.success(), "{done:?}");
    let answer: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!((answer["from"].as_str(), answer["to"].as_str()), (Some("aegis256"), Some("aegis256x4")));
    assert!(database(&test).starts_with(b"Turso\0\x05"));
    refused(&test, "encryption = { cipher = \"aegis256x4\", key_file = \"key\" }", 7, "nixbox::key::wrong");
    test.config(&format!("{NO_MOUNT}encryption = {{ cipher = \"aegis256x4\", key_file = \"next\" }}"));
    test.ready().stop();
    assert!(rekey(&test, &["--decrypt"]).status.success());
    assert!(database(&test).starts_with(b"SQLite format 3\0"));
    // As it is declared.
    assert!(rekey(&test, &[]).status.success());
    test.ready().stop();
    test.assert_nothing_left();
}

#[test]
fn a_damaged_page_is_told_of_and_nothing_panics() {
    let test = made(&format!("{NO_MOUNT}encryption.key_file = \"key\"\n"));
    let file = fs::File::options().write(true).open(test.path("data/sandbox.db")).unwrap();
    for page in 1..file.metadata().unwrap().len() / 4096 {
        file.write_all_at(&[7; 32], page * 4096 + 300).unwrap();
    }
    refused(&test, "encryption.key_file = \"key\"", 8, "nixbox::database::damaged");
}
