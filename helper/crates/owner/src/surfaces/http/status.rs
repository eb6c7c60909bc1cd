//! `/v1/status`: the instance as `nixbox-helper info --json` tells of it, and what only its owner knows.

use std::path::Path;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use nixbox_control::Phase;
use serde_json::{Value, json};

use super::Surface;
use super::answer::answer;
use crate::moment;

pub(super) async fn status(State(surface): State<Surface>) -> Response {
    answer(StatusCode::OK, &told(&surface))
}

pub(super) fn told(surface: &Surface) -> Value {
    let status = surface.board.watch().borrow().clone();
    let instance = &surface.instance;
    let text = |path: &Path| path.display().to_string();
    let (state, ready_at) = match status.phase {
        Phase::Starting => ("starting", None),
        Phase::Ready { at } => ("ready", Some(at)),
        Phase::Stopping => ("stopping", None),
    };
    json!({
        "schema": 1,
        "version": status.version,
        "instance": status.instance,
        "description": instance.description,
        "labels": instance.labels,
        "state": state,
        "ready": status.is_ready(),
        "pid": status.pid,
        "since": status.since,
        "ready_at": ready_at,
        "uptime_seconds": moment::now().saturating_sub(status.since) / 1000,
        "database": text(&status.database),
        "database_bytes": status.database.metadata().ok().map(|file| file.len()),
        "base": instance.base.as_ref().map(|base| text(&base.path)),
        "mount": status.mount.as_ref().map(|mount| text(&mount.path)),
        "backend": status.mount.as_ref().map(|mount| &mount.backend),
        "read_only": status.mount.as_ref().is_some_and(|mount| mount.read_only),
        "url": status.http.as_ref().map(|http| format!("http://{}", http.address)),
        "socket": text(&status.socket),
        "mcp_tools": instance.mcp_tools.iter().map(|tool| tool.as_str()).collect::<Vec<_>>(),
    })
}
