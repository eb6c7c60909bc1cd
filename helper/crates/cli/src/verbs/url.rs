use nixbox_report::{Failure, Report, codes};
use schemars::JsonSchema;
use serde::Serialize;

use super::{DONE, env};
use crate::context::Context;
use crate::{presence, select};

/// Print the address of an instance's HTTP surface
///
/// A port that the system picks is known only while the owner runs.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  curl \"$(nixbox-helper url sandbox)/healthz\"")]
pub struct Args {
    /// The instance [default: the default one]
    pub name: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub struct Answer {
    pub instance: String,
    pub url: String,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let project = context.project()?;
    let instance = select::one(&project, args.name.as_deref())?;
    let name = &instance.name;
    let Some(http) = &instance.http else {
        return Err(Failure::new(&codes::HTTP_OFF, format!("instance `{name}` has no HTTP surface"))
            .why(format_args!("{} has no table `[instances.{name}.http]`", project.file.display()))
            .help("add that table; an empty one is enough")
            .into());
    };
    let address = match http.port {
        0 => env::recorded_addresses(instance).http.ok_or_else(|| {
            presence::not_running(name)
                .why("its port is picked when it starts (`http.port = 0`), and no owner has recorded one")
        })?,
        port => (http.bind, port).into(),
    };
    let url = format!("http://{address}");
    match context.output.json {
        true => context.output.json(Answer { instance: name.clone(), url })?,
        false => context.output.data(url + "\n")?,
    }
    Ok(DONE)
}
