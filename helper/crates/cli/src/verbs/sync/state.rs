//! How an instance stands to its remote: once, live, and after the lease was taken or given back.

use std::io::IsTerminal;

use nixbox_control::{Request, SyncFailure, SyncLine, SyncRequest, SyncState, SyncSuccess};
use nixbox_report::Report;
use schemars::JsonSchema;
use serde::Serialize;

use crate::asking::Asked;
use crate::output::{Output, harmless};
use crate::times;

/// An instance, and how it stands.
#[derive(Serialize, JsonSchema)]
pub struct Stand {
    pub instance: String,
    pub remote: String,
    #[serde(flatten)]
    pub state: State,
}

/// How it stands with the lease taken or given back.
#[derive(Serialize, JsonSchema)]
pub struct Handed {
    #[serde(flatten)]
    pub stand: Stand,
    /// What was here before, where something was changed here and something gave way
    pub snapshot: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub struct State {
    /// `manual`, `periodic`, `real-time` or `follow`
    pub mode: String,
    /// What is in it may be changed now
    pub writable: bool,
    /// Why it may not, and what to do about that
    pub why: Option<String>,
    pub help: Option<String>,
    /// The lease is this instance's: its number; null where it is not
    pub fence: Option<i64>,
    /// Seconds that it is good for
    pub lease_left: Option<f64>,
    /// Changes that the remote may not have yet; null where that was not looked at
    pub pending: Option<u64>,
    /// Seconds since the oldest of them; where nothing is written, since the last look at the remote
    pub lag: f64,
    /// Things that both sides changed, at the last sync
    pub in_conflict: u64,
    pub last_success: Option<Success>,
    /// Since the last success
    pub last_failure: Option<Trouble>,
    /// RFC 3339: when the next sync comes by itself
    pub next: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub struct Success {
    /// RFC 3339
    pub at: String,
    pub pulled: u64,
    pub pushed: u64,
}

#[derive(Serialize, JsonSchema)]
pub struct Trouble {
    /// RFC 3339
    pub at: String,
    /// As in the reference of errors
    pub code: String,
    pub message: String,
    pub why: Option<String>,
    pub help: Option<String>,
}

impl State {
    pub fn of(state: &SyncState) -> Self {
        let SyncState { mode, writable, why, help, fence, left, pending, lag, conflicts, .. } = state.clone();
        let success = state.success.clone().map(|SyncSuccess { at, pulled, pushed }| Success {
            at: times::rfc3339(at),
            pulled,
            pushed,
        });
        let failure = state.failure.clone().map(|SyncFailure { at, code, message, why, help }| Trouble {
            at: times::rfc3339(at),
            code,
            message,
            why,
            help,
        });
        Self {
            mode,
            writable,
            why,
            help,
            fence,
            lease_left: left,
            pending,
            lag,
            in_conflict: conflicts,
            last_success: success,
            last_failure: failure,
            next: state.next.map(times::rfc3339),
        }
    }
}

/// For people, a line for each thing that there is to say.
pub fn text(asked: &Asked, state: &SyncState) -> String {
    let mut lines = Vec::new();
    let mut say = |what: &str, text: String| lines.push(format!("{what:<10}{}", harmless(&text)));
    let writable = if state.writable { "may be written" } else { "read-only" };
    say(asked.name(), format!(" with {}: {}, {writable}", remote(asked), state.mode));
    for text in state.why.iter().chain(&state.help) {
        say("", text.clone());
    }
    if let (Some(fence), Some(left)) = (state.fence, state.left) {
        say("lease", format!("ours, number {fence}, good for {left:.0} s"));
    }
    match state.pending {
        Some(1) => say("pending", "1 change".into()),
        Some(pending @ 1..) => say("pending", format!("{pending} changes")),
        _ => {}
    }
    if let Some(SyncSuccess { at, pulled, pushed }) = &state.success {
        say("last sync", format!("{}: {pulled} pulled, {pushed} pushed", times::for_tables(*at)));
    }
    if let Some(failure) = &state.failure {
        say("trouble", format!("{}: {} [{}]", times::for_tables(failure.at), failure.message, failure.code));
        for text in failure.why.iter().chain(&failure.help) {
            say("", text.clone());
        }
    }
    if let Some(next) = state.next {
        say("next", times::for_tables(next));
    }
    lines.join("\n") + "\n"
}

pub fn remote(asked: &Asked) -> String {
    asked.instance().remote().unwrap_or_default().to_owned()
}

fn stand(asked: &Asked, state: &SyncState) -> Stand {
    Stand { instance: asked.name().into(), remote: remote(asked), state: State::of(state) }
}

/// Until the owner ends or somebody has seen enough.
pub fn watch(asked: &Asked, output: &Output) -> Result<(), Report> {
    let in_place = std::io::stdout().is_terminal() && !output.json;
    let mut shown = 0;
    asked.ask_owner(&Request::Sync(SyncRequest::Watch))?.lines(|line: SyncLine| {
        let SyncLine::State(state) = line else { return Ok(true) };
        if output.json {
            let line = serde_json::to_string(&stand(asked, &state)).map_err(std::io::Error::other)?;
            return output.open_data(line + "\n");
        }
        let text = text(asked, &state);
        let again = if in_place && shown > 0 { format!("\x1b[{shown}A\x1b[J") } else { String::new() };
        // Where lines follow each other, a blank one tells them apart.
        let apart = if !in_place && shown > 0 { "\n" } else { "" };
        shown = text.lines().count();
        output.open_data(format!("{again}{apart}{text}"))
    })
}

pub fn take(asked: &Asked, force: bool, output: &Output) -> Result<(), Report> {
    let (instance, remote) = (asked.name(), remote(asked));
    handed(asked, SyncRequest::Take { force }, output, |_| {
        format!("{instance} has the lease of {remote} until it is released, or its owner ends")
    })
}

pub fn release(asked: &Asked, output: &Output) -> Result<(), Report> {
    let (instance, remote) = (asked.name(), remote(asked));
    handed(asked, SyncRequest::Release, output, |state| match state.pending {
        None | Some(0) => format!("{instance} has given the lease of {remote} back"),
        Some(pending) => format!(
            "{instance} has given the lease of {remote} back; {pending} changes were not pushed, and are kept: `nixbox-helper sync status` says why"
        ),
    })
}

fn handed(
    asked: &Asked,
    request: SyncRequest,
    output: &Output,
    text: impl FnOnce(&SyncState) -> String,
) -> Result<(), Report> {
    let (mut said, mut snapshot) = (None, None);
    super::lines(asked, request, |line| match line {
        SyncLine::State(state) => said = Some(state),
        SyncLine::Done(done) => snapshot = done.snapshot,
        _ => {}
    })?;
    let state = said.ok_or_else(super::unsaid)?;
    if output.json {
        return output.json(Handed { stand: stand(asked, &state), snapshot });
    }
    output.note(text(&state));
    super::kept(snapshot.as_deref(), asked.name(), output);
    Ok(())
}
