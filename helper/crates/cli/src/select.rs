//! From the names on a command line to instances.

use std::collections::BTreeSet;

use nixbox_config::{Instance, Project};
use nixbox_report::{Failure, Report, codes};

use crate::supervise::served_unit;

/// Of an id; with less, one word in sixteen of those that mean nothing would mean somebody's id.
const ENOUGH_OF_AN_ID: usize = 4;

/// The name that a word means: one, or what only one begins with; else the id of an instance, or enough of it. A word that
/// means nothing stays as it is, for whoever looks it up to say so.
pub fn full(project: &Project, word: &str) -> Result<String, Report> {
    let names = || project.instances.keys().chain(project.jobs.keys()).chain(project.schedules.keys());
    if names().any(|name| name == word) || served_unit(project, word).is_some() || word.is_empty() {
        return Ok(word.to_owned());
    }
    let mut found: BTreeSet<&String> = names().filter(|name| name.starts_with(word)).collect();
    if found.is_empty() && word.len() >= ENOUGH_OF_AN_ID {
        let meant = project.instances.values().filter(|instance| instance.id().starts_with(word));
        found.extend(meant.map(|instance| &instance.name));
    }
    let mut all = found.iter();
    match (all.next(), all.next()) {
        (Some(only), None) => Ok((*only).clone()),
        (Some(_), Some(_)) => {
            let all: Vec<_> = found.iter().map(|name| format!("`{name}`")).collect();
            Err(Failure::new(&codes::INSTANCE_AMBIGUOUS, format!("`{word}` can mean {}", all.join(" or ")))
                .why("more than one name or id begins so")
                .help("write more of it")
                .into())
        }
        _ => Ok(word.to_owned()),
    }
}

/// All of them, or everything that is wrong with them.
pub fn all_full(project: &Project, words: &[String]) -> Result<Vec<String>, Report> {
    let (mut names, mut failures) = (Vec::new(), Vec::new());
    for word in words {
        match full(project, word) {
            Ok(name) => names.push(name),
            Err(report) => failures.extend(report.failures),
        }
    }
    if failures.is_empty() { Ok(names) } else { Err(failures.into()) }
}

/// What no name at all means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unnamed {
    Default,
    AllEnabled,
}

/// The enabled instance of that name, or the default one.
pub fn one<'p>(project: &'p Project, name: Option<&str>) -> Result<&'p Instance, Report> {
    let Some(name) = name.or(project.default_instance.as_deref()) else {
        return Err(none(project));
    };
    enabled(project, name)
}

/// All of them, each once, or everything that is wrong with the names.
pub fn many<'p>(project: &'p Project, names: &[String], unnamed: Unnamed) -> Result<Vec<&'p Instance>, Report> {
    if names.is_empty() {
        return match unnamed {
            Unnamed::Default => Ok(vec![one(project, None)?]),
            Unnamed::AllEnabled => {
                let all: Vec<_> = project.enabled().collect();
                if all.is_empty() { Err(none(project)) } else { Ok(all) }
            }
        };
    }
    collect(names, |name| enabled(project, name))
}

/// Like `one`, for verbs that only look or clean up and so take disabled instances too.
pub fn any<'p>(project: &'p Project, name: Option<&str>) -> Result<&'p Instance, Report> {
    let Some(name) = name.or(project.default_instance.as_deref()) else {
        return Err(none(project));
    };
    let name = full(project, name)?;
    project.instances.get(&name).ok_or_else(|| unknown(project, &name).into())
}

/// Like `many`; no name means every declared instance, disabled ones too.
pub fn any_of<'p>(project: &'p Project, names: &[String]) -> Result<Vec<&'p Instance>, Report> {
    if names.is_empty() {
        return Ok(project.instances.values().collect());
    }
    collect(names, |name| any(project, Some(name)))
}

/// Each instance once, or every failure.
fn collect<'p>(
    names: &[String],
    find: impl Fn(&str) -> Result<&'p Instance, Report>,
) -> Result<Vec<&'p Instance>, Report> {
    let mut found: Vec<&Instance> = Vec::new();
    let mut failures = Vec::new();
    for name in names {
        match find(name) {
            Ok(instance) if !found.iter().any(|seen| seen.name == instance.name) => found.push(instance),
            Ok(_) => {}
            Err(report) => failures.extend(report.failures),
        }
    }
    if failures.is_empty() { Ok(found) } else { Err(failures.into()) }
}

fn enabled<'p>(project: &'p Project, name: &str) -> Result<&'p Instance, Report> {
    let name = full(project, name)?;
    let name = name.as_str();
    match project.instances.get(name) {
        Some(instance) if instance.enable => Ok(instance),
        Some(_) => Err(Failure::new(&codes::INSTANCE_DISABLED, format!("instance `{name}` is disabled"))
            .why(format_args!("it has `enable = false` in {}", project.file.display()))
            .help("set `enable = true` there, or name another instance")
            .into()),
        None => Err(unknown(project, name).into()),
    }
}

fn unknown(project: &Project, name: &str) -> Failure {
    let failure = Failure::new(&codes::INSTANCE_UNKNOWN, format!("no instance is called `{name}`")).why(format_args!(
        "{} declares {}",
        project.file.display(),
        listed(project)
    ));
    let near = project
        .instances
        .keys()
        .map(|known| (strsim::jaro_winkler(name, known), known))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match near {
        Some((_, known)) => failure.help(format!("did you mean `{known}`?")),
        None => failure.help(format!("declare it with a table `[instances.{name}]`")),
    }
}

fn none(project: &Project) -> Report {
    let failure = Failure::new(&codes::INSTANCE_NONE, "no instance is meant").why(format_args!(
        "{} declares {}",
        project.file.display(),
        listed(project)
    ));
    let failure = match project.instances.is_empty() {
        true => failure.help("declare one with a table `[instances.sandbox]`"),
        false => failure.help("name one, or set `default_instance`"),
    };
    failure.into()
}

fn listed(project: &Project) -> String {
    let names: Vec<String> = project
        .instances
        .values()
        .map(|instance| format!("`{}`{}", instance.name, if instance.enable { "" } else { " (disabled)" }))
        .collect();
    if names.is_empty() { "no instance".into() } else { names.join(", ") }
}
