//! What is run at certain times: when, what, and what became of it. Who keeps the times is the supervisor's session, or
//! systemd; each run is a process of its own, `schedule run NAME`, which puts itself on record.

mod keeper;
mod record;

use std::ffi::OsString;

use nixbox_calendar::{Calendar, Refused};
use nixbox_config::{Loaded, Project, Schedule, What, When};
use nixbox_report::{Failure, Place, Report, codes};

pub use keeper::{Begun, Keeper, Task, left_out};
pub use record::{Recorded, Records, Run, Turn, Weight};

/// The times of one. Whether there are any was seen when the configuration was read, but for this machine's own zone.
pub fn calendar(schedule: &Schedule) -> Result<Calendar, Report> {
    let made = match &schedule.when {
        When::Cron { cron, timezone } => {
            nixbox_calendar::zone(timezone.as_deref()).and_then(|zone| Calendar::cron(cron, zone))
        }
        When::At(at) => Calendar::at(at),
    };
    let refused = |why: Refused| -> Report {
        Failure::new(&codes::CONFIG_SCHEDULE, format!("nobody can say when `{}` is due", schedule.name)).why(why).into()
    };
    Ok(made.map_err(refused)?.with_jitter(schedule.jitter.0, &schedule.name))
}

/// The words after `nixbox-helper` that one comes to.
pub fn words(schedule: &Schedule) -> Vec<OsString> {
    match &schedule.what {
        What::Verb(words) => words.iter().map(Into::into).collect(),
        What::Exec { instance, words } => {
            ["exec", instance, "--"].into_iter().map(Into::into).chain(words.iter().map(Into::into)).collect()
        }
    }
}

pub fn of<'p>(project: &'p Project, name: &str) -> Result<&'p Schedule, Report> {
    project.schedules.get(name).ok_or_else(|| {
        let all: Vec<_> = project.schedules.keys().map(|name| format!("`{name}`")).collect();
        let failure = Failure::new(&codes::SCHEDULE_UNKNOWN, format!("no schedule is called `{name}`"));
        match all.is_empty() {
            true => failure.why(format_args!("{} declares none", project.file.display())),
            false => failure.why(format_args!("{} declares {}", project.file.display(), all.join(", "))),
        }
        .help(format!("declare it with a table `[schedules.{name}]`, or name another"))
        .into()
    })
}

/// What `run` says has to be a verb of this program: the configuration's own crate knows none.
pub fn check(loaded: &Loaded) -> Result<(), Report> {
    let mut failures = Vec::new();
    for schedule in loaded.project.schedules.values() {
        let What::Verb(words) = &schedule.what else { continue };
        let line = ["nixbox-helper".to_owned()].into_iter().chain(words.iter().cloned());
        let Err(error) = crate::cli::command().try_get_matches_from(line) else { continue };
        let text = error.render().to_string();
        let why = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        let key = format!("schedules.{}.run", schedule.name);
        let line = match loaded.origins.get(&key).map(|setting| setting.origin) {
            Some(nixbox_config::Origin::File { line }) => Some(line),
            _ => None,
        };
        let failure =
            Failure::new(&codes::CONFIG_SCHEDULE, format!("`run` of the schedule {} is no verb", schedule.name));
        let place = Place { file: loaded.project.file.clone(), line, key: Some(key) };
        failures.push(failure.why(why).help("`nixbox-helper --help` lists the verbs; a program is `exec`").at(place));
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.into()) }
}
