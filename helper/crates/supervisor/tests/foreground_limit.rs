//! A command that takes too long. In a program of its own: what it leaves behind is looked for below the whole process.
#![allow(clippy::unwrap_used)]

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use nixbox_supervisor::{Ending, Foreground, Outlet};

fn within(limit: Duration, script: &str) -> Ending {
    let command = Foreground {
        program: "sh".into(),
        args: ["-c", script].map(OsString::from).into(),
        env: Vec::new(),
        cwd: "/".into(),
        view: None,
        user: None,
        input: false,
        outlet: Outlet::Captured,
        limit: Some(limit),
    };
    command.run().unwrap()
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
