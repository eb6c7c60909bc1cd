use nixbox_config::Project;
use nixbox_report::{Failure, Report, codes};
use nixbox_supervisor::PlanError;

use super::message::{State, UnitStatus};
use crate::presence::owner_failed;

/// Nothing that was declared, or was brought up, is called so.
pub fn unknown(project: &Project, name: &str) -> Failure {
    let all = || project.instances.keys().chain(project.jobs.keys()).chain(project.schedules.keys());
    let failure = Failure::new(&codes::INSTANCE_UNKNOWN, format!("no instance and no job is called `{name}`"));
    let failure = failure.why(format_args!(
        "{} declares {}",
        project.file.display(),
        all().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    ));
    let near = all().map(|known| (strsim::jaro_winkler(name, known), known)).filter(|(likeness, _)| *likeness > 0.75);
    match near.max_by(|a, b| a.0.total_cmp(&b.0)) {
        Some((_, known)) => failure.help(format!("did you mean `{known}`?")),
        None => failure.help(format!("declare it with a table `[instances.{name}]` or `[jobs.{name}]`")),
    }
}

pub fn plan_refused(error: &PlanError) -> Failure {
    match error {
        PlanError::Unknown(name) => Failure::new(&codes::UNIT_UNKNOWN, format!("`{name}` was not brought up"))
            .why("whoever keeps the project up does not know it")
            .help(format!("bring it up with `nixbox-helper up {name}`")),
        PlanError::Missing { .. } | PlanError::Circle(_) => {
            Failure::new(&codes::CONFIG_JOB, error.to_string()).help("mend `depends_on`")
        }
    }
}

pub fn not_limited(name: &str, why: &std::io::Error) -> Failure {
    Failure::new(&codes::UNIT_LIMITS, format!("the limits of `{name}` could not be changed: {why}"))
        .help("`nixbox-helper stats` says what it takes; a restart gives memory back")
}

/// Why a unit does not run, in the words of its own failures where it had any.
pub fn unit_failed(status: &UnitStatus, is_instance: bool, was_ready: bool) -> Report {
    let name = &status.name;
    let said = status.last_lines.join("\n");
    // Killed, it had no say, and whether it was heard before that it was ready is chance.
    if is_instance && !was_ready && status.signal.is_none() && !said.is_empty() {
        return owner_failed(name, status.exit_code, &said);
    }
    let why = status.why.clone().unwrap_or_default();
    let (code, what) = match is_instance {
        true => (&codes::OWNER_EXITED, format!("the owner of `{name}`")),
        false => (&codes::UNIT_FAILED, format!("job `{name}`")),
    };
    let last = status.last_lines.iter().rev().take(8).rev().cloned().collect::<Vec<_>>();
    let word = why.strip_prefix("it ").unwrap_or(&why);
    let failure = Failure::new(code, format!("{what} {}", if word.is_empty() { "does not run" } else { word }));
    let failure = if last.is_empty() { failure } else { failure.why(last.join("\n        ")) };
    let failure = match status.state {
        State::BackingOff => failure.help(format!("it is started again; `nixbox-helper stop {name}` ends that")),
        _ => failure.help(format!("start it again with `nixbox-helper up {name}`")),
    };
    failure.into()
}
