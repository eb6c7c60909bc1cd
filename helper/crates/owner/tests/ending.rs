//! Every way in which an owner ends, and that nothing is left of it.

#![allow(clippy::unwrap_used)]
mod common;

use std::fs::{self, File};
use std::io::Write;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::{Patience, SOON, Test, can_mount};
use nix::sys::signal::Signal;
use nixbox_control::{Client, Phase};

const SIGNALS: [Signal; 3] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];

#[test]
fn each_signal_ends_a_ready_owner() {
    if !can_mount() {
        return;
    }
    let test = Test::with("mount.path = \"mnt\"\nhttp.port = 0");
    for signal in SIGNALS {
        let owner = test.ready();
        owner.signal(signal);
        owner.end().assert_clean();
        test.assert_nothing_left();
    }
}

/// At every moment of the start, from before the program runs to after it is ready.
#[test]
fn each_signal_ends_a_starting_owner() {
    if !can_mount() {
        return;
    }
    let test = Test::new();
    for (round, signal) in SIGNALS.iter().cycle().take(24).enumerate() {
        let owner = test.start();
        std::thread::sleep(Duration::from_micros(700 * round as u64));
        owner.signal(*signal);
        let ended = owner.end();
        // Before it could say what it does on a signal, the signal simply ends it.
        use std::os::unix::process::ExitStatusExt;
        if ended.status.signal().is_none() {
            ended.assert_clean();
        }
        test.assert_nothing_left();
    }
}

#[test]
fn each_signal_ends_a_busy_owner() {
    if !can_mount() {
        return;
    }
    let test = Test::new();
    for signal in SIGNALS {
        let owner = test.ready();
        let (stop, written) = (AtomicBool::new(false), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for writer in 0..2 {
                let (dir, stop, written) = (test.mnt(), &stop, &written);
                scope.spawn(move || {
                    let mut number = 0;
                    while !stop.load(Ordering::Relaxed) {
                        // Fails once the mount is gone; a folder of that name may be gone too.
                        let path = dir.join(format!("{writer}-{}", number % 50));
                        let _ = File::options()
                            .write(true)
                            .create(true)
                            .truncate(false)
                            .open(path)
                            .and_then(|mut file| file.write_all(&[7; 5000]));
                        number += 1;
                        written.fetch_add(1, Ordering::Relaxed);
                        // Once unmounted, nothing may be written into the folder below.
                        if !dir.exists() {
                            break;
                        }
                    }
                });
            }
            let mut patience = Patience::new();
            while written.load(Ordering::Relaxed) < 100 {
                assert!(!patience.is_over(), "nobody writes");
                std::thread::sleep(Duration::from_millis(2));
            }
            owner.signal(signal);
            let ended = owner.end();
            stop.store(true, Ordering::Relaxed);
            ended.assert_clean();
        });
        let _ = fs::remove_dir_all(test.mnt());
        test.assert_nothing_left();
    }
}

#[test]
fn an_open_file_does_not_keep_an_owner() {
    if !can_mount() {
        return;
    }
    let test = Test::new();
    let owner = test.ready();
    let mut open = File::create(test.mnt().join("f")).unwrap();
    open.write_all(b"before").unwrap();
    owner.signal(Signal::SIGTERM);
    let ended = owner.end();
    ended.assert_clean();
    assert!(ended.stderr.contains("unmounted while in use"), "{}", ended.stderr);
    assert!(ended.stderr.contains(&format!("(pid {})", std::process::id())), "{}", ended.stderr);
    assert!(open.write_all(b"after").is_err());
    test.assert_nothing_left();
    let again = test.ready();
    assert_eq!(fs::read(test.mnt().join("f")).unwrap(), b"before");
    again.stop();
}

#[test]
fn a_second_signal_hurries() {
    if !can_mount() {
        return;
    }
    let test = Test::new();
    let owner = test.ready();
    let _open = File::create(test.mnt().join("f")).unwrap();
    let mut told = Client::connect(&test.socket()).unwrap().subscribe(Some(SOON)).unwrap();
    owner.signal(Signal::SIGTERM);
    // Two that come at once are one.
    while told.next(Some(Instant::now() + SOON)).unwrap().phase != Phase::Stopping {}
    owner.signal(Signal::SIGTERM);
    let ended = owner.end();
    ended.assert_clean();
    ended.assert_within(Duration::from_millis(850));
    test.assert_nothing_left();
}

#[test]
fn an_unmount_from_outside_ends_an_owner_in_order() {
    if !can_mount() {
        return;
    }
    let test = Test::new();
    let owner = test.ready();
    assert!(Command::new("fusermount3").arg("-u").arg(test.mnt()).status().unwrap().success());
    let ended = owner.end();
    ended.assert_clean();
    assert!(ended.stderr.contains("somebody else has unmounted it"), "{}", ended.stderr);
    test.assert_nothing_left();
}

#[test]
fn what_a_killed_owner_leaves_is_repaired_by_the_next() {
    if !can_mount() {
        return;
    }
    let test = Test::with("mount.path = \"mnt\"\nhttp.port = 0");
    for round in 0..3 {
        let owner = test.ready();
        fs::write(test.mnt().join(format!("{round}")), "fsynced")
            .and_then(|()| File::open(test.mnt().join(format!("{round}")))?.sync_all())
            .unwrap();
        owner.murder();
        assert!(test.is_mounted() && test.socket().exists());
        assert_eq!(fs::read_dir(test.mnt()).unwrap_err().raw_os_error(), Some(libc::ENOTCONN));
    }
    let owner = test.ready();
    assert_eq!(fs::read_dir(test.mnt()).unwrap().count(), 3);
    owner.stop();
    // Also the folder that the first of them had made.
    test.assert_nothing_left();
}

#[test]
fn a_killed_owner_with_another_mountpoint_is_cleaned_up_after() {
    if !can_mount() {
        return;
    }
    let test = Test::with("mount.path = \"old/mnt\"");
    test.ready().murder();
    assert!(nix::mount::umount2(&test.path("old/mnt"), nix::mount::MntFlags::MNT_DETACH).is_ok());
    test.config("mount.path = \"mnt\"");
    test.ready().stop();
    assert!(!test.path("old").exists());
    test.assert_nothing_left();
}
