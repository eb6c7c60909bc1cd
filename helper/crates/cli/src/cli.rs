//! The command line: options that every verb takes, and the list of verbs.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use nixbox_report::{Failure, codes};

use crate::context::Context;
use crate::output::{Color, Output};
use crate::verbs::*;

#[derive(Debug, Parser)]
#[command(
    name = "nixbox-helper",
    version,
    about = "Declare, start, watch and look into AgentFS instances",
    after_help = "Examples:\n  nixbox-helper quickstart        see the whole thing once, in a temporary folder\n  nixbox-helper new plain         start a project here\n  nixbox-helper up                bring its instances up, Ctrl-C takes them down\n  eval \"$(nixbox-helper env)\"     the AGENTFS_* variables for this shell",
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    propagate_version = false
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Options of every verb")]
pub struct Global {
    /// The configuration file [default: nixbox.toml here or in a folder above]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The folder that relative paths start from [default: the folder of the configuration file]
    #[arg(long, global = true, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Where the databases live
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// How much owners say: error, warn, info, debug or trace
    #[arg(long, global = true, value_name = "LEVEL")]
    pub log_level: Option<nixbox_config::LogLevel>,
    /// Answer in JSON, failures too (`nixbox-helper schema VERB` describes it)
    #[arg(long, global = true)]
    pub json: bool,
    /// Say nothing but data, warnings and failures
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Colour the output
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t, hide_possible_values = false)]
    pub color: Color,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    Init(init::Args),
    Serve(serve::Args),
    Env(env::Args),
    Wait(wait::Args),
    Ready(ready::Args),
    Ps(ps::Args),
    Up(up::Args),
    Down(down::Args),
    Stop(stop::Args),
    Start(start::Args),
    Restart(restart::Args),
    Kill(kill::Args),
    Job(job::Args),
    Pause(pause::Args),
    Unpause(unpause::Args),
    Update(update::Args),
    Attach(attach::Args),
    Logs(logs::Args),
    Events(events::Args),
    Hooks(hooks::Args),
    Schedule(schedule::Args),
    Stats(stats::Args),
    Top(top::Args),
    Unmount(unmount::Args),
    Config(config::Args),
    Render(render::Args),
    Doctor(doctor::Args),
    Info(info::Args),
    Inspect(inspect::Args),
    Url(url::Args),
    Port(port::Args),
    Exec(exec::Args),
    Run(run::Args),
    Status(status::Args),
    Diff(diff::Args),
    Label(label::Args),
    Rename(rename::Args),
    Prune(prune::Args),
    Df(df::Args),
    Instance(instance::Args),
    Cp(cp::Args),
    Fs(fs::Args),
    Kv(kv::Args),
    Tool(tool::Args),
    Timeline(timeline::Args),
    Sync(sync::Args),
    Snapshot(snapshot::Args),
    Remote(remote::Args),
    Mcp(mcp::Args),
    Export(export::Args),
    Import(import::Args),
    Fsck(fsck::Args),
    Migrate(migrate::Args),
    Rekey(rekey::Args),
    New(new::Args),
    Quickstart(quickstart::Args),
    Completions(completions::Args),
    Man(man::Args),
    Schema(schema::Args),
    #[command(hide = true)]
    Docs(docs::Args),
    #[command(hide = true)]
    Supervise(supervise::Args),
    #[command(hide = true)]
    Hook(hook::Args),
    #[command(hide = true)]
    AskHttp(ask_http::Args),
    #[command(hide = true)]
    WatchFolders(watch_folders::Args),
}

pub fn command() -> clap::Command {
    Cli::command()
}

/// What a shell runs each time it starts. Half a megabyte describes all the verbs, which takes longer than `env` itself.
#[derive(Debug, Parser)]
#[command(disable_help_flag = true, disable_help_subcommand = true)]
struct Entry {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: EntryVerb,
}

#[derive(Debug, Subcommand)]
enum EntryVerb {
    Env(env::Args),
}

/// The verb and what it runs in, or the exit code when there is nothing left to do.
pub fn parse() -> Result<(Verb, Context), ExitCode> {
    // Whatever else it is, a mistake too, is told by the whole.
    if let Ok(Entry { global, verb: EntryVerb::Env(args) }) = Entry::try_parse() {
        return Ok((Verb::Env(args), Context::new(global)));
    }
    let parsed = command().try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches));
    match parsed {
        Ok(Cli { global, verb }) => Ok((verb, Context::new(global))),
        Err(error) => Err(tell(&error)),
    }
}

fn tell(error: &clap::Error) -> ExitCode {
    let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    // Parsing failed, so whether JSON is wanted has to be read off the raw words.
    if !asked && std::env::args_os().take_while(|word| word != "--").any(|word| word == "--json") {
        let text = error.render().to_string();
        let what = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        let failure = Failure::new(&codes::USAGE, what).help("`nixbox-helper --help` lists the verbs");
        Output::new(true, false, Color::Never).report(&failure.into());
    } else {
        let _ = error.print();
    }
    ExitCode::from(if asked { 0 } else { 2 })
}
