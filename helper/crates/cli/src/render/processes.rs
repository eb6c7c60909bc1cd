//! What keeps running, whoever keeps it so: as the modules say it in Nix.

use std::collections::BTreeMap;

use nixbox_config::{Condition, Instance, Job, Restart, Span};
use nixbox_report::Report;

use super::Target;
use super::cannot::cannot;

/// One program that keeps running.
pub struct Process<'p> {
    /// `agentfs-NAME`, `agentfs-job-NAME`, `agentfs-remote-NAME` or `agentfs-schedules`
    pub name: String,
    /// What runs it, after the program and its options.
    pub run: Vec<&'p str>,
    pub probe: Option<Probe<'p>>,
    /// For people, where somebody has described it.
    pub description: Option<&'p str>,
    /// Which processes have to be there before, and how far.
    pub needs: BTreeMap<String, Condition>,
    pub restart: Restart,
    pub what: What<'p>,
}

#[derive(Clone, Copy)]
pub enum What<'p> {
    Remote(&'p str),
    Instance(&'p Instance),
    Job(&'p Job),
    Schedules,
}

/// How a process manager that polls learns whether something is ready.
pub struct Probe<'p> {
    pub ask: Vec<&'p str>,
    pub interval: Span,
    pub timeout: Span,
    /// As many failures in a row are fatal there.
    pub failures: u32,
    pub delay: Span,
}

impl<'p> Probe<'p> {
    /// Once a second, by a call that gives up before the process manager does; it leaves a minute to come up.
    fn of_server(ask: Vec<&'p str>) -> Self {
        let ask = [ask, vec!["--timeout", "2"]].concat();
        Self { ask, interval: Span::seconds(1), timeout: Span::seconds(5), failures: 60, delay: Span::seconds(0) }
    }

    fn of_job(job: &'p Job) -> Option<Self> {
        let health = job.health.as_ref()?;
        Some(Self {
            ask: vec!["job", "--probe", &job.name],
            interval: health.interval,
            timeout: health.timeout,
            failures: health.retries,
            delay: health.start_period,
        })
    }
}

pub fn remote(name: &str) -> String {
    format!("agentfs-remote-{name}")
}

impl<'p> Target<'p> {
    /// Remotes, instances and jobs.
    pub fn processes(&self) -> Result<Vec<Process<'p>>, Report> {
        let remotes = self.project.served().map(|(name, _)| Process {
            name: remote(name),
            run: vec!["remote", "serve", name],
            probe: Some(Probe::of_server(vec!["remote", "ready", name])),
            description: None,
            needs: BTreeMap::new(),
            restart: Restart::default(),
            what: What::Remote(name),
        });
        let instances = self.project.enabled().map(|instance| Process {
            name: self.name_of(&instance.name),
            run: vec!["serve", &instance.name],
            probe: Some(Probe::of_server(vec!["ready", &instance.name])),
            description: Some(instance.description.as_str()).filter(|text| !text.is_empty()),
            needs: self.needs(&instance.depends_on).chain(self.remote_of(instance)).collect(),
            restart: instance.restart,
            what: What::Instance(instance),
        });
        let jobs = self.project.jobs.values().filter(|job| job.enable).map(|job| {
            let own = (self.name_of(&job.instance), Condition::Ready);
            Process {
                name: self.name_of(&job.name),
                run: vec!["job", &job.name],
                probe: Probe::of_job(job),
                description: None,
                needs: self.needs(&job.depends_on).chain([own]).collect(),
                restart: job.restart,
                what: What::Job(job),
            }
        });
        let all: Vec<_> = remotes.chain(instances).chain(jobs).collect();
        for (at, one) in all.iter().enumerate() {
            if let Some(other) = all[..at].iter().find(|other| other.name == one.name) {
                return Err(twice(one, other).into());
            }
        }
        Ok(all)
    }

    /// Remotes, instances, jobs, and one that keeps the times of schedules.
    pub fn processes_and_keeper(&self) -> Result<Vec<Process<'p>>, Report> {
        let mut all = self.processes()?;
        if self.project.schedules.values().any(|schedule| schedule.enable) {
            let keeper = Process {
                name: "agentfs-schedules".into(),
                run: vec!["schedule", "keep"],
                probe: None,
                description: None,
                needs: BTreeMap::new(),
                restart: Restart::default(),
                what: What::Schedules,
            };
            if let Some(other) = all.iter().find(|other| other.name == keeper.name) {
                return Err(twice(&keeper, other).into());
            }
            all.push(keeper);
        }
        Ok(all)
    }

    /// What runs an instance or a job is called so.
    pub fn name_of(&self, unit: &str) -> String {
        let kind = if self.project.instances.contains_key(unit) { "" } else { "job-" };
        format!("agentfs-{kind}{unit}")
    }

    /// What has no probe is ready when it has started.
    fn needs(&self, depends_on: &BTreeMap<String, Condition>) -> impl Iterator<Item = (String, Condition)> {
        depends_on.iter().map(|(name, wanted)| {
            let is_started = |job: &Job| job.health.is_none() && *wanted == Condition::Ready;
            let wanted = match self.project.jobs.get(name) {
                Some(job) if is_started(job) => Condition::Started,
                _ => *wanted,
            };
            (self.name_of(name), wanted)
        })
    }

    fn remote_of(&self, instance: &Instance) -> Option<(String, Condition)> {
        let name = instance.remote()?;
        self.project.served().find(|(served, _)| *served == name)?;
        Some((remote(name), Condition::Ready))
    }
}

impl Process<'_> {
    /// For people.
    pub fn about(&self) -> String {
        match self.what {
            What::Remote(name) => format!("AgentFS remote {name}"),
            What::Instance(instance) => format!("AgentFS instance {}", instance.name),
            What::Job(job) => format!("AgentFS job {}", job.name),
            What::Schedules => "AgentFS schedules".into(),
        }
    }
}

fn twice(one: &Process<'_>, other: &Process<'_>) -> nixbox_report::Failure {
    cannot(
        format_args!("two processes would be called {}", one.name),
        format_args!("one is for {}, the other for {}", other.about(), one.about()),
        "rename one of them",
    )
}
