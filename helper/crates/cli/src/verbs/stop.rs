use nixbox_report::Report;
use schemars::JsonSchema;
use serde::Serialize;

use super::DONE;
use super::down::{self, Word};
use crate::context::Context;
use crate::{presence, recorded, select, supervise};

/// Stop one instance or job
///
/// What lives in an instance stops before it. Like `down` for one, but exit 3 when it does not run. It stays down until
/// somebody starts it: `up` does so too, unless its `restart.on` is `unless-stopped`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  nixbox-helper stop sandbox\n  nixbox-helper stop sandbox --timeout 0    # kill it now"
)]
pub struct Args {
    /// The instance or job [default: the default instance]
    pub name: Option<String>,
    /// Seconds to stop in; after that it is killed
    #[arg(short, long, value_name = "SECONDS", default_value_t = 10.0, value_parser = super::wait::seconds)]
    pub timeout: f64,
    /// Save an ephemeral instance as its database first; it goes on where one is there already
    #[arg(long)]
    pub keep: bool,
}

#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Answer {
    Instance(down::Stopped),
    Job(down::StoppedJob),
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let mut project = context.project()?;
    recorded::adopt_undeclared(&mut project);
    let name = args.name.as_deref().map(|name| select::full(&project, name)).transpose()?;
    let args = Args { name, ..args };
    let is_no_instance = |name: &String| {
        project.jobs.contains_key(name)
            || project.schedules.contains_key(name)
            || supervise::served_unit(&project, name).is_some()
    };
    let job = args.name.clone().filter(is_no_instance);
    let (instances, jobs) = match job {
        Some(job) => (Vec::new(), vec![job]),
        None => (vec![select::any(&project, args.name.as_deref())?], Vec::new()),
    };
    let name = instances.first().map_or_else(|| jobs[0].clone(), |instance| instance.name.clone());
    let args = down::Args { names: vec![name.clone()], timeout: args.timeout, keep: args.keep };
    let answer = down::stop_all(&project, &instances, &jobs, &args, context)?;
    let mut ran = answer.instances.iter().map(|one| one.outcome).chain(answer.jobs.iter().map(|one| one.outcome));
    if ran.all(|word| word == Word::NotRunning) {
        return Err(match instances.is_empty() {
            true => supervise::job_not_running(&name).into(),
            false => presence::not_running(&name).into(),
        });
    }
    let instance = answer.instances.into_iter().next().map(Answer::Instance);
    let answer = instance.or(answer.jobs.into_iter().find(|one| one.job == name).map(Answer::Job));
    if let (true, Some(answer)) = (context.output.json, answer) {
        context.output.json(answer)?;
    }
    Ok(DONE)
}
