//! Following the configuration: when its file was written anew, what keeps a project up is ordered what an `up` would
//! order it.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nixbox_config::Project;
use nixbox_report::{Failure, Report, codes};

use super::client::Client;
use super::message::{Order, UnitStatus};
use super::places::Places;
use super::plan::{Choice, units};
use crate::context::Context;
use crate::presence::{Presence, presences};
use crate::schedule;
use crate::watching::{Following, any, places_of};

/// An editor that writes in place does not write all at once.
const QUIET: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(2);

/// A thread that sees to it, for as long as this process is there. While `drawn` is set nothing is printed.
pub fn follow_file(context: &Context, project: &Project, drawn: Arc<AtomicBool>) -> Result<(), Report> {
    let file = project.file.clone();
    // Where this one is gone, one further up would be another project's.
    let mut global = context.global.clone();
    global.config = Some(file.clone());
    let (context, before) = (Context::new(global), project.clone());
    let mut following = match Following::begin(places_of(&file), QUIET, |_| {}) {
        Ok(following) => following,
        Err(error) => {
            context.output.warn(format!("{} is not followed: {error}", file.display()));
            return Ok(());
        }
    };
    let reload = Reload { context, before, drawn };
    let follow = move || {
        let mut has_complained = false;
        while any(&[following.as_fd()]).is_ok() {
            if following.take().is_none() {
                continue;
            }
            let done = reload.reload();
            if has_complained {
                reload.say(String::new());
            }
            has_complained = done.is_err();
            if let Err(report) = done {
                reload.complain(&report);
            }
        }
    };
    std::thread::Builder::new().name("reload".into()).spawn(follow)?;
    Ok(())
}

struct Reload {
    context: Context,
    before: Project,
    drawn: Arc<AtomicBool>,
}

impl Reload {
    fn reload(&self) -> Result<(), Report> {
        let loaded = self.context.load()?;
        schedule::check(&loaded)?;
        let project = loaded.project;
        if (&project.data_dir, &project.runtime_dir) != (&self.before.data_dir, &self.before.runtime_dir) {
            return Err(Failure::new(&codes::SUPERVISOR_NOT_RELOADED, "the configuration names other folders")
                .why("what runs has its data and its sockets in the former ones")
                .help("`nixbox-helper down` with the former configuration, then `up` with this one")
                .into());
        }
        let choice = Choice::of(&project, &[])?;
        // It has ended meanwhile: there is nothing to reload.
        let Some((client, mut follow)) = Client::reach(&Places::of(&self.before))? else { return Ok(()) };
        let elsewhere = elsewhere(&choice, &follow.units)?;
        let units = units(&choice, &elsewhere, &project, &self.context)?;
        client.order(&Order::Reload { units }, &mut follow)?;
        Ok(())
    }

    fn complain(&self, report: &Report) {
        let is_drawn = self.drawn.load(Ordering::Acquire);
        if !is_drawn {
            self.context.output.report(report);
        }
        // Whoever has a picture before him sees it there.
        let first = report.failures.first().map(|failure| (failure.what.clone(), failure.place.clone()));
        let text = first.map(|(what, place)| match place.map(|place| (place.file, place.line)) {
            Some((file, Some(line))) => format!("{}:{line}: {what}", file.display()),
            Some((file, None)) => format!("{}: {what}", file.display()),
            None => what,
        });
        if let Some(text) = text {
            self.say(format!("nothing is changed: {text}"));
        }
    }

    /// To those who follow what becomes of the units; whoever has ended meanwhile has nobody to tell.
    fn say(&self, text: String) {
        if let Ok(Some((client, mut follow))) = Client::reach(&Places::of(&self.before)) {
            let _ = client.order(&Order::Say { text }, &mut follow);
        }
    }
}

/// Owners that are none of ours.
fn elsewhere(choice: &Choice<'_>, ours: &[UnitStatus]) -> Result<Vec<String>, Report> {
    let is_ours = |name: &str| ours.iter().any(|unit| unit.name == name && unit.state.is_busy());
    let others: Vec<_> = choice.instances.iter().copied().filter(|instance| !is_ours(&instance.name)).collect();
    let mut found = Vec::new();
    for (instance, presence) in others.iter().zip(presences(&others, PATIENCE)) {
        if let Presence::Here(_) = presence? {
            found.push(instance.name.clone());
        }
    }
    found.extend(choice.remotes_elsewhere(ours));
    Ok(found)
}
