//! nixbox-helper: every verb a person or a process manager calls. It decides; owners do.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::exit)]

mod asking;
mod changes;
mod cli;
mod confine;
mod context;
mod declared;
mod doctor;
mod handing;
mod interrupt;
mod logs;
mod made;
mod mounts;
mod on_record;
mod output;
mod owner_binary;
mod presence;
mod progress;
mod readiness;
mod recorded;
mod reference;
mod render;
mod review;
mod room;
mod schedule;
mod select;
mod served;
mod shell;
mod stopping;
mod stored;
mod supervise;
mod target;
mod templates;
mod times;
mod upkeep;
mod usage;
mod verbs;
mod view;
mod watching;

use std::process::ExitCode;

fn main() -> ExitCode {
    let (verb, context) = match cli::parse() {
        Ok(parsed) => parsed,
        Err(exit) => return exit,
    };
    match verbs::run(verb, &context) {
        Ok(code) => code.into(),
        Err(report) => {
            context.output.report(&report);
            report.exit().into()
        }
    }
}
