use nixbox_report::{Failure, Report, codes};
use schemars::{Schema, schema_for};

use super::*;
use crate::output::Versioned;

/// Print the JSON Schema of a verb's --json answer
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  nixbox-helper schema ps\n  nixbox-helper schema              # which verbs have one\n  nixbox-helper schema fs apply --input"
)]
pub struct Args {
    /// The verb; those of two words, such as `config check`, have one each
    #[arg(num_args = 0..=2)]
    pub verb: Vec<String>,
    /// Of what the verb reads, in place of what it answers
    #[arg(long)]
    pub input: bool,
}

type Make = fn() -> Schema;

/// Every verb that answers in JSON.
pub const ANSWERS: &[(&str, Make)] = &[
    ("config check", || schema_for!(Versioned<config::Checked>)),
    ("config show", || schema_for!(Versioned<config::Shown>)),
    ("cp", || schema_for!(Versioned<cp::Answer>)),
    ("df", || schema_for!(Versioned<df::Answer>)),
    ("diff", || schema_for!(Versioned<diff::Answer>)),
    ("doctor", || schema_for!(Versioned<doctor::Answer>)),
    ("down", || schema_for!(Versioned<down::Answer>)),
    ("env", || schema_for!(Versioned<env::Answer>)),
    ("exec", || schema_for!(Versioned<exec::Answer>)),
    ("export", || schema_for!(Versioned<export::Answer>)),
    ("fs apply", || schema_for!(Versioned<fs::apply::Answer>)),
    ("fs cp", || schema_for!(Versioned<fs::Transferred>)),
    ("fs find", || schema_for!(Versioned<fs::Listed>)),
    ("fs ls", || schema_for!(Versioned<fs::Listed>)),
    ("fs mkdir", || schema_for!(Versioned<fs::Paths>)),
    ("fs mv", || schema_for!(Versioned<fs::Transferred>)),
    ("fs rm", || schema_for!(Versioned<fs::Paths>)),
    ("fs stat", || schema_for!(Versioned<fs::Entry>)),
    ("fs tree", || schema_for!(Versioned<fs::Listed>)),
    ("fs write", || schema_for!(Versioned<fs::Written>)),
    ("fsck", || schema_for!(Versioned<fsck::Answer>)),
    ("hooks", || schema_for!(Versioned<hooks::Answer>)),
    ("import", || schema_for!(Versioned<import::Answer>)),
    ("info", || schema_for!(Versioned<info::Answer>)),
    ("init", || schema_for!(Versioned<init::Answer>)),
    ("inspect", || schema_for!(Versioned<inspect::Answer>)),
    ("instance relocate", || schema_for!(Versioned<instance::Relocated>)),
    ("instance rm", || schema_for!(Versioned<instance::Removed>)),
    ("kill", || schema_for!(Versioned<kill::Answered>)),
    ("kv delete", || schema_for!(Versioned<kv::Deleted>)),
    ("kv get", || schema_for!(Versioned<kv::Entry>)),
    ("kv list", || schema_for!(Versioned<kv::Listed>)),
    ("kv set", || schema_for!(Versioned<kv::Written>)),
    ("label", || schema_for!(Versioned<label::Answer>)),
    ("migrate", || schema_for!(Versioned<migrate::Answer>)),
    ("new", || schema_for!(Versioned<new::Answer>)),
    ("pause", || schema_for!(Versioned<pause::Answer>)),
    ("port", || schema_for!(Versioned<port::Answer>)),
    ("prune", || schema_for!(Versioned<prune::Answer>)),
    ("ps", || schema_for!(Versioned<ps::Answer>)),
    ("quickstart", || schema_for!(Versioned<quickstart::Answer>)),
    ("ready", || schema_for!(Versioned<ready::Answer>)),
    ("rekey", || schema_for!(Versioned<rekey::Answer>)),
    ("remote backup", || schema_for!(Versioned<remote::BackedUp>)),
    ("remote ready", || schema_for!(Versioned<remote::Ready>)),
    ("remote restore", || schema_for!(Versioned<remote::Restored>)),
    ("remote status", || schema_for!(Versioned<remote::Answer>)),
    ("rename", || schema_for!(Versioned<rename::Answer>)),
    ("restart", || schema_for!(Versioned<restart::Answered>)),
    ("run", || schema_for!(Versioned<run::Answer>)),
    ("schedule ls", || schema_for!(Versioned<schedule::Listed>)),
    ("schedule pause", || schema_for!(Versioned<schedule::Changed>)),
    ("schedule resume", || schema_for!(Versioned<schedule::Changed>)),
    ("schedule run", || schema_for!(Versioned<schedule::Ran>)),
    ("snapshot ls", || schema_for!(Versioned<snapshot::Listed>)),
    ("snapshot restore", || schema_for!(Versioned<snapshot::Restored>)),
    ("start", || schema_for!(Versioned<start::Answered>)),
    ("stats", || schema_for!(Versioned<stats::Answer>)),
    ("status", || schema_for!(Versioned<status::Answer>)),
    ("stop", || schema_for!(Versioned<stop::Answer>)),
    ("sync checkpoint", || schema_for!(Versioned<sync::Checkpointed>)),
    ("sync conflicts", || schema_for!(Versioned<sync::Conflicts>)),
    ("sync disable", || schema_for!(Versioned<sync::Disabled>)),
    ("sync enable", || schema_for!(Versioned<sync::Enabled>)),
    ("sync fetch", || schema_for!(Versioned<sync::fetch::Content>)),
    ("sync log", || schema_for!(Versioned<sync::Log>)),
    ("sync pull", || schema_for!(Versioned<sync::Done>)),
    ("sync push", || schema_for!(Versioned<sync::Done>)),
    ("sync release", || schema_for!(Versioned<sync::state::Handed>)),
    ("sync resolve", || schema_for!(Versioned<sync::Resolved>)),
    ("sync status", || schema_for!(Versioned<sync::Standing>)),
    ("sync take", || schema_for!(Versioned<sync::state::Handed>)),
    ("timeline", || schema_for!(Versioned<timeline::Answer>)),
    ("tool finish", || schema_for!(Versioned<tool::Answer>)),
    ("tool record", || schema_for!(Versioned<tool::Answer>)),
    ("tool start", || schema_for!(Versioned<tool::Answer>)),
    ("top", || schema_for!(Versioned<stats::Answer>)),
    ("unmount", || schema_for!(Versioned<unmount::Answer>)),
    ("unpause", || schema_for!(Versioned<pause::Answer>)),
    ("up", || schema_for!(Versioned<ps::Answer>)),
    ("update", || schema_for!(Versioned<update::Answer>)),
    ("url", || schema_for!(Versioned<url::Answer>)),
    ("wait", || schema_for!(Versioned<wait::Answer>)),
];

/// Those that read JSON: of a line of it.
pub const INPUTS: &[(&str, Make)] = &[("fs apply", || schema_for!(nixbox_control::FileOperation))];

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let wanted = args.verb.join(" ");
    let known = if args.input { INPUTS } else { ANSWERS };
    let text = if wanted.is_empty() {
        known.iter().map(|(verb, _)| format!("{verb}\n")).collect()
    } else {
        let (verb, make) = known.iter().find(|(verb, _)| *verb == wanted).ok_or_else(|| none(&wanted, known))?;
        let mut schema = make();
        let title = if args.input { "a line of what it reads" } else { "--json" };
        schema.insert("title".into(), format!("nixbox-helper {verb} {title}").into());
        serde_json::to_string_pretty(&schema).map_err(std::io::Error::other)? + "\n"
    };
    context.output.data(text)?;
    Ok(DONE)
}

fn none(wanted: &str, known: &[(&str, Make)]) -> Failure {
    let verbs: Vec<_> = known.iter().map(|(verb, _)| *verb).collect();
    Failure::new(&codes::USAGE, format!("`{wanted}` has no such schema"))
        .why(format_args!("these have one: {}", verbs.join(", ")))
        .help("run `nixbox-helper schema` with one of them")
}
