//! An instance becomes synced, or is so no more. What it holds stays; the configuration says it from then on.

use nixbox_config::{Instance, Project};
use nixbox_control::{Request, SyncLine, SyncRequest};
use nixbox_report::{Failure, Report, codes};
use nixbox_state::Lock;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Done, reach, told, unsaid};
use crate::asking::Asked;
use crate::context::Context;
use crate::declared::Changed;
use crate::interrupt::Minded;
use crate::progress::Progress;
use crate::select;

#[derive(Serialize, JsonSchema)]
pub struct Enabled {
    pub instance: String,
    pub remote: String,
    /// The file that says so now; null where it said so before
    pub configuration: Option<String>,
    #[serde(flatten)]
    pub done: Done,
}

#[derive(Serialize, JsonSchema)]
pub struct Disabled {
    pub instance: String,
    pub remote: String,
    /// The file that said so
    pub configuration: String,
    /// What it was while it was synced
    pub snapshot: Option<String>,
}

pub fn enable(name: &str, remote: &str, merge: bool, context: &Context) -> Result<(), Report> {
    let minded = Minded::new();
    let done = enable_minded(name, remote, merge, &minded, context);
    minded.end_if_told();
    done
}

fn enable_minded(name: &str, remote: &str, merge: bool, minded: &Minded, context: &Context) -> Result<(), Report> {
    let project = context.project()?;
    let instance = alone(&project, name)?;
    if !project.remotes.contains_key(remote) {
        let names: Vec<_> = project.remotes.keys().map(String::as_str).collect();
        let help = match names.as_slice() {
            [] => format!("declare it with [remotes.{remote}] and its `url`"),
            names => format!("declared are {}", names.join(", ")),
        };
        return Err(Failure::new(&codes::CONFIG_REMOTE, format!("no remote is named `{remote}`")).help(help).into());
    }
    let changed = match instance.remote() {
        None => Some(Changed::sync(&project, name, Some(remote), context)?),
        Some(declared) if declared == remote => None,
        Some(other) => {
            return Err(Failure::new(&codes::USAGE, format!("`{name}` is synced with `{other}`"))
                .why("an instance has one remote")
                .help(format!("give that up first: nixbox-helper sync disable {name}"))
                .into());
        }
    };
    let words = match &changed {
        Some(changed) => changed.words(&project),
        None => context.forwarded(&project)?,
    };
    let asked = Asked::of(instance, words);
    let began = begin(&asked, SyncRequest::Begin { merge }, minded, context);
    let conflicting = matches!(&began, Err(report) if is(report, codes::SYNC_CONFLICT.id));
    let configuration = changed.is_some().then(|| project.file.display().to_string());
    // What is in conflict is settled as in any other synced instance.
    if let Some(changed) = changed.filter(|_| began.is_ok() || conflicting) {
        changed.put()?;
        context.output.note(format!("{}: `{name}` is synced with `{remote}` from now on", project.file.display()));
    }
    let done = began?;
    if context.output.json {
        let (instance, remote) = (name.to_owned(), remote.to_owned());
        return context.output.json(Enabled { instance, remote, configuration, done });
    }
    told(&done, true, name, &context.output);
    Ok(())
}

pub fn disable(name: &str, force: bool, context: &Context) -> Result<(), Report> {
    let minded = Minded::new();
    let done = disable_minded(name, force, &minded, context);
    minded.end_if_told();
    done
}

fn disable_minded(name: &str, force: bool, minded: &Minded, context: &Context) -> Result<(), Report> {
    let project = context.project()?;
    let instance = alone(&project, name)?;
    let Some(remote) = instance.remote().map(str::to_owned) else {
        return Err(Failure::new(&codes::SYNC_NOT_DECLARED, format!("`{name}` is not synced"))
            .why(format_args!("{} has no `sync` for it", project.file.display()))
            .help("`nixbox-helper sync log` tells what was synced before")
            .into());
    };
    let changed = Changed::sync(&project, name, None, context)?;
    let asked = Asked::of(instance, context.forwarded(&project)?);
    let done = begin(&asked, SyncRequest::End { force }, minded, context)?;
    changed.put()?;
    let configuration = project.file.display().to_string();
    if context.output.json {
        let instance = name.to_owned();
        return context.output.json(Disabled { instance, remote, configuration, snapshot: done.snapshot });
    }
    context.output.note(format!("{configuration}: `{name}` is on this machine alone from now on; what it holds stays"));
    if let Some(id) = done.snapshot {
        context.output.note(format!("What it was while it was synced is snapshot {id}"));
    }
    Ok(())
}

/// One that is served goes by what was declared when it was started.
fn alone<'p>(project: &'p Project, name: &str) -> Result<&'p Instance, Report> {
    let instance = select::one(project, Some(name))?;
    match Lock::live_holder(&instance.paths.lock).filter(|holder| holder.socket.is_some()) {
        None => Ok(instance),
        Some(holder) => {
            Err(Failure::new(&codes::OWNER_HELD, format!("`{name}` is served by pid {}", holder.process.pid))
                .why("its owner goes by what was declared when it was started")
                .help(format!("stop it with `nixbox-helper stop {name}`, and start it again afterwards"))
                .into())
        }
    }
}

/// Leaving calls it off.
fn begin(asked: &Asked, request: SyncRequest, minded: &Minded, context: &Context) -> Result<Done, Report> {
    let mut said = None;
    let mut progress = Progress::new("connecting", &context.output);
    let lines = asked.ask(&Request::Sync(request))?;
    lines.lines(|line| {
        match line {
            SyncLine::Done(done) => said = Some(done),
            SyncLine::Progress(far) => reach(&mut progress, far),
            _ => {}
        }
        Ok(said.is_some() || !minded.is_told())
    })?;
    drop(progress);
    if said.is_none() && minded.is_told() {
        return Err(Failure::new(&codes::SYNC_CALLED_OFF, "it was called off").why("nothing was changed").into());
    }
    said.map(Done::of).ok_or_else(unsaid)
}

fn is(report: &Report, code: &str) -> bool {
    report.failures.iter().any(|failure| failure.code.id == code)
}
