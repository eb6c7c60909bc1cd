//! What an owner refuses to do, each with its own code, exit code and advice, and without leaving anything.

#![allow(clippy::unwrap_used)]
mod common;

use std::fs;
use std::net::TcpListener;
use std::process::Command;

use common::{OWNER, Owner, Test, can_mount};

fn refused(test: &Test, exit: i32, code: &str) {
    test.start().end().assert_failed(exit, code);
    assert!(!test.socket().exists() && !test.path("run/sandbox.json").exists());
    assert!(!test.path("data/sandbox.d/owner.lock").exists());
}

#[test]
fn mountpoints_that_are_not_fit() {
    if !can_mount() {
        return;
    }
    let test = Test::with("mount.path = \"full\"");
    fs::create_dir(test.path("full")).unwrap();
    fs::write(test.path("full/mine"), "").unwrap();
    refused(&test, 5, "nixbox::mount::not-empty");
    assert!(test.path("full/mine").exists());

    test.config("mount.path = \"none/deep\"\nmount.create = false");
    refused(&test, 3, "nixbox::mount::missing");
    assert!(!test.path("none").exists());

    fs::create_dir(test.path("busy")).unwrap();
    let busy = test.path("busy");
    assert!(Command::new("mount").args(["-t", "tmpfs", "somebody"]).arg(&busy).status().unwrap().success());
    test.config("mount.path = \"busy\"");
    let ended = test.start().end();
    ended.assert_failed(5, "nixbox::mount::busy");
    assert!(ended.stderr.contains("somebody"), "{}", ended.stderr);
    assert!(Command::new("umount").arg(&busy).status().unwrap().success());
}

#[test]
fn a_mount_of_another_instance_is_not_taken() {
    if !can_mount() {
        return;
    }
    let other = Test::new();
    let owner = other.ready();
    let test = Test::with(&format!("mount.path = \"{}\"", other.mnt().display()));
    refused(&test, 5, "nixbox::mount::busy");
    assert!(other.is_mounted() && other.status().is_ready());
    owner.stop();
}

#[test]
fn databases_that_are_not_fit() {
    let test = Test::with("mount.backend = \"none\"");
    fs::create_dir(test.path("data")).unwrap();
    fs::write(test.path("data/sandbox.db"), "this is not a database, it only has the name of one\n".repeat(100))
        .unwrap();
    let before = fs::read(test.path("data/sandbox.db")).unwrap();
    refused(&test, 7, "nixbox::database::foreign");
    assert_eq!(fs::read(test.path("data/sandbox.db")).unwrap(), before);
}

#[test]
fn instances_that_are_not_there() {
    let test = Test::with("enable = false");
    refused(&test, 3, "nixbox::instance::disabled");
    let mut command = Command::new(OWNER);
    command.args(["serve", "nobody"]);
    test.at_home(&mut command);
    Owner::spawn(&mut command).end().assert_failed(3, "nixbox::instance::unknown");
}

#[test]
fn a_port_that_is_taken_takes_the_mount_down_again() {
    if !can_mount() {
        return;
    }
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let test = Test::with(&format!("mount.path = \"mnt\"\nhttp.port = {port}"));
    refused(&test, 8, "nixbox::http::bind");
    test.assert_nothing_left();
}

#[test]
fn a_runtime_folder_of_somebody_else() {
    if !can_mount() {
        return;
    }
    let test = Test::with("mount.backend = \"none\"");
    fs::create_dir(test.path("run")).unwrap();
    std::os::unix::fs::chown(test.path("run"), Some(1234), None).unwrap();
    refused(&test, 1, "nixbox::owner::runtime-dir");
}

#[test]
fn two_projects_with_one_runtime_folder_do_not_share_a_socket() {
    let first = Test::with("mount.backend = \"none\"");
    let owner = first.ready();
    let second = Test::with("mount.backend = \"none\"");
    let text = fs::read_to_string(second.path("nixbox.toml")).unwrap();
    fs::write(second.path("nixbox.toml"), text.replace("\"run\"", &format!("\"{}\"", first.path("run").display())))
        .unwrap();
    second.start().end().assert_failed(4, "nixbox::owner::held");
    assert!(first.status().is_ready());
    owner.stop();
}
