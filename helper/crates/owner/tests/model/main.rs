//! Random sequences of calls, made by a program to the mount of a real owner and to a folder of this machine: the same
//! answers, errno for errno, and the same tree after each call, after a restart and after a kill.
//!
//! A hundred sequences each way; `NIXBOX_NIGHTLY` makes it 2,600, and `NIXBOX_MODEL_CASES` any other number.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod call;
mod seen;
mod session;
mod side;

use std::cell::RefCell;

use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};

use self::session::{Lies, Session};

fn cases() -> u32 {
    match std::env::var("NIXBOX_MODEL_CASES") {
        Ok(number) => number.parse().unwrap(),
        Err(_) if std::env::var_os("NIXBOX_NIGHTLY").is_some() => 2600,
        Err(_) => 100,
    }
}

fn compare(lies: Lies) {
    if !common::can_mount() {
        return;
    }
    // The permissions that are asked for are the ones that count.
    nix::sys::stat::umask(nix::sys::stat::Mode::empty());
    // News that does not come is waited for in each of them.
    let max_shrink_time = 120_000;
    let config =
        ProptestConfig { cases: cases(), max_shrink_iters: 1500, max_shrink_time, ..ProptestConfig::default() };
    let session = RefCell::new(None);
    let (before, calls) = (0..if lies == Lies::OverABase { 40 } else { 1 }, 1..60);
    let sequences = (prop::collection::vec(call::making(), before), prop::collection::vec(call::call(), calls));
    TestRunner::new(config)
        .run(&sequences, |(before, calls)| {
            let mut current = session.take().unwrap_or_else(|| Session::new(lies));
            let done = current.run(&before, &calls);
            // What a sequence has broken the next one shall not trip over.
            if done.is_ok() {
                session.replace(Some(current));
            }
            done.map_err(TestCaseError::fail)
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn the_mount_answers_as_linux_does() {
    compare(Lies::InTheDatabase);
}

#[test]
fn the_mount_over_a_base_answers_as_a_copy_of_the_base_does() {
    compare(Lies::OverABase);
}

#[test]
fn the_mount_of_a_folder_itself_answers_as_the_folder_does() {
    compare(Lies::Directly);
}
