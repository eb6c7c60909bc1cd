//! A command that takes too long. In a program of its own: what it leaves behind is looked for below the whole process.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::time::Duration;

use common::shell;
use nixbox_supervisor::{Ending, Foreground};

fn within(limit: Duration, script: &str) -> Ending {
    Foreground { limit: Some(limit), ..shell(script) }.run().unwrap()
}

#[test]
fn whoever_ignores_that_its_time_is_over_is_killed_with_all_it_has_started() {
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    let script = format!(
        "trap '' TERM; echo $$ >>{0}; (setsid sh -c 'trap \"\" TERM; echo $$ >>{0}; sleep 60' &) ; sleep 60; sleep 60",
        pids.display()
    );
    let ended = within(Duration::from_millis(300), &script);
    assert!(ended.timed_out && ended.code() == 128 + 9, "{ended:?}");
    for pid in std::fs::read_to_string(pids).unwrap().lines() {
        assert!(!Path::new("/proc").join(pid).exists(), "{pid} is left");
    }
    let ended = within(Duration::from_millis(200), "sleep 60");
    assert!(ended.timed_out && ended.took < Duration::from_secs(4), "{ended:?}");
}
