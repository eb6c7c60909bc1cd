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
    let begun = || std::fs::read_to_string(&pids).unwrap_or_default().lines().count() == 2;
    let script = format!(
        "trap '' TERM; echo $$ >>{0}; (setsid sh -c 'trap \"\" TERM; echo $$ >>{0}; sleep 60' &) ; sleep 60; sleep 60",
        pids.display()
    );
    // Long enough on this machine for both to have come.
    for seconds in [0.3, 3.0, 30.0] {
        let _ = std::fs::remove_file(&pids);
        let ended = within(Duration::from_secs_f64(seconds), &script);
        assert!(ended.timed_out && ended.code() == 128 + 9, "{ended:?}");
        if begun() {
            break;
        }
    }
    assert!(begun());
    for pid in std::fs::read_to_string(pids).unwrap().lines() {
        assert!(!Path::new("/proc").join(pid).exists(), "{pid} is left");
    }
    let ended = within(Duration::from_millis(200), "sleep 60");
    assert!(ended.timed_out && ended.took < Duration::from_secs(30), "{ended:?}");
}
