//! What can keep a remote from being served, as people and programs know it.

use std::io;
use std::net::SocketAddr;

use nixbox_report::{Failure, codes};
use nixbox_state::LockError;

use super::server::Over;
use crate::failure;
use crate::moment;

pub(super) fn held(remote: &str, error: LockError) -> Failure {
    match error {
        LockError::Held(holder) => {
            let who = holder.map_or_else(
                || "another process".to_owned(),
                |holder| format!("process {} since {}", holder.process.pid, moment::utc(holder.since)),
            );
            Failure::new(&codes::REMOTE_HELD, format!("the remote `{remote}` is held by {who}"))
                .why("its files are one process's at a time")
                .help("use that one, or end it")
        }
        LockError::Io { path, source } => failure::io(&path, &source),
    }
}

pub(super) fn bind(remote: &str, address: SocketAddr, error: &io::Error) -> Failure {
    Failure::new(&codes::REMOTE_BIND, format!("the remote `{remote}` cannot be served on {address}"))
        .why(error)
        .help(format!("choose another `remotes.{remote}.serve.port`"))
}

/// Why is for the caller to say.
pub(super) fn program(remote: &str) -> Failure {
    Failure::new(&codes::REMOTE_PROGRAM, format!("`tursodb`, which serves the remote `{remote}`, cannot be run")).help(
        format!(
            "install it with `npm install -g @tursodatabase/cli-linux-x64-gnu` and name its file `tursodb` with `remotes.{remote}.serve.program`, or put it on PATH"
        ),
    )
}

pub(super) fn over(remote: &str, over: &Over) -> Failure {
    let last = match over {
        Over::NotStarted(_) => return program(remote).why(over),
        Over::Ended(ended) => ended.last.iter().map(|line| format!("\n        {line}")).collect(),
        Over::Silent => String::new(),
    };
    Failure::new(&codes::REMOTE_ENDED, format!("the server of the remote `{remote}` does not stay"))
        .why(format!("{over}{last}"))
        .help("its files are as it left them; see that no other program has them open and that the disk has room")
}
