//! Jobs and instances that refer to each other.

use std::collections::BTreeMap;

use nixbox_report::codes;

use super::Checker;
use crate::schema;
use crate::tree::join;
use crate::words::Condition;

impl Checker<'_> {
    pub(super) fn units(&self) {
        for (name, job) in &self.project.jobs {
            if self.project.instances.contains_key(name) {
                let what = format!("A job and an instance are both called {name}");
                self.at_job(name, "", what, "rename one of them: they are started, stopped and shown by name");
            }
            if job.instance.is_empty() {
                continue;
            }
            let help = match self.project.instances.get(&job.instance) {
                None => self.known(&job.instance, self.project.instances.keys()),
                Some(instance) if !instance.enable && job.enable => "enable it, or disable the job".to_owned(),
                Some(_) => continue,
            };
            let what = format!("The job {name} is to run in {:?}, which is no enabled instance", job.instance);
            self.at_job(name, "instance", what, &help);
        }
        for (table, name, needs) in self.all_needs() {
            for (other, condition) in needs {
                let key = join(&join(&join(table, name), "depends_on"), other);
                let what = match (self.project.instances.get(other), self.project.jobs.get(other)) {
                    (None, None) => format!("{name} depends on {other:?}, and nothing is called so"),
                    (Some(instance), _) if !instance.enable => format!("{name} depends on {other}, which is disabled"),
                    (_, Some(job)) if !job.enable => format!("{name} depends on {other}, which is disabled"),
                    (Some(_), _) if *condition == Condition::Completed => {
                        format!("{name} waits for the end of {other}, which is an instance and has none")
                    }
                    (_, Some(job)) if *condition == Condition::Completed && job.watch.is_some() => {
                        format!("{name} waits for the end of {other}, which is run again at each change and has none")
                    }
                    _ => continue,
                };
                let all = self.project.instances.keys().chain(self.project.jobs.keys());
                let help = self.known(other, all.filter(|one| *one != other));
                self.report_at(table, name, &key, what, &help);
            }
        }
        // One name for two would look like a circle.
        let clash = self.project.jobs.keys().any(|name| self.project.instances.contains_key(name));
        if let Some(circle) = self.circle().filter(|_| !clash) {
            let what = format!("{} wait for each other", circle.join(", "));
            let (table, name) = if self.project.jobs.contains_key(&circle[0]) {
                ("jobs", &circle[0])
            } else {
                ("instances", &circle[0])
            };
            let key = join(&join(table, name), "depends_on");
            self.report_at(table, name, &key, what, "take one of these dependencies out");
        }
    }

    /// The enabled ones, with what they were told to depend on.
    fn all_needs(&self) -> impl Iterator<Item = (&'static str, &String, &BTreeMap<String, Condition>)> {
        let instances = self.project.instances.values().filter(|instance| instance.enable);
        let jobs = self.project.jobs.values().filter(|job| job.enable);
        let instances = instances.map(|instance| ("instances", &instance.name, &instance.depends_on));
        instances.chain(jobs.map(|job| ("jobs", &job.name, &job.depends_on)))
    }

    fn circle(&self) -> Option<Vec<String>> {
        let mut edges: BTreeMap<&String, Vec<&String>> = BTreeMap::new();
        for (_, name, needs) in self.all_needs() {
            edges.entry(name).or_default().extend(needs.keys());
        }
        for job in self.project.jobs.values().filter(|job| job.enable) {
            edges.entry(&job.name).or_default().push(&job.instance);
        }
        let mut done = Vec::new();
        edges.keys().find_map(|name| walk(name, &edges, &mut Vec::new(), &mut done))
    }

    pub(super) fn known<'n>(&self, name: &str, all: impl Iterator<Item = &'n String> + Clone) -> String {
        match schema::nearest(name, all.clone().map(String::as_str)) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("declared are {}", all.cloned().collect::<Vec<_>>().join(", ")),
        }
    }

    fn at_job(&self, name: &str, key: &str, what: String, help: &str) {
        let table = join("jobs", name);
        let key = if key.is_empty() { table } else { join(&table, key) };
        self.report_at("jobs", name, &key, what, help);
    }

    fn report_at(&self, table: &str, name: &str, key: &str, what: String, help: &str) {
        let line = match table {
            "jobs" => self.document.jobs.get(name).map(|at| {
                let own = |at: &crate::document::At<String>| at.line;
                let instance = at.value.instance.as_ref().filter(|_| key.ends_with(".instance")).map(own);
                let need = at.value.depends_on.iter().find(|(other, _)| key.ends_with(&join("depends_on", other)));
                instance.or(need.map(|(_, at)| at.line)).unwrap_or(at.line)
            }),
            _ => self.document.instances.get(name).map(|at| {
                let need = at.value.depends_on.iter().find(|(other, _)| key.ends_with(&join("depends_on", other)));
                need.map_or(at.line, |(_, at)| at.line)
            }),
        };
        let failure = nixbox_report::Failure::new(&codes::CONFIG_JOB, what);
        self.problems.at(line.unwrap_or(1), key, failure.help(help.to_owned()));
    }
}

fn walk<'p>(
    name: &'p String,
    edges: &BTreeMap<&'p String, Vec<&'p String>>,
    above: &mut Vec<&'p String>,
    done: &mut Vec<&'p String>,
) -> Option<Vec<String>> {
    if done.contains(&name) {
        return None;
    }
    if let Some(from) = above.iter().position(|one| *one == name) {
        return Some(above[from..].iter().map(|one| (*one).clone()).collect());
    }
    above.push(name);
    let found = edges.get(name).into_iter().flatten().find_map(|next| walk(next, edges, above, done));
    above.pop();
    done.push(name);
    found
}
