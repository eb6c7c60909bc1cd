//! The one process that holds an instance's database and answers for it.

mod args;
mod budget;
mod desk;
mod failure;
mod folders;
mod held;
mod init;
mod logging;
mod moment;
mod plan;
mod request;
mod serve;
mod signals;
mod status;
mod stop;
mod surfaces;
mod token;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use nixbox_report::Report;

use args::{Args, LogFormat, Verb};
use plan::Plan;

fn main() -> ExitCode {
    let args = Args::parse();
    let format = args.verb.target().log_format;
    match run(&args.verb) {
        Ok(()) => ExitCode::SUCCESS,
        Err(report) => {
            complain(&report, format);
            ExitCode::from(report.exit())
        }
    }
}

fn run(verb: &Verb) -> Result<(), Report> {
    let target = verb.target();
    let plan = Plan::read(target)?;
    logging::start(plan.log_level, target.log_format);
    match verb {
        Verb::Serve(serve) => serve::run(plan, serve.keep),
        Verb::Init(_) => init::run(&plan),
        Verb::Request(_) => request::run(&plan),
    }
}

fn complain(report: &Report, format: LogFormat) {
    let text = match format {
        LogFormat::Human => nixbox_report::text(report, logging::coloured(std::io::stderr().is_terminal())),
        LogFormat::Json => format!("{}\n", nixbox_report::json(report)),
    };
    // Where stderr is closed there is nobody left to tell.
    let _ = std::io::stderr().write_all(text.as_bytes());
}
