use clap::ValueEnum;
use nixbox_config::env::Addresses;
use nixbox_config::{Instance, Project};
use nixbox_control::Status;
use nixbox_report::Report;
use nixbox_state::Process;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

use super::DONE;
use crate::context::Context;
use crate::select;
use crate::shell::{Shell, dotenv};

/// Print the AGENTFS_* variables for a shell
///
/// Sorted statements and nothing else; on any failure nothing at all. Starts nothing and waits for nothing, so it
/// can stand in a shell's start-up file. Without a name the variables of every enabled instance, with the
/// unprefixed ones for the default instance; with a name the unprefixed ones are for that instance.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  eval \"$(nixbox-helper env)\"                                    # bash, zsh, sh\n  nixbox-helper env --shell fish | source\n  nixbox-helper env --format json | from json | load-env         # nushell\n  nixbox-helper env --shell powershell | Out-String | Invoke-Expression\n  nixbox-helper env sandbox --format dotenv > .env"
)]
pub struct Args {
    /// Only this instance
    pub name: Option<String>,
    /// In this shell's words
    #[arg(long, value_enum, default_value_t, conflicts_with = "format")]
    pub shell: Shell,
    /// As a file or an object instead
    #[arg(long, value_enum)]
    pub format: Option<Format>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One flat object
    Json,
    /// NAME=value lines
    Dotenv,
}

#[derive(Serialize, JsonSchema)]
pub struct Answer {
    pub variables: BTreeMap<String, String>,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let project = context.project()?;
    let variables = exports(&project, args.name.as_deref())?;
    if context.output.json {
        context.output.json(Answer { variables })?;
        return Ok(DONE);
    }
    let text = match args.format {
        Some(Format::Json) => serde_json::to_string_pretty(&variables).map_err(std::io::Error::other)? + "\n",
        Some(Format::Dotenv) => variables.iter().map(|(name, value)| dotenv(name, value)).collect(),
        None => args.shell.exports(&variables),
    };
    context.output.data(text)?;
    Ok(DONE)
}

pub fn exports(project: &Project, name: Option<&str>) -> Result<BTreeMap<String, String>, Report> {
    let only = name.map(|name| select::one(project, Some(name))).transpose()?;
    Ok(nixbox_config::env::exports(project, only.map(|instance| instance.name.as_str()), recorded_addresses))
}

/// The ports that a running owner picked. Only asked for where one is not configured, so that the usual shell entry
/// reads one file.
pub fn recorded_addresses(instance: &Instance) -> Addresses {
    let Ok(Some(status)) = nixbox_state::read_json::<Status>(&instance.paths.record) else {
        return Addresses::default();
    };
    // What a killed owner left behind says nothing about today.
    if !(Process { pid: status.pid, start_time: status.start_time }).is_alive() {
        return Addresses::default();
    }
    Addresses { http: status.http.map(|http| http.address), nfs: status.nfs.map(|nfs| nfs.address) }
}
