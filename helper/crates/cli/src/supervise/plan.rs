//! From a project to what is to be kept up.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nixbox_config::{Instance, Job, Limits, Probe, Project, Remote, RestartOn, Schedule, Served, Share};
use nixbox_control::Hosted;
use nixbox_report::{Failure, Report, codes};
use nixbox_supervisor::{Backoff, Condition, HealthCheck, LogFile, Need, On, Readiness, Restart, Spec, Unit};

use super::failure::unknown;
use super::message::UnitStatus;
use super::places::{Places, mark};
use crate::confine;
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
    /// Remotes of this project's own that those sync with, and what is served.
    pub remotes: Vec<(&'p str, &'p Served)>,
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
            let remotes = served(project, |name| instances.iter().any(|one| one.remote() == Some(name)));
            return Ok(Self { instances, jobs, remotes, named: Vec::new() });
        }
        let names = &select::all_full(project, names)?;
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
                _ if served_unit(project, name).is_some() => {}
                (_, Some(_)) => failures.push(disabled(project, name)),
                (Some(_), None) => {
                    failures.extend(select::one(project, Some(name)).err().into_iter().flat_map(|r| r.failures))
                }
                (None, None) => failures.push(unknown(project, name)),
            }
        }
        if !failures.is_empty() {
            return Err(failures.into());
        }
        let instances: Vec<_> = project.instances.values().filter(|one| chosen.contains(one.name.as_str())).collect();
        let remotes = served(project, |name| {
            chosen.contains(remote_unit(name).as_str()) || instances.iter().any(|one| one.remote() == Some(name))
        });
        let jobs = project.jobs.values().filter(|one| chosen.contains(one.name.as_str())).collect();
        Ok(Self { instances, jobs, remotes, named: names.to_vec() })
    }

    /// Remotes that somebody else serves, as units. `ours` are kept up here.
    pub fn remotes_elsewhere(&self, ours: &[UnitStatus]) -> Vec<String> {
        let is_ours = |name: &str| ours.iter().any(|unit| unit.name == name && unit.state.is_busy());
        let served = self.remotes.iter().map(|(name, served)| (remote_unit(name), served));
        let others = served.filter(|(unit, served)| !is_ours(unit) && Hosted::connect(&served.paths.socket).is_ok());
        others.map(|(unit, _)| unit).collect()
    }

    /// Which of these units somebody has asked for; what they need comes with them.
    pub fn asked(&self, units: &[Unit]) -> Vec<String> {
        let asked = |unit: &&Unit| self.named.is_empty() || self.named.contains(&unit.name);
        units.iter().filter(asked).map(|unit| unit.name.clone()).collect()
    }
}

/// What serves a remote is called so, as its files are. No instance and no job can be.
pub fn remote_unit(name: &str) -> String {
    format!("{name}.remote")
}

/// The remote whose unit is called so.
pub fn served_unit<'p>(project: &'p Project, unit: &str) -> Option<(&'p str, &'p Served)> {
    served(project, |name| unit.strip_suffix(".remote") == Some(name)).pop()
}

fn served(project: &Project, wanted: impl Fn(&str) -> bool) -> Vec<(&str, &Served)> {
    project.served().filter(|(name, _)| wanted(name)).map(|(name, served)| (name.as_str(), served)).collect()
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
    let remotes = choice.remotes.iter().filter(|(name, _)| !elsewhere.contains(&remote_unit(name)));
    let remotes = remotes.map(|(name, served)| make.remote(name, served));
    let mut units: Vec<_> = remotes.chain(instances).chain(choice.jobs.iter().map(|one| make.job(one))).collect();
    for unit in &mut units {
        unit.needs.retain(|need| !elsewhere.contains(&need.unit));
    }
    Ok(units)
}

/// One run of a schedule. `name`: of its unit, which is another one where several run at a time.
pub fn run(name: &str, schedule: &Schedule, project: &Project, context: &Context) -> Result<Unit, Report> {
    let words = context.forwarded(project)?;
    let spec = Spec::new(helper()?).args(["schedule", "run", "--due", &schedule.name]).args(words).cwd(&project.root);
    let restart = nixbox_config::Restart { on: RestartOn::Never, ..nixbox_config::Restart::default() };
    Ok(Unit {
        name: name.to_owned(),
        spec,
        needs: Vec::new(),
        ready: Readiness::Started,
        restart: self::restart(&restart, &[]),
        health: None,
        grace: GRACE,
        log: Some(log(schedule.log.with_file_name(format!("{name}.log")), nixbox_config::LogLimits::default())),
        apart: true,
        group: None,
        version: mark(format!("{schedule:?}").as_bytes()),
    })
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

    fn remote(&self, name: &str, served: &Served) -> Unit {
        let remote = self.project.remotes.get(name);
        Unit {
            name: remote_unit(name),
            spec: self.spec(&self.helper, &["remote", "serve", name]),
            needs: Vec::new(),
            ready: Readiness::Notified,
            restart: restart(&nixbox_config::Restart::default(), &FINAL),
            health: None,
            grace: GRACE,
            log: Some(log(served.paths.log.clone(), nixbox_config::LogLimits::default())),
            apart: false,
            group: None,
            version: mark(format!("{remote:?} {:?}", self.project.log_level).as_bytes()),
        }
    }

    fn instance(&self, instance: &Instance) -> Unit {
        let mut needs = needs(&instance.depends_on, None);
        let remote = instance.remote().and_then(|name| Some((name, self.project.remotes.get(name)?)));
        // It stays while its remote is away, as it would with any other: it only begins after it.
        if let Some((name, Remote { serve: Some(_), .. })) = remote {
            needs.push(Need { unit: remote_unit(name), condition: Condition::Ready, bound: false });
        }
        let declared = without_what_it_does_not_obey(instance);
        Unit {
            name: instance.name.clone(),
            spec: self.spec(&self.owner, &["serve", &instance.name]),
            needs,
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
            apart: false,
            group: None,
            version: mark(format!("{declared:?} {remote:?} {:?}", self.project.log_level).as_bytes()),
        }
    }

    fn job(&self, job: &Job) -> Unit {
        let mut spec = self.spec(&self.helper, &["job", &job.name]);
        if job.watch.is_some() {
            // It starts its command anew by itself, and says so.
            spec = spec.args(["--notices".into(), Places::of(self.project).notices.into_os_string()]);
        }
        Unit {
            name: job.name.clone(),
            spec,
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
            apart: false,
            group: Some(confine::group_of(self.project, &job.name)),
            version: mark(format!("{:?}", Job { limits: self.project.share_of(job), ..job.clone() }).as_bytes()),
        }
    }

    fn asking(&self, address: &str) -> Spec {
        Spec::new(&self.helper).args(["ask-http", address])
    }
}

/// What people read of an instance, and what commands in it may take, changes nothing for its owner; what it syncs with does.
fn without_what_it_does_not_obey(instance: &Instance) -> Instance {
    let limits = Limits { commands: Share::default(), ..instance.limits };
    Instance { description: String::new(), limits, ..instance.clone() }
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
