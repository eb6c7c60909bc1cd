//! What is run at certain times, beside what else there is.

use nixbox_report::{Failure, codes};

use super::Checker;
use crate::schedule::What;
use crate::tree::join;

impl Checker<'_> {
    pub(super) fn schedules(&self) {
        let (instances, jobs) = (&self.project.instances, &self.project.jobs);
        for (name, schedule) in &self.project.schedules {
            for (other, is_there) in [("an instance", instances.contains_key(name)), ("a job", jobs.contains_key(name))]
            {
                if is_there {
                    let what = format!("A schedule and {other} are both called {name}");
                    self.at_schedule(name, "", what, "rename one of them: they are stopped and shown by name");
                }
            }
            let What::Exec { instance, .. } = &schedule.what else { continue };
            let help = match instances.get(instance) {
                _ if instance.is_empty() => continue,
                None => self.known(instance, instances.keys()),
                Some(instance) if !instance.enable && schedule.enable => {
                    "enable it, or disable the schedule".to_owned()
                }
                Some(_) => continue,
            };
            let what = format!("The schedule {name} is to run in {instance:?}, which is no enabled instance");
            self.at_schedule(name, "instance", what, &help);
        }
    }

    fn at_schedule(&self, name: &str, below: &str, what: String, help: &str) {
        let table = join("schedules", name);
        let key = if below.is_empty() { table } else { join(&table, below) };
        let line = self.document.schedules.get(name).map(|at| {
            let instance = at.value.instance.as_ref().filter(|_| below == "instance");
            instance.map_or(at.line, |instance| instance.line)
        });
        let failure = Failure::new(&codes::CONFIG_SCHEDULE, what).help(help.to_owned());
        self.problems.at(line.unwrap_or(1), &key, failure);
    }
}
