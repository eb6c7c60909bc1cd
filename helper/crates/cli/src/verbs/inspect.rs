use nixbox_config::{Loaded, Setting};
use nixbox_report::Report;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{DONE, config, ps};
use crate::context::Context;
use crate::select;
use crate::supervise::{UnitStatus, unknown};

/// Tell everything of an instance or job, as JSON
///
/// What was declared and where each setting came from, which files and sockets are its own, what it is doing, and what
/// whoever keeps it up knows of it. Never a secret: only where it is to be had.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  nixbox-helper inspect sandbox | jq .paths.database\n  nixbox-helper inspect worker | jq '.unit.last_lines'"
)]
pub struct Args {
    /// The instance or job [default: the default instance]
    pub name: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub struct Answer {
    pub name: String,
    /// Of this program
    pub version: String,
    /// The configuration file
    pub file: String,
    /// Each of its settings, with where that came from
    pub settings: Vec<config::Setting>,
    pub paths: Paths,
    /// As `ps` tells it, where it is an instance
    pub instance: Option<ps::Row>,
    /// The same, where it is a job
    pub job: Option<ps::JobRow>,
    /// As whoever keeps it up knows it, or has written it down
    pub unit: Option<UnitStatus>,
}

#[derive(Serialize, JsonSchema)]
pub struct Paths {
    pub log: String,
    /// Of an instance
    pub database: Option<String>,
    pub folder: Option<String>,
    pub lock: Option<String>,
    pub socket: Option<String>,
    pub record: Option<String>,
    pub token: Option<String>,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let Loaded { project, origins } = context.load()?;
    let name = match &args.name {
        Some(name) => select::full(&project, name)?,
        None => select::any(&project, None)?.name.clone(),
    };
    let (instance, job) = (project.instances.get(&name), project.jobs.get(&name));
    let (table, paths) = match (instance, job) {
        (Some(instance), _) => ("instances", of_instance(&instance.paths)),
        (None, Some(job)) => ("jobs", Paths { log: text(&job.log), ..Paths::none() }),
        (None, None) => return Err(unknown(&project, &name).into()),
    };
    let begins = format!("{table}.{name}.");
    let own = |setting: &&Setting| setting.key.starts_with(&begins);
    let units = ps::known(&project);
    let told =
        ps::answer(&units, &instance.into_iter().collect::<Vec<_>>(), &job.into_iter().collect::<Vec<_>>(), &[])?;
    let unit = units.into_iter().find(|unit| unit.name == name);
    let answer = Answer {
        version: env!("CARGO_PKG_VERSION").into(),
        file: text(&project.file),
        settings: origins.settings.iter().filter(own).map(config::Setting::of).collect(),
        paths,
        instance: told.instances.into_iter().next(),
        job: told.jobs.into_iter().next(),
        unit,
        name,
    };
    context.output.json(without_nothing(serde_json::to_value(answer).map_err(std::io::Error::other)?))?;
    Ok(DONE)
}

/// What does not apply to its kind is left out.
fn without_nothing(mut answer: Value) -> Value {
    if let Some(paths) = answer["paths"].as_object_mut() {
        paths.retain(|_, value| !value.is_null());
    }
    if let Some(fields) = answer.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    answer
}

fn text(path: &std::path::Path) -> String {
    path.display().to_string()
}

fn of_instance(paths: &nixbox_config::Paths) -> Paths {
    Paths {
        log: text(&paths.log),
        database: Some(text(&paths.db)),
        folder: Some(text(&paths.dir)),
        lock: Some(text(&paths.lock)),
        socket: Some(text(&paths.socket)),
        record: Some(text(&paths.record)),
        token: Some(text(&paths.token)),
    }
}

impl Paths {
    fn none() -> Self {
        Self { log: String::new(), database: None, folder: None, lock: None, socket: None, record: None, token: None }
    }
}
