use std::collections::BTreeMap;

use nixbox_config::Instance;
use nixbox_report::{Failure, Report, codes};
use schemars::JsonSchema;
use serde::Serialize;

use super::DONE;
use crate::context::Context;
use crate::{made, select};

/// Give an instance that `run` has made labels, or take some away
///
/// Without a change it shows those that there are, of declared instances too. `ps --filter label=…` looks for them.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  nixbox-helper label try team=search tried=\n  nixbox-helper label try team-")]
pub struct Args {
    /// The instance
    pub name: String,
    /// NAME=VALUE gives one, NAME- takes it away
    #[arg(value_name = "CHANGE", value_parser = change)]
    pub changes: Vec<Change>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Set(String, String),
    Remove(String),
}

#[derive(Serialize, JsonSchema)]
pub struct Answer {
    pub instance: String,
    pub labels: BTreeMap<String, String>,
}

fn change(text: &str) -> Result<Change, String> {
    match (text.split_once('='), text.strip_suffix('-')) {
        (Some((name, value)), _) if !name.is_empty() => Ok(Change::Set(name.into(), value.into())),
        (None, Some(name)) if !name.is_empty() => Ok(Change::Remove(name.into())),
        _ => Err("write NAME=VALUE, or NAME- to take it away".into()),
    }
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let project = context.project()?;
    let instance = select::any(&project, Some(&args.name))?;
    let mut labels = instance.labels.clone();
    if !args.changes.is_empty() {
        if instance.made.is_none() {
            return Err(declared(instance, &project.file.display().to_string()).into());
        }
        for change in args.changes {
            match change {
                Change::Set(name, value) => drop(labels.insert(name, value)),
                Change::Remove(name) => drop(labels.remove(&name)),
            }
        }
        made::rewrite(&Instance { labels: labels.clone(), ..instance.clone() }, &project, context)?;
    }
    let instance = instance.name.clone();
    match context.output.json {
        true => context.output.json(Answer { instance, labels })?,
        false => {
            context.output.data(labels.iter().map(|(name, value)| format!("{name}={value}\n")).collect::<String>())?;
        }
    }
    Ok(DONE)
}

fn declared(instance: &Instance, file: &str) -> Failure {
    let name = &instance.name;
    Failure::new(&codes::INSTANCE_DECLARED, format!("`{name}` is declared"))
        .why(format_args!("{file} says what its labels are"))
        .help(format!("write them there: [instances.{name}.labels]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_gives_or_takes() {
        assert_eq!(change("a=b=c"), Ok(Change::Set("a".into(), "b=c".into())));
        assert_eq!(change("a="), Ok(Change::Set("a".into(), String::new())));
        assert_eq!(change("a-b-"), Ok(Change::Remove("a-b".into())));
        assert!(["a", "=b", "-", ""].into_iter().all(|text| change(text).is_err()));
    }
}
