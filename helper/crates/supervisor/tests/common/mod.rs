//! A command as most tests of the foreground want it.

use std::ffi::OsString;

use nixbox_supervisor::{Foreground, Outlet};

pub fn shell(script: &str) -> Foreground {
    Foreground {
        program: "sh".into(),
        args: ["-c", script].map(OsString::from).into(),
        env: Vec::new(),
        cwd: "/".into(),
        view: None,
        user: None,
        input: false,
        outlet: Outlet::Captured,
        limit: None,
        leaves_nothing: false,
        spares: None,
        confinement: Default::default(),
    }
}
