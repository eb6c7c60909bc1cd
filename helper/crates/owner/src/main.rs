//! The one process that holds an instance's database and answers for it.

mod args;
mod budget;
mod desk;
mod failure;
mod folders;
mod follow;
mod held;
mod hooks;
mod hosted;
mod init;
mod key;
mod logging;
mod mcp;
mod metrics;
mod moment;
mod observed;
mod panics;
mod plan;
mod program;
mod rekey;
mod relocate;
mod request;
mod restore;
mod review;
mod serve;
mod shelf;
mod signals;
mod status;
mod stop;
mod surfaces;
mod sync;
mod token;
mod upkeep;
mod upstream;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use nixbox_report::Report;

use args::{Args, LogFormat, Target, Verb};
use plan::Plan;

fn main() -> ExitCode {
    panics::end_the_process();
    let args = Args::parse();
    match run(&args.verb) {
        Ok(code) => code,
        Err(report) => {
            complain(&report, args.verb.log_format());
            ExitCode::from(report.exit())
        }
    }
}

fn run(verb: &Verb) -> Result<ExitCode, Report> {
    let plan = |target: &Target| {
        let plan = Plan::read(target)?;
        logging::start(plan.log_level, target.project.log_format);
        Ok::<_, Report>(plan)
    };
    match verb {
        Verb::Serve(serve) => serve::run(plan(&serve.target)?, serve.keep)?,
        Verb::ServeRemote(target) => hosted::run(target)?,
        Verb::Init { target, from } => init::run(&plan(target)?, from.as_deref())?,
        Verb::Relocate(asked) => relocate::run(&plan(&asked.target)?, asked)?,
        Verb::Restore { target, snapshot } => restore::run(&plan(target)?, snapshot)?,
        Verb::Request(target) => request::run(plan(target)?)?,
        Verb::Fsck(kept) => upkeep::fsck(kept)?,
        Verb::Migrate(kept) => upkeep::migrate(kept)?,
        Verb::Rekey(args) => rekey::run(&plan(&args.target)?, args)?,
        Verb::Probe { path } => return Ok(if upstream::probe(path) { ExitCode::SUCCESS } else { ExitCode::FAILURE }),
    }
    Ok(ExitCode::SUCCESS)
}

fn complain(report: &Report, format: LogFormat) {
    let text = match format {
        LogFormat::Human => nixbox_report::text(report, logging::coloured(std::io::stderr().is_terminal())),
        LogFormat::Json => format!("{}\n", nixbox_report::json(report)),
    };
    // Where stderr is closed there is nobody left to tell.
    let _ = std::io::stderr().write_all(text.as_bytes());
}
