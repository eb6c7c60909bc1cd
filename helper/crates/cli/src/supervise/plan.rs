//! From a project to what is to be kept up.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nixbox_config::{Instance, Job, Probe, Project, RestartOn};
use nixbox_report::{Failure, Report, codes};
use nixbox_supervisor::{Backoff, Condition, HealthCheck, LogFile, Need, On, Readiness, Restart, Spec, Unit};

use super::failure::unknown;
use super::places::mark;
use crate::context::Context;
use crate::owner_binary;
use crate::select;

/// Exit codes of an owner after which another try would end the same way: configuration, something missing, held by
/// another, something in the way, refused.
const FINAL: [i32; 5] = [2, 3, 4, 5, 7];
/// devenv kills after five seconds; whoever stops us must find everything gone before that.
const GRACE: Duration = Duration::from_millis(4500);

/// What somebody wants to run.
#[derive(Debug)]
pub struct Choice<'p> {
    pub instances: Vec<&'p Instance>,
    pub jobs: Vec<&'p Job>,
    /// These very ones; empty where all are meant.
    pub named: Vec<String>,
}

impl<'p> Choice<'p> {
    /// Those of these names and what they need, or all that are enabled.
    pub fn of(project: &'p Project, names: &[String]) -> Result<Self, Report> {
        if names.is_empty() {
            // Where there is nothing at all this says so.
            let instances = select::many(project, &[], select::Unnamed::AllEnabled)?;
            let jobs = project.jobs.values().filter(|job| job.enable).collect();
            return Ok(Self { instances, jobs, named: Vec::new() });
        }
        let (mut chosen, mut failures) = (BTreeSet::new(), Vec::new());
        let mut next: Vec<&str> = names.iter().map(String::as_str).collect();
        while let Some(name) = next.pop() {
            if !chosen.insert(name) {
                continue;
            }
            match (project.instances.get(name), project.jobs.get(name)) {
                (Some(instance), _) if instance.enable => {
                    next.extend(instance.depends_on.keys().map(String::as_str));
                }
                (_, Some(job)) if job.enable => {
                    next.extend(job.depends_on.keys().map(String::as_str));
                    next.push(&job.instance);
                }
                (_, Some(_)) => failures.push(disabled(project, name)),
                (Some(_), None) => {
                    failures.extend(select::one(project, Some(name)).err().into_iter().flat_map(|r| r.failures))
                }
                (None, None) => failures.push(unknown(project, name)),
            }
        }
        match failures.is_empty() {
            true => Ok(Self {
                instances: project.instances.values().filter(|one| chosen.contains(one.name.as_str())).collect(),
                jobs: project.jobs.values().filter(|one| chosen.contains(one.name.as_str())).collect(),
                named: names.to_vec(),
            }),
            false => Err(failures.into()),
        }
    }

    /// Which of these units somebody has asked for; what they need comes with them.
    pub fn asked(&self, units: &[Unit]) -> Vec<String> {
        let asked = |unit: &&Unit| self.named.is_empty() || self.named.contains(&unit.name);
        units.iter().filter(asked).map(|unit| unit.name.clone()).collect()
    }
}

fn disabled(project: &Project, name: &str) -> Failure {
    Failure::new(&codes::INSTANCE_DISABLED, format!("job `{name}` is disabled"))
        .why(format_args!("it has `enable = false` in {}", project.file.display()))
        .help("set `enable = true` there, or name another")
}

/// The chosen ones as units. What is in `elsewhere` somebody else keeps up: it is there, and nobody waits for it.
pub fn units(
    choice: &Choice<'_>,
    elsewhere: &[String],
    project: &Project,
    context: &Context,
) -> Result<Vec<Unit>, Report> {
    let make = Make { words: context.forwarded(project)?, helper: helper()?, owner: owner_binary::find()?, project };
    let instances = choice.instances.iter().filter(|one| !elsewhere.contains(&one.name)).map(|one| make.instance(one));
    let mut units: Vec<_> = instances.chain(choice.jobs.iter().map(|one| make.job(one))).collect();
    for unit in &mut units {
        unit.needs.retain(|need| !elsewhere.contains(&need.unit));
    }
    Ok(units)
}

/// This program, wherever it is started from.
pub fn helper() -> Result<PathBuf, Report> {
    Ok(std::env::current_exe()?)
}

struct Make<'p> {
    words: Vec<OsString>,
    helper: PathBuf,
    owner: PathBuf,
    project: &'p Project,
}

impl Make<'_> {
    fn spec(&self, program: &Path, words: &[&str]) -> Spec {
        Spec::new(program).args(words).args(self.words.clone()).cwd(&self.project.root)
    }

    fn instance(&self, instance: &Instance) -> Unit {
        Unit {
            name: instance.name.clone(),
            spec: self.spec(&self.owner, &["serve", &instance.name]),
            needs: needs(&instance.depends_on, None),
            ready: Readiness::Notified,
            restart: restart(&instance.restart, &FINAL),
            health: instance.health.as_ref().map(|health| HealthCheck {
                probe: match &health.probe {
                    Probe::Exec(words) => Spec::new(&words[0]).args(&words[1..]).cwd(&self.project.root),
                    Probe::Http(address) => self.asking(address),
                },
                ..check(health)
            }),
            grace: GRACE,
            log: Some(log(instance.paths.log.clone(), nixbox_config::LogLimits::default())),
            // What people read of it changes nothing.
            version: mark(format!("{:?}", Instance { description: String::new(), ..instance.clone() }).as_bytes()),
        }
    }

    fn job(&self, job: &Job) -> Unit {
        Unit {
            name: job.name.clone(),
            spec: self.spec(&self.helper, &["job", &job.name]),
            needs: needs(&job.depends_on, Some(&job.instance)),
            ready: Readiness::Started,
            restart: restart(&job.restart, &[]),
            health: job.health.as_ref().map(|health| HealthCheck {
                probe: match &health.probe {
                    Probe::Exec(_) => self.spec(&self.helper, &["job", "--probe", &job.name]),
                    Probe::Http(address) => self.asking(address),
                },
                ..check(health)
            }),
            grace: GRACE,
            log: Some(log(job.log.clone(), job.log_limits)),
            version: mark(format!("{job:?}").as_bytes()),
        }
    }

    fn asking(&self, address: &str) -> Spec {
        Spec::new(&self.helper).args(["ask-http", address])
    }
}

fn needs(
    depends_on: &std::collections::BTreeMap<String, nixbox_config::Condition>,
    lives_in: Option<&String>,
) -> Vec<Need> {
    let own = lives_in.map(|name| Need { unit: name.clone(), condition: Condition::Ready, bound: true });
    let others = depends_on.iter().filter(|(name, _)| Some(*name) != lives_in).map(|(name, condition)| Need {
        unit: name.clone(),
        condition: match condition {
            nixbox_config::Condition::Started => Condition::Started,
            nixbox_config::Condition::Ready => Condition::Ready,
            nixbox_config::Condition::Completed => Condition::Completed,
        },
        bound: false,
    });
    own.into_iter().chain(others).collect()
}

fn restart(restart: &nixbox_config::Restart, final_codes: &[i32]) -> Restart {
    let backoff = &restart.backoff;
    Restart {
        on: match restart.on {
            RestartOn::Never => On::Never,
            RestartOn::OnFailure => On::OnFailure,
            RestartOn::Always => On::Always,
            RestartOn::UnlessStopped => On::UnlessStopped,
        },
        max: restart.max,
        window: restart.window.0,
        backoff: Backoff { min: backoff.min.0, max: backoff.max.0, factor: f64::from(backoff.factor) },
        final_codes: final_codes.to_vec(),
    }
}

/// All but the probe itself.
fn check(health: &nixbox_config::Health) -> HealthCheck {
    HealthCheck {
        probe: Spec::new(""),
        interval: health.interval.0,
        timeout: health.timeout.0,
        retries: health.retries,
        start_period: health.start_period.0,
    }
}

fn log(path: PathBuf, limits: nixbox_config::LogLimits) -> LogFile {
    LogFile { path, max_size: limits.max_size.0, keep: limits.keep }
}
