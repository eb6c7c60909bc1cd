use std::time::{Duration, Instant};

use nixbox_config::{Instance, Mode, Project};
use nixbox_report::Report;
use nixbox_supervisor::end_tree;
use schemars::JsonSchema;
use serde::Serialize;

use super::DONE;
use crate::context::Context;
use crate::stopping::{End, Outcome, stop};
use crate::supervise::{self, Client, Done, Order, Places, Recorded, UnitStatus};
use crate::{recorded, select, served};

/// Stop instances and jobs, and clear up what killed ones left
///
/// In reverse order: what depends on something stops before it. Returns when they are really gone: processes ended,
/// with all that they had started, mounts away, locks free. It does not matter who started them, nor whether the
/// configuration declares them still. Where none is named, remotes that are served from
/// here end as well. With nothing to stop it says so and exits 0.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  nixbox-helper down\n  nixbox-helper down sandbox --timeout 30\n  nixbox-helper down scratch --keep    # an ephemeral one, as its database"
)]
pub struct Args {
    /// The instances and jobs [default: every one]
    pub names: Vec<String>,
    /// Seconds that each has to stop in; after that it is killed
    #[arg(short, long, value_name = "SECONDS", default_value_t = 10.0, value_parser = super::wait::seconds)]
    pub timeout: f64,
    /// Save ephemeral instances as their databases first; nothing is stopped where one is there already
    #[arg(long)]
    pub keep: bool,
}

#[derive(Serialize, JsonSchema)]
pub struct Answer {
    pub instances: Vec<Stopped>,
    pub jobs: Vec<StoppedJob>,
    pub remotes: Vec<StoppedRemote>,
}

#[derive(Serialize, JsonSchema)]
pub struct StoppedRemote {
    /// That was served from here
    pub remote: String,
    pub outcome: Word,
}

#[derive(Serialize, JsonSchema)]
pub struct StoppedJob {
    pub job: String,
    pub outcome: Word,
}

#[derive(Serialize, JsonSchema)]
pub struct Stopped {
    pub instance: String,
    pub outcome: Word,
    /// A dead mount was taken away
    pub repaired: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    NotRunning,
    Stopped,
    Killed,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let mut project = context.project()?;
    recorded::adopt_undeclared(&mut project);
    let (instances, jobs) = chosen(&project, &args.names)?;
    let mut answer = stop_all(&project, &instances, &jobs, &args, context)?;
    let is_nothing = |word: Word| word == Word::NotRunning;
    let idle = answer.instances.iter().all(|one| is_nothing(one.outcome) && !one.repaired);
    let remotes = if args.names.is_empty() { served::stop_all(&project)? } else { Vec::new() };
    for name in remotes {
        say(&supervise::remote_unit(name), Word::Stopped, context);
        answer.remotes.push(StoppedRemote { remote: name.to_owned(), outcome: Word::Stopped });
    }
    if answer.remotes.is_empty() && idle && answer.jobs.iter().all(|one| is_nothing(one.outcome)) {
        context.output.note("nothing was running");
    }
    if context.output.json {
        context.output.json(answer)?;
    }
    Ok(DONE)
}

fn chosen<'p>(project: &'p Project, names: &[String]) -> Result<(Vec<&'p Instance>, Vec<String>), Report> {
    // What serves a remote is stopped as a job is.
    let names = &select::all_full(project, names)?;
    let is_job = |name: &String| project.jobs.contains_key(name) || supervise::served_unit(project, name).is_some();
    let (jobs, others): (Vec<_>, Vec<_>) = names.iter().cloned().partition(is_job);
    Ok(match names.is_empty() {
        true => (select::any_of(project, &[])?, project.jobs.keys().cloned().collect()),
        false if others.is_empty() => (Vec::new(), jobs),
        false => (select::any_of(project, &others)?, jobs),
    })
}

/// Whoever keeps them up stops them first, or would start them again; then what nobody keeps up.
pub fn stop_all(
    project: &Project,
    instances: &[&Instance],
    jobs: &[String],
    args: &Args,
    context: &Context,
) -> Result<Answer, Report> {
    let grace = Duration::from_secs_f64(args.timeout);
    if args.keep {
        keep(instances, grace, context)?;
    }
    let mut names: Vec<_> = instances.iter().map(|one| one.name.clone()).chain(jobs.iter().cloned()).collect();
    if args.names.is_empty() {
        names.clear();
    }
    let kept_up = kept_up(&Places::of(project), &names, grace, project)?;
    let mut answer = Answer { instances: Vec::new(), jobs: Vec::new(), remotes: Vec::new() };
    let mut failures = Vec::new();
    for (instance, outcome) in instances.iter().zip(each(instances, grace)) {
        let before = kept_up.iter().find(|unit| unit.name == instance.name);
        match outcome {
            Ok(Outcome { end: End::WasNotRunning, repaired }) if before.is_some() => {
                let end = if before.is_some_and(|unit| unit.killed) { End::Killed } else { End::Stopped };
                answer.instances.push(tell(instance, Outcome { end, repaired }, context));
            }
            Ok(outcome) => answer.instances.push(tell(instance, outcome, context)),
            Err(report) => failures.extend(report.failures),
        }
    }
    // Also those that the configuration no longer declares.
    let others = kept_up.iter().filter(|unit| !instances.iter().any(|one| one.name == unit.name));
    for unit in others {
        let outcome = if unit.killed { Word::Killed } else { Word::Stopped };
        say(&unit.name, outcome, context);
        if let Some((name, _)) = supervise::served_unit(project, &unit.name) {
            answer.remotes.push(StoppedRemote { remote: name.to_owned(), outcome });
            continue;
        }
        answer.jobs.push(StoppedJob { job: unit.name.clone(), outcome });
    }
    for job in jobs.iter().filter(|job| !kept_up.iter().any(|unit| unit.name == **job)) {
        answer.jobs.push(StoppedJob { job: job.clone(), outcome: Word::NotRunning });
    }
    if failures.is_empty() { Ok(answer) } else { Err(failures.into()) }
}

/// Ephemeral ones save themselves, and then stop.
fn keep(instances: &[&Instance], grace: Duration, context: &Context) -> Result<(), Report> {
    for instance in instances.iter().filter(|instance| instance.mode == Mode::Ephemeral) {
        let outcome = stop(instance, grace, true)?;
        if outcome.end != End::WasNotRunning {
            context.output.note(format!("{}: saved as {}", instance.name, instance.paths.db.display()));
        }
    }
    Ok(())
}

/// Has what is kept up stopped, and answers what that was. No names: all of it, and whoever keeps it up.
fn kept_up(places: &Places, names: &[String], grace: Duration, project: &Project) -> Result<Vec<UnitStatus>, Report> {
    // A moment more than it takes by itself: it kills what does not stop.
    let until = Instant::now() + grace + Duration::from_secs(5);
    // One that has just ended by itself, because nothing was left to keep up, did not answer either.
    let asked = ask(places, names, grace, until).or_else(|report| match is_gone(places) {
        true => Ok(None),
        false => Err(report),
    });
    let by_force = names.is_empty() && !matches!(asked, Ok(Some(_)));
    if by_force {
        // It does not answer, or was killed, and with it who looks after it.
        if let Some(holder) = places.holder().filter(|holder| !holder.clears) {
            end_tree(holder.process);
        }
        if let Some(found) = Recorded::load(places) {
            found.processes.iter().for_each(|process| end_tree(*process));
            let orphans = found.end_orphans(project);
            places.clear(project);
            let ended = |unit: &UnitStatus| orphans.contains(&unit.name);
            return Ok(found.units.into_values().filter(ended).collect());
        }
    }
    asked.map(Option::unwrap_or_default)
}

fn is_gone(places: &Places) -> bool {
    let until = Instant::now() + Duration::from_secs(1);
    while places.holder().is_some() {
        if Instant::now() > until {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

fn ask(places: &Places, names: &[String], grace: Duration, until: Instant) -> Result<Option<Vec<UnitStatus>>, Report> {
    let Some((client, mut follow)) = Client::reach(places)? else { return Ok(None) };
    let known: Vec<_> = names.iter().filter(|name| follow.unit(name).is_some()).cloned().collect();
    if known.is_empty() && !names.is_empty() {
        return Ok(None);
    }
    let order = Order::Stop { names: known, grace_ms: Some(grace.as_millis() as u64) };
    let Done { names: stopping, stays, .. } = client.order(&order, &mut follow)?;
    if !supervise::until_stopped(&mut follow, &stopping, Some(until))? {
        return Err(supervise::still_stopping(&follow, &stopping).into());
    }
    let stopped = follow.units.iter().filter(|unit| stopping.contains(&unit.name)).cloned().collect();
    let is_over = !stays && !follow.units.iter().any(|unit| unit.state.is_busy());
    if is_over && !follow.gone(Some(until))? {
        return Err(supervise::still_ending().into());
    }
    Ok(Some(stopped))
}

fn each(instances: &[&Instance], grace: Duration) -> Vec<Result<Outcome, Report>> {
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            instances.iter().map(|instance| scope.spawn(move || stop(instance, grace, false))).collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined
            .map(|one| one.unwrap_or_else(|_| Err(std::io::Error::other("a thread ended unexpectedly").into())))
            .collect()
    })
}

pub fn tell(instance: &Instance, outcome: Outcome, context: &Context) -> Stopped {
    let name = &instance.name;
    let word = match outcome.end {
        End::WasNotRunning => Word::NotRunning,
        End::Stopped => Word::Stopped,
        End::Killed => Word::Killed,
    };
    say(name, word, context);
    if let (true, Some(mount)) = (outcome.repaired, &instance.mount) {
        context.output.note(format!("{name}: removed the dead mount at {}", mount.path.display()));
    }
    Stopped { instance: name.clone(), outcome: word, repaired: outcome.repaired }
}

fn say(name: &str, word: Word, context: &Context) {
    match word {
        Word::NotRunning => {}
        Word::Stopped => context.output.note(format!("{name}: stopped")),
        Word::Killed => context.output.warn(format!("{name}: did not stop in time and was killed")),
    }
}
