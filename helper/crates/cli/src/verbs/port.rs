use nixbox_report::Report;
use schemars::JsonSchema;
use serde::Serialize;

use super::DONE;
use super::env::recorded_addresses;
use crate::context::Context;
use crate::select;

/// Print the addresses at which an instance answers
///
/// One a line: `http` or `nfs`, and the address. A port that the system picks is known only while the owner runs; what is
/// not known, or is not served, is not printed.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  nixbox-helper port sandbox\n  nixbox-helper port sandbox | awk '$1 == \"nfs\" { print $2 }'"
)]
pub struct Args {
    /// The instance [default: the default one]
    pub name: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub struct Answer {
    pub instance: String,
    pub http: Option<String>,
    pub nfs: Option<String>,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let project = context.project()?;
    let instance = select::one(&project, args.name.as_deref())?;
    let recorded = recorded_addresses(instance);
    let http = instance.http.as_ref().and_then(|http| match http.port {
        0 => recorded.http.map(|address| address.to_string()),
        port => Some(std::net::SocketAddr::from((http.bind, port)).to_string()),
    });
    let nfs = instance.nfs.as_ref().and_then(|nfs| match nfs.port {
        0 => recorded.nfs.map(|address| address.to_string()),
        port => Some(std::net::SocketAddr::from((nfs.bind, port)).to_string()),
    });
    if context.output.json {
        context.output.json(Answer { instance: instance.name.clone(), http, nfs })?;
        return Ok(DONE);
    }
    let lines = [("http", http), ("nfs", nfs)].into_iter().filter_map(|(what, at)| Some(format!("{what} {}\n", at?)));
    context.output.data(lines.collect::<String>())?;
    Ok(DONE)
}
