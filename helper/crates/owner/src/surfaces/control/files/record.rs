//! The tool call that each request on files becomes. Paths are put on record, content never.

use std::time::Duration;

use nixbox_control::{FilesRequest, Layer, Name};
use nixbox_engine::Outcome;
use serde_json::{Value, json};

use super::super::talk::Ended;
use super::Told;
use crate::desk::Request;
use crate::failure;

pub(super) struct Recorded {
    name: &'static str,
    parameters: Value,
}

impl Recorded {
    pub(super) fn of(asked: &FilesRequest) -> Self {
        let path = |name: &Name| name.0.to_string_lossy().into_owned();
        let (name, parameters) = match asked {
            FilesRequest::List { path: at, recursive, layer } => {
                ("fs.ls", of_layer(json!({"path": path(at), "recursive": recursive}), *layer))
            }
            FilesRequest::Read { path: at, layer } => ("fs.cat", of_layer(json!({"path": path(at)}), *layer)),
            FilesRequest::Write { path: at, append } => ("fs.write", json!({"path": path(at), "append": append})),
            FilesRequest::Copy { from, to, recursive } => {
                ("fs.cp", json!({"from": path(from), "to": path(to), "recursive": recursive}))
            }
            FilesRequest::Move { from, to } => ("fs.mv", json!({"from": path(from), "to": path(to)})),
            FilesRequest::Remove { path: at, recursive } => {
                ("fs.rm", json!({"path": path(at), "recursive": recursive}))
            }
            FilesRequest::MakeFolder { path: at, parents } => {
                ("fs.mkdir", json!({"path": path(at), "parents": parents}))
            }
            FilesRequest::Apply { dry_run } => ("fs.apply", json!({"dry_run": dry_run})),
            FilesRequest::Export { path: at, form } => ("export", json!({"path": path(at), "form": form})),
            FilesRequest::Import { into, .. } => ("import", json!({"path": path(into)})),
            FilesRequest::ImportDatabase { from, into } => ("import", json!({"path": path(into), "from": path(from)})),
            FilesRequest::Stat { path: at, layer } => ("fs.stat", of_layer(json!({"path": path(at)}), *layer)),
            FilesRequest::Find { path: at, glob, layer, .. } => {
                ("fs.find", of_layer(json!({"path": path(at), "glob": glob}), *layer))
            }
        };
        Self { name, parameters }
    }

    /// That a call could not be put on record is no reason to fail it: it has happened.
    pub(super) async fn put(mut self, done: &Result<Told, Ended>, took: Duration, request: &Request) {
        let (result, error) = match done {
            Ok(Told::Nothing(result) | Told::Body(result)) => (Some(result.to_string()), None),
            Ok(Told::Applied { applied, paths }) => {
                self.parameters["paths"] = json!(paths);
                (serde_json::to_string(applied).ok(), None)
            }
            Err(Ended::Refused(report)) => (None, report.failures.first().map(|failure| failure.what.clone())),
            Err(Ended::Peer(_)) => (None, Some("the caller went away".to_owned())),
        };
        let how = if error.is_some() { "error" } else { "success" };
        let put = request.work(move |open| {
            if open.calls.is_read_only() {
                return Ok(None);
            }
            let outcome = match &error {
                Some(error) => Outcome::Error { error },
                None => Outcome::Success { result: result.as_deref() },
            };
            let parameters = self.parameters.to_string();
            let took = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            open.calls.record(self.name, Some(&parameters), outcome, took).map(Some).map_err(failure::working)
        });
        match put.await {
            Ok(Some(id)) => request.recorded(id, how),
            Ok(None) => {}
            Err(report) => tracing::warn!(why = ?report.failures, "a call could not be put on record"),
        }
    }
}

fn of_layer(mut parameters: Value, layer: Option<Layer>) -> Value {
    if let Some(layer) = layer {
        parameters["layer"] = json!(layer);
    }
    parameters
}
