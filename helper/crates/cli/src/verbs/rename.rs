use nixbox_report::{Failure, Report, codes};
use schemars::JsonSchema;
use serde::Serialize;

use super::DONE;
use crate::context::Context;
use crate::{made, select};

/// Give an instance that `run` has made another name
///
/// With all that it holds. It must not run. One that the configuration declares has its name from there.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  nixbox-helper rename run-4f7k2m experiment")]
pub struct Args {
    /// What it is called
    pub name: String,
    /// What it is to be called
    pub new_name: String,
}

#[derive(Serialize, JsonSchema)]
pub struct Answer {
    pub before: String,
    pub instance: String,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let project = context.project()?;
    let instance = select::any(&project, Some(&args.name))?;
    let before = instance.name.clone();
    if instance.made.is_none() {
        return Err(Failure::new(&codes::INSTANCE_DECLARED, format!("`{before}` is declared"))
            .why(format_args!("{} has its name, and its database goes by it", project.file.display()))
            .help("change the name of its table there, and of its files in the data folder while it does not run")
            .into());
    }
    made::rename(instance, &args.new_name, &project, context)?;
    context.output.note(format!("{before}: is called {} now", args.new_name));
    if context.output.json {
        context.output.json(Answer { before, instance: args.new_name })?;
    }
    Ok(DONE)
}
