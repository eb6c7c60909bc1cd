//! Which events an owner has commands run for, and what they hear of each.

use std::path::Path;

use nixbox_config::HookEvent;
use nixbox_control::{Phase, Snapshot, Status};
use nixbox_engine::ToolCall;
use nixbox_supervisor::Hooks;
use serde_json::{Value, json};

use crate::plan::Plan;
use crate::stop::Reason;

/// Those of this instance. One that fails is in its log and in its record of such.
pub(crate) fn of(plan: &Plan) -> Hooks {
    let commands = plan.instance.hooks.iter();
    let commands = commands.map(|(event, commands)| (event.to_string(), commands.clone())).collect();
    Hooks::new(&plan.instance.name, commands, plan.root.clone(), plan.instance.paths.hooks.clone(), |failure| {
        tracing::warn!(event = failure.event, command = failure.command.join(" "), why = failure.why, "a hook failed");
    })
}

pub(crate) fn created(hooks: &Hooks, database: &Path) {
    hooks.fire(HookEvent::Created.as_str(), json!({ "database": database }));
}

pub(crate) fn ready(hooks: &Hooks, status: &Status) {
    let told = json!({
        "database": status.database,
        "pid": status.pid,
        "mount": status.mount.as_ref().map(|mount| &mount.path),
        "http": status.http.as_ref().map(|http| http.address),
        "nfs": status.nfs.as_ref().map(|nfs| nfs.address),
        "ready_after_ms": match status.phase {
            Phase::Ready { at } => Some(at.saturating_sub(status.since)),
            _ => None,
        },
    });
    hooks.fire(HookEvent::Ready.as_str(), told);
}

/// `why`: the reason for the end, where it was one that came from outside.
pub(crate) fn stopped(hooks: &Hooks, database: &Path, why: Option<&Reason>) {
    let reason = match why {
        Some(Reason::Signal(_)) => "signal",
        Some(Reason::Asked) => "asked",
        Some(Reason::MountEnded(Ok(()))) => "unmounted",
        Some(Reason::UpstreamEnded(end)) if end.success() => "unmounted",
        Some(Reason::MountEnded(Err(_)) | Reason::UpstreamEnded(_)) | None => "failure",
    };
    hooks.fire(HookEvent::Stopped.as_str(), json!({ "database": database, "reason": reason }));
}

/// Of a call that is over, where it was a command. `result`: what it came to, also where it failed.
pub(crate) fn exec(hooks: &Hooks, call: &ToolCall, result: Option<&str>) {
    if call.name != "exec" {
        return;
    }
    let read =
        |text: Option<&str>| -> Value { text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default() };
    let (parameters, result) = (read(call.parameters.as_deref()), read(result));
    let told = json!({
        "call": call.id,
        "command": parameters["command"],
        "cwd": parameters["cwd"],
        "status": call.status,
        "exit_code": result["exit_code"],
        "error": call.error,
        "duration_ms": call.duration_ms,
    });
    hooks.fire(HookEvent::Exec.as_str(), told);
}

pub(crate) fn snapshot(hooks: &Hooks, snapshot: &Snapshot) {
    let Snapshot { id, at, before, bytes } = snapshot;
    let told = json!({ "snapshot": id, "at": *at as f64 / 1000.0, "before": before, "bytes": bytes });
    hooks.fire(HookEvent::Snapshot.as_str(), told);
}
